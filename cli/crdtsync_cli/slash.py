"""What a line typed into a window means: a message or one of the slash commands.

The one registry of slash commands, for plain and interactive windows alike; it runs
none of them (`crdtsync_cli.actions` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync_cli.routing import nearest

__all__ = ["REGISTRY", "Command", "Say", "Slash", "help_lines", "read_line", "whole"]


@dataclass(frozen=True, slots=True)
class Slash:
    """One slash command.

    Attributes:
        name: Without the slash.
        args: As the help shows them.
        help: One sentence.
        aliases: Other names.
        needs: How many words it needs at least.
    """

    name: str
    args: str
    help: str
    aliases: tuple[str, ...] = ()
    needs: int = 0

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"/{self.name} {self.args}".strip()


USAGE_CHARS_MAX: Final = 24
"""In the help, a longer usage has a line of its own."""

REGISTRY: Final = (
    Slash("help", "[COMMAND]", "Show what can be typed here.", ("?",)),
    Slash("who", "", "Show who is here."),
    Slash("status", "", "Show the session, the turn and what waits."),
    Slash(
        "queue",
        "[show | move FROM TO | drop N | edit N TEXT | run]",
        "Show or change the prompts that wait; run releases the held ones.",
    ),
    Slash("cancel", "[TURN]", "Stop the running turn."),
    Slash("interrupt", "TEXT", "Stop the running turn and run this instead.", (), 1),
    Slash("allow", "N", "Answer permission question N with yes.", needs=1),
    Slash("deny", "N [WHY]", "Answer permission question N with no.", needs=1),
    Slash("note", "TEXT", "Write to the people only; the agent never sees it.", (), 1),
    Slash("title", "TEXT", "Give the session a title.", needs=1),
    Slash("history", "[N]", "Show the last N messages (20)."),
    Slash("search", "TEXT", "Find messages.", needs=1),
    Slash("export", "[FORMAT] [PATH]", "Write the session to a file (md)."),
    Slash("agents", "", "Show which agents run here, and which could."),
    Slash("leave", "", "Leave the session; it stays.", ("quit", "exit", "q")),
)
"""Every slash command, in the order /help lists them."""

_BY_NAME: Final = {
    name: slash for slash in REGISTRY for name in (slash.name, *slash.aliases)
}


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
    name, _, rest = line[1:].partition(" ")
    slash = _BY_NAME.get(name.strip().lower())
    if slash is None:
        raise _unknown(name.strip())
    command = Command(slash, rest.strip())
    if len(command.words) < slash.needs:
        raise UsageError(
            f"/{slash.name} needs {slash.args}", hint=f"For example: {slash.usage}"
        )
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
        slash = _BY_NAME.get(name.lstrip("/").lower())
        if slash is None:
            raise _unknown(name.lstrip("/"))
        also = ", ".join(f"/{alias}" for alias in slash.aliases)
        return [slash.usage, f"  {slash.help}" + (f" Also {also}." if also else "")]
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


def _unknown(name: str) -> UsageError:
    near = nearest(name.lower(), tuple(_BY_NAME))
    meant = f"Did you mean /{near}? " if near else ""
    return UsageError(
        f"there is no command /{clean_line(name)}; nothing was sent",
        hint=f"{meant}/help lists all; //{clean_line(name)} says it literally.",
    )
