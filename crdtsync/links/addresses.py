"""Links that people pass on, and the addresses they lead to; it connects to none.

    https://HOST[:PORT]/s/ID#SECRET               a session on a relay
    https://HOST[:PORT]#SECRET                    a relay
    crdtsync://HOST:PORT/s/ID#fp=PIN&t=SECRET     a session in a window that listens

The last kind has an item `a=HOST:PORT` for every further address of the window. A
session's WebSocket, `wss://HOST/ws/ID`, is read too. `http` and `ws` are for loopback.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from crdtsync.errors import UsageError
from crdtsync.identity import ID

__all__ = [
    "INVITE_PREFIX",
    "Address",
    "SessionLink",
    "host_port",
    "is_link",
    "is_loopback",
    "parse_link",
    "split_host_port",
]

INVITE_PREFIX: Final = "csi_"
"""What the secret of an invite begins with; everything else behind a `#` is a token."""

LINK_CHARS_MAX: Final = 4096
"""Longer text is no link."""

PLACES_MAX: Final = 16
"""Addresses of one listening window that are tried."""

PORT_MAX: Final = 65535

_SCHEMES: Final[Mapping[str, str]] = MappingProxyType(
    {"https": "https", "wss": "https", "http": "http", "ws": "http"}
)
_PATH: Final = re.compile(r"(?P<prefix>.*?)(?:/(?:s|ws)/(?P<session>[^/]*))?/?")
_SECRET: Final = re.compile(r"[A-Za-z0-9_.~-]{1,256}", re.ASCII)
_PIN: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HOST_CHARS_MAX: Final = 253
_HOST: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{_HOST_CHARS_MAX}}}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where to connect, and with which token.

    Attributes:
        url: `ws://` or `wss://`, with the path, without a token.
        token: Sent in the `Authorization` header; empty for none.
        pin: SHA-256 of the certificate in hex: it is compared before anything is sent,
            and then no authority has to vouch for it.
        also: Further urls of the same place; the first that answers is taken.
    """

    url: str
    token: str = ""
    pin: str = ""
    also: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Tokens have no business in logs and tracebacks.
        return f"Address({self.url!r})"


@dataclass(frozen=True, slots=True, repr=False)
class SessionLink:
    """A link, taken apart.

    Attributes:
        bases: What HTTP paths are put behind, such as `https://relay.example`; all are
            addresses of the same place.
        session: The session's id; empty if the link names only a relay.
        secret: A token, or an invite's secret to be turned into one; may be empty.
        pin: The fingerprint of a listening window's certificate; else empty.
    """

    bases: tuple[str, ...]
    session: str = ""
    secret: str = ""
    pin: str = ""

    def __repr__(self) -> str:
        return f"SessionLink({self.bases!r}, {self.session!r})"

    @property
    def host(self) -> str:
        """Host and port, as people call the place."""
        return self.bases[0].partition("://")[2]

    @property
    def is_invite(self) -> bool:
        """Whether the secret is an invite's, to be turned into a token first."""
        return self.secret.startswith(INVITE_PREFIX)

    @property
    def text(self) -> str:
        """The link as people pass it on, with its secret."""
        path = f"/s/{self.session}" if self.session else ""
        if not self.pin:
            return f"{self.bases[0]}{path}#{self.secret}".removesuffix("#")
        first, *others = (base.removeprefix("https://") for base in self.bases)
        items = [f"fp={self.pin}", f"t={self.secret}", *(f"a={o}" for o in others)]
        return f"crdtsync://{first}{path}#{'&'.join(items)}"

    def address(self, token: str, session: str = "") -> Address:
        """Where windows connect.

        Args:
            token: The one to come in with; empty for none.
            session: Its id, for a link that names only a relay.
        """
        path = f"/ws/{session or self.session}"
        # From http to ws and from https to wss.
        first, *others = (f"ws{base.removeprefix('http')}{path}" for base in self.bases)
        return Address(first, token, self.pin, tuple(others))


def is_link(text: str) -> bool:
    """Whether a text is meant as a link, not as a name, an id or a code."""
    return "://" in text


def parse_link(text: str) -> SessionLink:
    """Take a link apart.

    Raises:
        UsageError: It is none; its text is not repeated, as it may hold a secret.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        if not text.isascii() or len(text) > LINK_CHARS_MAX or parts.query:
            raise _no_link()
        prefix, session = _path(parts.path)
        place = _place(parts.netloc)
    except ValueError as error:
        raise _no_link() from error
    if parts.scheme == "crdtsync":
        return _listening(parts, place, session)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or (parts.fragment and not _SECRET.fullmatch(parts.fragment)):
        raise _no_link()
    if scheme == "http" and not is_loopback(split_host_port(place)[0]):
        raise UsageError(
            "nothing is encrypted on the way to this link's host",
            hint="Use https; http is for relays on this machine.",
        )
    return SessionLink((f"{scheme}://{place}{prefix}",), session, parts.fragment)


def host_port(host: str, port: int) -> str:
    """Write an address; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str) -> tuple[str, int | None]:
    """Read HOST, :PORT, HOST:PORT or [HOST]:PORT; the port is None if there is none.

    Raises:
        UsageError: It is none of these.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    bare = host.removeprefix("[").removesuffix("]")
    readable = not port or (port.isascii() and port.isdecimal())
    if not readable or int(port or 0) > PORT_MAX or (":" in bare and bare == host):
        raise UsageError(
            f"{text[:_HOST_CHARS_MAX]!r} is no address",
            hint="Such as 127.0.0.1:8787 or [::1]:8787.",
        )
    return bare, int(port) if port else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(parts: SplitResult, place: str, session: str) -> SessionLink:
    items = parse_qsl(parts.fragment, max_num_fields=2 * PLACES_MAX)
    pin = next((value for key, value in items if key == "fp"), "").lower()
    secret = next((value for key, value in items if key == "t"), "")
    if not (session and _PIN.fullmatch(pin) and _SECRET.fullmatch(secret)):
        raise _no_link()
    places = [place, *(_place(value) for key, value in items if key == "a")]
    if any(split_host_port(found)[1] is None for found in places):
        raise _no_link()
    bases = tuple(f"https://{found}" for found in places[:PLACES_MAX])
    return SessionLink(bases, session, secret, pin)


def _path(path: str) -> tuple[str, str]:
    """What stands before the session in the path, and the session."""
    found = _PATH.fullmatch(path)
    session = found["session"] if found else ""
    if not found or (session is not None and not ID.fullmatch(session)):
        raise _no_link()
    return found["prefix"].rstrip("/"), session or ""


def _place(netloc: str) -> str:
    """Check HOST or HOST:PORT, and write it in one way.

    Raises:
        UsageError: It is none.
        ValueError: The host is no address of version 6.
    """
    host, port = split_host_port(netloc)
    if ":" in host:
        host = str(ipaddress.IPv6Address(host))
    elif not _HOST.fullmatch(host):
        raise _no_link()
    if port is not None:
        return host_port(host, port)
    return f"[{host}]" if ":" in host else host


def _no_link() -> UsageError:
    return UsageError(
        "that is no link to a session or a relay",
        hint="It looks like https://HOST/s/ID#SECRET, or https://HOST for a relay; put "
        "it in quotes, so that the shell keeps what is behind the #.",
    )
