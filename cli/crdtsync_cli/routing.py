"""Puts the arguments in the order the parser wants; it parses no command's options.

`crdtsync fix-parser` means `crdtsync open fix-parser`, and global options may stand
before or after the command. Imported before anything slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["COMMANDS", "SUBCOMMANDS", "Routed", "nearest", "route"]

COMMANDS = (
    "open",
    "list",
    "send",
    "host",
    "who",
    "status",
    "queue",
    "approve",
    "deny",
    "cancel",
    "watch",
    "show",
    "search",
    "export",
    "import",
    "merge",
    "fork",
    "share",
    "join",
    "leave",
    "relay",
    "agents",
    "doctor",
    "config",
    "demo",
    "completion",
)
"""Every command, in the order of the help page."""

SUBCOMMANDS = {"relay": ("token", "tokens", "invites", "sessions")}
"""Commands of a command; without one it does what it is named after."""

WITH_VALUE = ("--data", "--name", "--color", "--log-level", "--log-file")
"""Global options that take a value."""

OPEN_WITH_VALUE = (
    "--agent",
    "--permissions",
    "--cwd",
    "--relay",
    "--peer",
    "--offline-turns",
    "--listen",
)
"""Options of `open` that take a value, for when they stand before the session."""

FLAGS = ("--version", "--help")
_OLD_COMPLETION = {"--show-completion": (), "--install-completion": ("--install",)}


class Routed(NamedTuple):
    """Arguments in parsing order.

    Attributes:
        before: The global options, all of them, in front.
        command: One of `COMMANDS`, or "" if there is only --help or --version.
        after: What belongs to the command.
        bare: The session, if a bare word was taken for one; else "".
    """

    before: list[str]
    command: str
    after: list[str]
    bare: str = ""


def route(arguments: Sequence[str]) -> Routed:
    """Find the command and move the global options in front of it."""
    before, rest = _hoist(arguments)
    index = _first_word(rest)
    leading, word, after = rest[:index], rest[index : index + 1], rest[index + 1 :]
    if leading and leading[0] in _OLD_COMPLETION:
        return Routed(
            before, "completion", [*_OLD_COMPLETION[leading[0]], *word, *after]
        )
    if word and word[0] in COMMANDS:
        return Routed(before, word[0], [*leading, *after])
    if not word and any(flag in leading for flag in FLAGS):
        return Routed([*before, *leading], "", [])
    bare = "" if not word or word[0] == "--" else word[0]
    return Routed(before, "open", rest, bare)


def nearest(word: str, candidates: Sequence[str]) -> str:
    """Find the candidate a mistyped word stands for, or ""."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow, and rarely needed

    return next(iter(get_close_matches(word, candidates, n=1, cutoff=0.7)), "")


def _first_word(words: Sequence[str]) -> int:
    """Index of the first word that is neither an option nor an option's value."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        if words[index] in {"-", "--"}:
            break
        index += 2 if words[index] in OPEN_WITH_VALUE else 1
    return min(index, len(words))


def _hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate global options with a value from the rest, up to a `--`."""
    before: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return before, [*rest, word, *words]
        name, equals, _ = word.partition("=")
        if name not in WITH_VALUE:
            rest.append(word)
            continue
        before.append(word)
        if not equals and (value := next(words, None)) is not None:
            before.append(value)
    return before, rest
