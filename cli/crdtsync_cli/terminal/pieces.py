"""Finds the top-level pieces of a markdown text; it knows no screen and no message.

A piece is a block, or one item of a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Piece", "closes_fence", "pieces_of"]

_MARKDOWN: Final = MarkdownIt().enable(["strikethrough", "table"])
_ENDED_BY_BLANK: Final = {"paragraph_open", "table_open"}
_LISTS: Final = {"bullet_list_open", "ordered_list_open"}


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
    tokens = _MARKDOWN.parse(text.replace("\r", " "))
    tops = [t for t in tokens if t.level == 0 and t.nesting >= 0 and t.map]
    at = 0
    for number, token in enumerate(tops):
        begin, end = token.map or [0, 0]
        if "".join(lines[at:begin]).strip():
            yield Piece("".join(lines[at:begin]))
            at = begin
        last = number == len(tops) - 1
        following = len(lines) if last else (tops[number + 1].map or [0])[0]
        if "".join(lines[end:following]).strip():
            following = end
        finished = not last or following < len(lines) or _is_finished(token, lines)
        if token.type in _LISTS:
            yield from _list(lines, (at, following), token, tokens, finished=finished)
        else:
            shown = "".join(lines[at:following])
            yield Piece(shown, token.type, finished, token.markup, token.info)
        at = following
    if at < len(lines):
        yield Piece("".join(lines[at:]))


def _list(
    lines: Sequence[str],
    span: tuple[int, int],
    token: Token,
    tokens: Sequence[Token],
    *,
    finished: bool,
) -> Iterator[Piece]:
    """A list item by item: what follows an item cannot change it."""
    start = int(token.attrs.get("start", 1))
    begins = _item_lines(token, tokens)
    ends = [*begins[1:], span[1]]
    begins[0] = span[0]
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        last = number == len(begins) - 1
        yield Piece(
            "".join(lines[begin:end]),
            token.type,
            finished or not last,
            number=start + number,
            goes_on=not last,
        )


def _item_lines(token: Token, tokens: Sequence[Token]) -> list[int]:
    """In which lines the items of a top-level list begin."""
    found = []
    for inner in tokens[tokens.index(token) + 1 :]:
        if inner.level == 0:
            break
        if inner.level == 1 and inner.type == "list_item_open" and inner.map:
            found.append(inner.map[0])
    return found


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
