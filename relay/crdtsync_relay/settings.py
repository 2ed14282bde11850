"""What an operator decides: flag, then environment, then default; nothing is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crdtsync.errors import UsageError
from crdtsync.links.addresses import (
    SessionLink,
    host_port,
    is_loopback,
    split_host_port,
)
from crdtsync_relay.limits import DRAIN_S, Limits
from crdtsync_relay.rules import NUMBERS, SessionRules

__all__ = ["VARIABLES", "Settings", "is_loopback", "resolve"]

HOST: Final = "127.0.0.1"
PORT: Final = 8787

VARIABLES: Final[Mapping[str, str]] = {
    "data": "CRDTSYNC_RELAY_DATA",
    "bind": "CRDTSYNC_RELAY_BIND",
    "certfile": "CRDTSYNC_RELAY_CERTFILE",
    "keyfile": "CRDTSYNC_RELAY_KEYFILE",
    "url": "CRDTSYNC_RELAY_URL",
    "insecure_http": "CRDTSYNC_RELAY_INSECURE_HTTP",
    "tokens": "CRDTSYNC_RELAY_TOKENS",
    "participants_max": "CRDTSYNC_RELAY_PARTICIPANTS_MAX",
    "viewers_note": "CRDTSYNC_RELAY_VIEWERS_NOTE",
    "idle_token_days": "CRDTSYNC_RELAY_IDLE_TOKEN_DAYS",
    "keep_days": "CRDTSYNC_RELAY_KEEP_DAYS",
}
"""The environment variable of each flag."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a relay runs.

    Attributes:
        data: Its folder; made for the owner only.
        host: The address to listen on.
        port: The port; 0 for any free one.
        certfile: A certificate chain in PEM; with `keyfile`, TLS is spoken.
        keyfile: Its private key.
        insecure_http: TLS is spoken by a proxy in front, and nobody else reaches
            this relay.
        tokens: Ask everybody for a token, also on loopback.
        url: How people reach the relay, for links; empty for what it listens on.
        hosts: All addresses under which it is reached, for links; empty for `host`.
        pin: The certificate's fingerprint, for links, if no authority vouches for it.
        drain_s: Longest wait for the last commits and farewells.
        rules: What holds in a session whose owner said nothing else.
        limits: Bounds.

    Raises:
        UsageError: Strangers could read what is sent.
    """

    data: Path
    host: str = HOST
    port: int = PORT
    certfile: Path | None = None
    keyfile: Path | None = None
    insecure_http: bool = False
    tokens: bool = False
    url: str = ""
    hosts: tuple[str, ...] = ()
    pin: str = ""
    drain_s: float = DRAIN_S
    rules: SessionRules = field(default_factory=SessionRules)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if (self.certfile is None) != (self.keyfile is None):
            raise UsageError(
                "a certificate and its key belong together",
                hint="Give both --certfile and --keyfile.",
            )
        safe = self.has_tls or self.insecure_http or is_loopback(self.host)
        if not safe:
            raise UsageError(
                f"{self.host} can be reached by others, and nothing is encrypted",
                hint="Give --certfile and --keyfile; or --insecure-http if a proxy "
                "in front of the relay speaks TLS.",
            )

    @property
    def has_tls(self) -> bool:
        """Whether the relay speaks TLS itself."""
        return self.certfile is not None

    @property
    def asks_for_tokens(self) -> bool:
        """Whether everybody needs a token; only on loopback nobody may."""
        # Behind a proxy, strangers come from loopback.
        return self.tokens or self.insecure_http or not is_loopback(self.host)

    def place(self, port: int) -> SessionLink:
        """How people reach the relay that listens on a port."""
        if self.url:
            return SessionLink((self.url.rstrip("/"),))
        scheme = "https" if self.has_tls else "http"
        places = (host_port(host, port) for host in self.hosts or (self.host,))
        return SessionLink(tuple(f"{scheme}://{at}" for at in places), pin=self.pin)


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Choose each value: flag, environment, default.

    Raises:
        UsageError: A value makes no sense.
    """

    def chosen(name: str) -> str:
        return flags.get(name) or environ.get(VARIABLES[name], "")

    host, port = _address(chosen("bind"))
    return Settings(
        data=Path(chosen("data") or "crdtsync-relay").expanduser(),
        host=host,
        port=port,
        certfile=_path(chosen("certfile")),
        keyfile=_path(chosen("keyfile")),
        insecure_http=_is_true(chosen("insecure_http")),
        tokens=_is_true(chosen("tokens")),
        url=chosen("url"),
        rules=_rules(chosen),
    )


def _address(bind: str) -> tuple[str, int]:
    host, port = split_host_port(bind)
    return host or HOST, PORT if port is None else port


def _rules(chosen: Callable[[str], str]) -> SessionRules:
    found: dict[str, Any] = {"viewers_note": _is_true(chosen("viewers_note"))}
    for name, (lowest, highest) in NUMBERS.items():
        if text := chosen(name):
            found[name] = _number(name, text, lowest, highest)
    return SessionRules(**found)


def _number(name: str, text: str, lowest: int, highest: int) -> int:
    if not text.isdecimal() or not lowest <= int(text[:9]) <= highest:
        raise UsageError(
            f"{text[:32]!r} is no number of {name.replace('_', ' ')}",
            hint=f"Between {lowest} and {highest}.",
        )
    return int(text)


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _is_true(text: str) -> bool:
    return text.lower() in {"1", "true", "yes", "on"}
