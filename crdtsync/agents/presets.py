"""From a name, a command or the config file to an `AgentSpec`; starts nothing."""

from __future__ import annotations

import difflib
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from crdtsync.errors import UsageError

from .spec import AgentSpec

__all__ = ["NETWORK_NAMES", "agent_spec", "preset_names"]

NETWORK_NAMES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
"""What `{network}` stands for in `env`: how to reach the model from here."""

_KEYS: Final = (
    "kind",
    "command",
    "alternatives",
    "env",
    "set",
    "mode",
    "transcript",
    "install",
    "login",
    "version",
)


def preset_names() -> tuple[str, ...]:
    """Names of the agents that work without configuration."""
    return tuple(_presets())


def agent_spec(
    wanted: str, config: Mapping[str, Mapping[str, object]] | None = None
) -> AgentSpec:
    """Find the agent that a person means.

    Args:
        wanted: `acp:COMMAND` or `exec:COMMAND`, a name in the config, or a preset.
        config: Per name what the config file says under `[agents.NAME]`; keys as in
            presets.toml. An entry with a preset's name changes only what it says.

    Raises:
        UsageError: Nobody knows the name, or its entry makes no sense.
    """
    kind, colon, command = wanted.partition(":")
    if colon and kind in ("acp", "exec"):
        return _read(kind, {"kind": kind, "command": command})
    own = (config or {}).get(wanted)
    preset = _presets().get(wanted)
    if own is None and preset is None:
        raise _unknown(wanted, (*_presets(), *(config or {})), "agent")
    return _read(wanted, {**(preset or {}), **(own or {})})


@cache
def _presets() -> Mapping[str, Mapping[str, object]]:
    text = (resources.files(__package__) / "presets.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _read(name: str, table: Mapping[str, object]) -> AgentSpec:
    for key in table:
        if key not in _KEYS:
            raise _unknown(key, _KEYS, f"setting of agent {name}")
    entry = _Entry(name, table)
    argv = entry.command("command")
    if not argv:
        raise UsageError(
            f"agent {name} has no command",
            hint=f"Give one: acp:COMMAND, or command = [...] under [agents.{name}].",
        )
    return AgentSpec(
        kind=entry.kind(),
        name=name if name not in ("acp", "exec") else argv[0].rpartition("/")[2],
        argv=argv,
        alternatives=entry.commands("alternatives"),
        env_allow=_expand(entry.words("env")),
        env_set=entry.variables("set"),
        mode=entry.text("mode"),
        transcript=entry.flag("transcript"),
        install=entry.text("install"),
        login=entry.text("login"),
        version_argv=entry.command("version"),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table, read by type; a wrong type names the setting."""

    name: str
    table: Mapping[str, object]

    def kind(self) -> Literal["acp", "exec"]:
        match self.table.get("kind", "acp"):
            case "acp":
                return "acp"
            case "exec":
                return "exec"
        raise self._wrong("kind", '"acp" or "exec"')

    def text(self, key: str) -> str:
        value = self.table.get(key, "")
        if isinstance(value, str):
            return value
        raise self._wrong(key, "text")

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "true or false")

    def words(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key, [])
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise self._wrong(key, "a list of text")

    def command(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key, [])
        if isinstance(value, str):
            try:
                words = tuple(shlex.split(value))
            except ValueError as error:
                raise self._wrong(key, f"a command ({error})") from None
        else:
            words = self.words(key)
        return tuple(word.replace("{python}", sys.executable) for word in words)

    def commands(self, key: str) -> tuple[tuple[str, ...], ...]:
        value = self.table.get(key, [])
        if not isinstance(value, list):
            raise self._wrong(key, "a list of commands")
        entries = [_Entry(self.name, {key: command}) for command in value]
        return tuple(entry.command(key) for entry in entries)

    def variables(self, key: str) -> Mapping[str, str]:
        value = self.table.get(key, {})
        if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
            return {str(name): str(text) for name, text in value.items()}
        raise self._wrong(key, "a table of text")

    def _wrong(self, key: str, wanted: str) -> UsageError:
        return UsageError(f"{key} of agent {self.name} must be {wanted}")


def _expand(names: tuple[str, ...]) -> tuple[str, ...]:
    result: list[str] = []
    for name in names:
        result += NETWORK_NAMES if name == "{network}" else (name,)
    return tuple(result)


def _unknown(wanted: str, known: tuple[str, ...], what: str) -> UsageError:
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    if what == "agent":
        hint += " A command of your own: acp:COMMAND or exec:COMMAND."
    return UsageError(f"there is no {what} {wanted}", hint=hint)
