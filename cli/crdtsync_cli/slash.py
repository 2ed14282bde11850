"""What a line typed into a window means: a message or one of the slash commands.

It runs none of them (`crdtsync_cli.actions` does); the table of them all, for plain and
interactive windows alike, is `crdtsync_cli.slashes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync_cli.routing import nearest
from crdtsync_cli.slashes import BY_NAME, REGISTRY, Slash

__all__ = ["REGISTRY", "Command", "Say", "Slash", "help_lines", "read_line", "whole"]

USAGE_CHARS_MAX: Final = 24
"""In the help, a longer usage has a line of its own."""


@dataclass(frozen=True, slots=True)
class Say:
    """A line that is a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A line that is a slash command; `rest` is what follows the name."""

    slash: Slash
    rest: str

    @property
    def words(self) -> list[str]:
        """The arguments, by spaces."""
        return self.rest.split()


Line: TypeAlias = Say | Command


def read_line(line: str) -> Line | None:
    """Read one typed line; None if it is empty. `//text` says a literal slash.

    Raises:
        UsageError: An unknown command, or one that lacks an argument. Nothing is to
            be sent then.
    """
    if not line.strip():
        return None
    if line.startswith("//"):
        return Say(line[1:])
    if not line.startswith("/"):
        return Say(line)
    name, rest = _split(line[1:])
    slash = BY_NAME.get(name.lower())
    if slash is None:
        raise _unknown(name)
    command = Command(slash, rest)
    if len(command.words) < slash.needs:
        raise UsageError(f"/{slash.name} needs {slash.args}", hint=_example(slash))
    return command


def whole(word: str, what: str) -> int:
    """Read a number that counts from 1.

    Raises:
        UsageError: It is none.
    """
    if word.isascii() and word.isdigit() and int(word[:10]) > 0:
        return int(word[:10])
    raise UsageError(f"{clean_line(word)!r} is no {what}", hint="Give a number like 1.")


def help_lines(name: str = "") -> list[str]:
    """The help of one command, or of all.

    Raises:
        UsageError: There is no such command.
    """
    if name:
        slash = BY_NAME.get(name.lstrip("/").lower())
        if slash is None:
            raise _unknown(name.lstrip("/"))
        return [slash.usage, *(f"  {line}" for line in _details(slash))]
    width = max(
        len(slash.usage) for slash in REGISTRY if len(slash.usage) < USAGE_CHARS_MAX
    )
    found = []
    for slash in REGISTRY:
        shown = slash.usage
        if len(shown) > width:
            found += [shown, f"{'':{width}}  {slash.help}"]
        else:
            found.append(f"{shown:{width}}  {slash.help}")
    return [*found, f"{'//text':{width}}  Say /text."]


def _split(text: str) -> tuple[str, str]:
    """A command's name and the rest, which may begin on the next line."""
    name, *rest = text.split(maxsplit=1) or [""]
    return name, "".join(rest).strip()


def _details(slash: Slash) -> list[str]:
    also = ", ".join(f"/{alias}" for alias in slash.aliases)
    found = [slash.help + (f" Also {also}." if also else "")]
    if slash.role != "viewer":
        found.append(f"It needs the role {slash.role}.")
    return found


def _example(slash: Slash) -> str:
    return f"For example: {slash.example}" if slash.example else f"It is {slash.usage}"


def _unknown(name: str) -> UsageError:
    near = nearest(name.lower(), tuple(BY_NAME))
    meant = f"Did you mean /{near}? " if near else ""
    return UsageError(
        f"there is no command /{clean_line(name)}; nothing was sent",
        hint=f"{meant}/help lists all; //{clean_line(name)} says it literally.",
    )
