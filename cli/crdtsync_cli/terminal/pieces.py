"""Finds the top-level pieces of a markdown text; it knows no screen and no message.

A piece is a block, or one item of a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Piece", "closes_fence", "pieces_of"]

# Where blocks begin and end does not depend on what is in their lines.
_BLOCKS: Final = MarkdownIt().enable("table").disable(["inline", "text_join"])
_ENDED_BY_BLANK: Final = {"paragraph_open", "table_open"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece, with the blank lines behind it.

    Attributes:
        text: Whole lines.
        kind: The type of its first token; "" for what shows nothing.
        finished: Whether no line that follows can change it.
        markup: What it begins with, for a code fence.
        info: What stands behind that.
        number: Of an item: its number, if the list begins with the text.
        goes_on: Whether it is an item with others behind it.
    """

    text: str
    kind: str = ""
    finished: bool = True
    markup: str = ""
    info: str = ""
    number: int = 0
    goes_on: bool = False


def pieces_of(text: str) -> Iterator[Piece]:
    """The pieces of whole lines, in order; the last one may be unfinished."""
    lines = [f"{line}\n" for line in text.split("\n")[:-1]]
    # The parser takes a lone carriage return for the end of a line.
    blocks = _blocks(_BLOCKS.parse(text.replace("\r", " ")))
    at = 0
    for number, (token, items) in enumerate(blocks):
        begin, end = token.map or [0, 0]
        if "".join(lines[at:begin]).strip():
            yield Piece("".join(lines[at:begin]))
            at = begin
        last = number == len(blocks) - 1
        following = len(lines) if last else (blocks[number + 1][0].map or [0])[0]
        if "".join(lines[end:following]).strip():
            following = end
        finished = not last or following < len(lines) or _is_finished(token, lines)
        if items:
            starts = [at, *items[1:], following]
            yield from _items(lines, starts, token, finished=finished)
        else:
            shown = "".join(lines[at:following])
            yield Piece(shown, token.type, finished, token.markup, token.info)
        at = following
    if at < len(lines):
        yield Piece("".join(lines[at:]))


def _blocks(tokens: Sequence[Token]) -> list[tuple[Token, list[int]]]:
    """The first token of each top-level block; of a list, where its items begin."""
    found: list[tuple[Token, list[int]]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0 and token.map:
            found.append((token, []))
        elif token.level == 1 and token.type == "list_item_open" and token.map:
            found[-1][1].append(token.map[0])
    return found


def _items(
    lines: Sequence[str], starts: Sequence[int], token: Token, *, finished: bool
) -> Iterator[Piece]:
    """A list item by item: what follows an item cannot change it."""
    first = int(token.attrs.get("start", 1))
    for number, (begin, end) in enumerate(pairwise(starts)):
        last = number == len(starts) - 2
        yield Piece(
            "".join(lines[begin:end]),
            token.type,
            finished or not last,
            number=first + number,
            goes_on=not last,
        )


def _is_finished(token: Token, lines: Sequence[str]) -> bool:
    """Whether the last block is finished, although no other follows."""
    begin, end = token.map or [0, 0]
    match token.type:
        case "hr":
            return True
        case "heading_open":
            return token.markup.startswith("#")
        case "fence":
            return end - begin > 1 and closes_fence(lines[end - 1], token.markup)
        case kind:
            return kind in _ENDED_BY_BLANK and not lines[-1].strip()


def closes_fence(line: str, marker: str) -> bool:
    """Whether a line ends a code fence that began with this marker."""
    word = line.strip()
    return len(word) >= len(marker) and not word.strip(marker[0])
