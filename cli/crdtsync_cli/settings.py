"""The settings of a command, and where each value comes from; it reads one file.

Flag, then environment (CRDTSYNC_...), then config.toml, then default. Pure except for
`read_config`.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from crdtsync.errors import DataError, UsageError
from crdtsync.schema import JsonObject, JsonValue, as_object, plain
from crdtsync_cli.routing import nearest

__all__ = [
    "KEYS",
    "THEMES",
    "Key",
    "Setting",
    "Settings",
    "config_path",
    "load",
    "resolve",
]

Source = Literal["flag", "environment", "file", "default"]

THEMES: Final = ("dark", "light", "none")
"""Colours that a window may have."""

CONFIG_BYTES_MAX: Final = 1024 * 1024
"""A config file is written by hand; more than this is something else."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting that people may change.

    Attributes:
        name: In the file; CRDTSYNC_NAME in the environment, --name as a flag.
        help: One sentence.
        choices: The only values allowed; empty for any text.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"CRDTSYNC_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"


_SWITCH: Final = ("on", "off", "1", "0")

KEYS: Final = (
    Key("data", "The folder that holds your sessions."),
    Key("name", "Your name, as the others see it."),
    Key("agent", "The agent that `open` runs, if no --agent is given."),
    Key(
        "permissions",
        "What happens when the agent asks: ask everybody here, or answer at once.",
        ("ask", "allow-reads", "deny-all", "yolo"),
    ),
    Key(
        "offline_turns",
        "While the relay that grants turns is away: wait, ask, or run apart.",
        ("deny", "ask", "allow"),
    ),
    Key("color", "Colours on the terminal.", ("auto", "always", "never")),
    Key("theme", "Which colours fit your terminal.", ("auto", *THEMES)),
    Key("ascii", "Draw the window with ASCII signs only.", _SWITCH),
    Key("bell", "Ring the terminal's bell when somebody calls you: @NAME.", _SWITCH),
    Key(
        "notify",
        "How your terminal is told to show a notification then.",
        ("off", "osc9", "osc777"),
    ),
    Key("reduced_motion", "Nothing that moves by itself, such as a spinner.", _SWITCH),
    Key("log_level", "What goes to the log.", ("debug", "info", "warning", "error")),
    Key("log_file", "The file the log goes to; without it, stderr."),
)
"""All settings, in the order `crdtsync config` lists them."""

_DEFAULTS: Final = {
    "permissions": "ask",
    "offline_turns": "ask",
    "color": "auto",
    "theme": "auto",
    "ascii": "off",
    "bell": "on",
    "notify": "off",
    "reduced_motion": "off",
    "log_level": "warning",
}

_NAMES: Final = tuple(key.name for key in KEYS)
_TABLES: Final = ("agents", "redact")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and its origin.

    Attributes:
        where: The flag, the variable or the file; "" for a default.
    """

    key: Key
    value: str
    source: Source
    where: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a command is told from outside.

    Attributes:
        values: One per key of `KEYS`.
        agents: The [agents.NAME] tables of the file, unchecked.
        redact: Texts of one's own that `export --redact` takes out, besides keys.
        file: The config file, which need not exist.
        warnings: What is odd about the file, one sentence each.
    """

    values: Mapping[str, Setting]
    agents: Mapping[str, JsonObject] = field(default_factory=dict)
    redact: tuple[str, ...] = ()
    file: Path = Path()
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> str:
        """The value of one key."""
        return self.values[name].value

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self["data"]).expanduser()

    @property
    def name(self) -> str:
        """What the person is called."""
        return self["name"]


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the config file is: CRDTSYNC_CONFIG, or the platform's config folder."""
    if chosen := environ.get("CRDTSYNC_CONFIG"):
        return Path(chosen).expanduser()
    import platformdirs  # noqa: PLC0415 - slow, and mostly unneeded in tests

    return platformdirs.user_config_path("crdtsync", appauthor=False) / "config.toml"


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Read the config file and resolve every setting.

    Raises:
        UsageError: A value is not among its choices, or the file is no TOML.
        DataError: The file cannot be read.
    """
    path = config_path(environ)
    return resolve(flags, environ, read_config(path), path)


def read_config(path: Path) -> JsonObject:
    """Read the config file; a missing one is empty."""
    import tomllib  # noqa: PLC0415 - only where a file exists

    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(
            f"cannot read the config file {path}: {error.strerror}",
            hint="Check its permissions, or set CRDTSYNC_CONFIG to another file.",
        ) from error
    try:
        if len(raw) > CONFIG_BYTES_MAX:
            raise ValueError("it is larger than 1 MiB")
        return as_object(tomllib.loads(raw.decode()))
    except ValueError as error:
        raise UsageError(
            f"the config file {path} is not valid TOML: {error}",
            hint="Correct it, or set CRDTSYNC_CONFIG to another file.",
        ) from error


def resolve(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    file: Mapping[str, JsonValue],
    path: Path,
) -> Settings:
    """Choose each value: flag, environment, file, default; pure but for defaults."""
    values = {key.name: _choose(key, flags, environ, file, path) for key in KEYS}
    agents = as_object(plain(file.get("agents") or {}))
    return Settings(
        values=values,
        agents={name: as_object(table) for name, table in agents.items()},
        redact=_strings(file.get("redact", []), path),
        file=path,
        warnings=tuple(_warnings(file, path)),
    )


def _choose(
    key: Key,
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    file: Mapping[str, JsonValue],
    path: Path,
) -> Setting:
    if (flag := flags.get(key.name)) is not None:
        found = Setting(key, flag, "flag", key.flag)
    elif variable := environ.get(key.variable):
        found = Setting(key, variable, "environment", key.variable)
    elif key.name in file:
        found = Setting(key, str(file[key.name]), "file", str(path))
    else:
        return Setting(key, _default(key.name, environ), "default", "")
    if key.choices and found.value not in key.choices:
        raise UsageError(
            f"{found.where}: {key.name} cannot be {found.value!r}",
            hint=f"Choose one of: {', '.join(key.choices)}.",
        )
    if not found.value and key.name in {"data", "name"}:
        raise UsageError(f"{found.where}: {key.name} is empty", hint="Give a value.")
    return found


def _default(name: str, environ: Mapping[str, str]) -> str:
    match name:
        case "data":
            import platformdirs  # noqa: PLC0415 - slow, and only the default needs it

            return str(platformdirs.user_data_path("crdtsync", appauthor=False))
        case "name":
            return _login_name(environ)
    return _DEFAULTS.get(name, "")


def _login_name(environ: Mapping[str, str]) -> str:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if value := environ.get(variable):
            return value
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"


def _strings(value: JsonValue, path: Path) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(str(text) for text in value)
    raise UsageError(f"{path}: redact must be a list of texts")


def _warnings(file: Mapping[str, JsonValue], path: Path) -> list[str]:
    found = []
    for name in file:
        if name in _NAMES + _TABLES:
            continue
        near = nearest(name, _NAMES + _TABLES)
        meant = f"; did you mean {near!r}?" if near else ""
        found.append(f"{path}: unknown setting {name!r}{meant}")
    return found
