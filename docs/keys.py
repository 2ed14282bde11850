"""Writes the page of keys and slash commands from the program's own tables.

Run `uv run python docs/keys.py` after changing one; a test says when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from crdtsync_cli.slashes import REGISTRY, Slash
from crdtsync_cli.terminal.keys import CARD_KEYS, KEYS

PAGE = Path(__file__).parent / "reference" / "keys.md"


def page() -> str:
    """The whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield from (
        "# Keys and commands of a window",
        "",
        "Written by `docs/keys.py` from the program; a test keeps it true.",
        "",
        "## Keys",
        "",
        "The keys of readline work as well, such as Ctrl-A, Ctrl-K and Alt-B.",
        "",
        *_table("key", "what it does", KEYS),
        "",
        "What you typed is kept in `typed.jsonl` in the data folder, readable by you",
        "alone: the last 1,000 lines, none that holds a secret or an invite, and none",
        "that begins with a space.",
        "",
        "## A permission question",
        "",
        "When the agent asks, a row above the line says so. It takes no key: whatever",
        "you type goes into the line, and typing can never answer. Tab gives it the",
        "keys, which do nothing for the first 0.4 seconds; `/allow N` and `/deny N`",
        "always work. The first answer of anybody who may answer counts, and every",
        "window says whose it was.",
        "",
        *_table("key", "what it does", CARD_KEYS),
        "",
        "## Commands",
        "",
        "A line that begins with a slash is a command; `//text` says `/text`. They are",
        "the same in windows without a screen (`--plain`, `--json`), but for those",
        "marked *screen*, and all may be used while a turn runs. An unknown one sends",
        "nothing and names the nearest.",
        "",
        *_table("command", "what it does", map(_row, REGISTRY)),
        "",
        "IDs such as 3.2 are in the list of `/activity`: the second tool of turn 3.",
        "`/copy` needs a terminal that takes OSC 52; in tmux, that is",
        "`set -g set-clipboard on`.",
        "Long replies go to `$PAGER`; `PAGER=cat` prints them.",
    )


def _row(slash: Slash) -> tuple[str, str]:
    notes = [f"{slash.role}s"] if slash.role != "viewer" else []
    notes += ["screen"] * slash.screen
    also = ", ".join(f"`/{alias}`" for alias in slash.aliases)
    said = slash.help + (f" Also {also}." if also else "")
    said += f" *{', '.join(notes)}*" if notes else ""
    return f"`{slash.usage}`", said


def _table(first: str, second: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {first} | {second} |"
    yield "|---|---|"
    for left, right in rows:
        yield f"| {_cell(left)} | {_cell(right)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
