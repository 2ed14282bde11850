"""Completes a command line for a shell, fast: no parser and no session is loaded.

The commands and options come from a table that `docs/pages.py` wrote from the app.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

from crdtsync_cli.routing import SUBCOMMANDS, route

__all__ = ["Surface", "complete", "proposals"]


class Surface(TypedDict):
    """One command as completion knows it; those of a command are "relay token".

    Attributes:
        help: One sentence.
        options: Option to its help.
        values: Option to its possible values; empty if any will do.
        session: Whether its first argument names a session.
    """

    help: str
    options: Mapping[str, str]
    values: Mapping[str, Sequence[str]]
    session: bool


def complete(words: Sequence[str]) -> int:
    """Print proposals for the last of the words, as the shell wants them."""
    shell, *line = words or ["bash"]
    path = f"{os.path.dirname(__file__)}/pages/completion.json"  # noqa: PTH120 - slow
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow
        surfaces: Mapping[str, Surface] = json.load(file)
    for value, text in proposals(line or [""], surfaces, _session_names):
        sys.stdout.write(_shown(shell, value, text) + "\n")
    return 0


def proposals(
    line: Sequence[str],
    surfaces: Mapping[str, Surface],
    sessions: Callable[[Sequence[str]], Sequence[str]],
) -> Iterator[tuple[str, str]]:
    """What the last word could become, with a help text each.

    Args:
        line: The words after the program's name; the last may be empty.
        surfaces: By command; "" holds the global options.
        sessions: Names of the sessions, given the global options typed so far.
    """
    *before, last = line
    routed = route(before)
    named = routed.command in surfaces and not routed.bare and bool(_words(before))
    typed = _words(routed.after)
    below = SUBCOMMANDS.get(routed.command, ()) if named else ()
    key = routed.command if named else "open"
    if typed and typed[0] in below:
        key, typed, below = f"{key} {typed[0]}", typed[1:], ()
    surface = surfaces[key]
    options = {**surface["options"], **surfaces[""]["options"]}
    values = {**surface["values"], **surfaces[""]["values"]}
    every: list[tuple[str, str]] = []
    if before and before[-1] in values:
        every = [(value, "") for value in values[before[-1]]]
    elif last.startswith("-"):
        every = list(options.items())
    elif not _words(before):
        every = [(n, s["help"]) for n, s in surfaces.items() if n and " " not in n]
        every += [(name, "session") for name in sessions(routed.before)]
    elif below and not typed:
        every = [(sub, surfaces[f"{key} {sub}"]["help"]) for sub in below]
    elif named and surface["session"] and not typed:
        every = [(name, "session") for name in sessions(routed.before)]
    yield from (each for each in every if each[0].startswith(last))


def _words(line: Sequence[str]) -> list[str]:
    """The words that are no options; values of options count, which does not matter."""
    return [word for word in line if not word.startswith("-")]


def _session_names(options: Sequence[str]) -> Sequence[str]:
    from crdtsync.catalog import Catalog  # noqa: PLC0415 - only where it is needed
    from crdtsync_cli.settings import load  # noqa: PLC0415 - likewise

    words = iter(options)
    flags = {word[2:].replace("-", "_"): next(words, None) for word in words}
    try:
        entries = Catalog(load(flags, os.environ).data).entries()
    except Exception:
        return ()
    return [entry.name for entry in entries if not entry.missing]


def _shown(shell: str, value: str, text: str) -> str:
    match shell:
        case "zsh":
            escaped = value.replace(":", "\\:")
            return f"{escaped}:{text}" if text else escaped
        case "fish":
            return f"{value}\t{text}" if text else value
    return value
