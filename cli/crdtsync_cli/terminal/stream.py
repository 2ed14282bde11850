"""Cuts a streamed markdown answer into finished blocks; it renders nothing.

A finished block never changes by what comes after it, and where the cuts are does not
depend on the pieces in which the text came. Looked at are whole lines only, and only of
what has not been handed out yet.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from crdtsync_cli.terminal.block import Answer, Code
from crdtsync_cli.terminal.pieces import Piece, closes_fence, pieces_of

__all__ = ["Stream"]

FENCE_LINES_MAX: Final = 12
"""A code fence that is longer is handed out line by line."""

FENCE_LINES_LIVE: Final = 6
"""Of such a fence so many lines are kept back while it is open."""

BLOCK_CHARS_MAX: Final = 8192
"""A block that grows beyond this is cut at the end of a line or a word."""

TABLE_CHARS_MAX: Final = 32 * 1024
"""A table cannot be cut without harm, so it may be longer."""


class Stream:
    """One message that is being written.

    Args:
        taken: How many characters of it were shown by other means.

    Attributes:
        language: Of the long code fence that is open, or None.
        item: The number of the next item, if a list was handed out in part; or 0.
    """

    def __init__(self, taken: int = 0) -> None:
        self.language: str | None = None
        self.item = 0
        self._taken = taken
        self._tail = ""
        self._new: list[str] = []
        self._newline = False
        self._marker = ""
        self._first = True

    @property
    def tail(self) -> str:
        """What has not been handed out yet."""
        if self._new:
            self._tail += "".join(self._new)
            self._new.clear()
        return self._tail

    @property
    def taken(self) -> int:
        """How many characters have been handed out."""
        return self._taken

    def feed(self, text: str) -> None:
        """Take more text; costs the same however much there is."""
        self._new.append(text)
        self._newline = self._newline or "\n" in text

    def take(self) -> list[Answer | Code]:
        """Hand out what is finished."""
        found: list[Answer | Code] = []
        if self._newline:
            self._newline = False
            found += self._blocks()
        if self.language is None:
            found += self._long_line()
        return [block for block in found if block.text.strip()]

    def finish(self, whole: str | None = None) -> list[Answer | Code]:
        """Hand out the rest.

        Args:
            whole: The finished message, if it is known.
        """
        tail = self.tail
        rest = tail if whole is None else whole[self._taken :]
        self._tail, added = rest, not rest.endswith("\n")
        self._tail += "\n" * added
        found = [*self._blocks()]
        if self.language is not None:
            found += self._code(self._tail.count("\n"))
            self.language = None
        found.append(self._answer(self._cut(len(self._tail))))
        self._taken -= added
        return [block for block in found if block.text.strip()]

    def _blocks(self) -> Iterator[Answer | Code]:
        """Hand out all that is finished of the whole lines."""
        anew = True
        while anew:
            if self.language is not None:
                yield from self._fenced()
                if self.language is not None:
                    return
            anew = yield from self._pieces()

    def _pieces(self) -> Generator[Answer, None, bool]:
        """Hand out what is finished; whether the rest is to be looked at anew."""
        self._cut(len(self.tail) - len(self.tail.lstrip("\n")))
        done, anew = 0, False
        for piece in pieces_of(self.tail[: self.tail.rfind("\n") + 1]):
            limit = _limit(piece)
            if _is_long_fence(piece):
                self._cut(done)
                self._open(piece)
                return True
            if len(piece.text.strip()) > limit:
                end = _word_end(piece.text, limit)
                yield self._answer(piece.text[:end])
                done, anew = done + end, True
                break
            if not piece.finished:
                break
            yield self._answer(piece.text, piece)
            done += len(piece.text)
        self._cut(done)
        return anew

    def _long_line(self) -> Iterator[Answer]:
        """Cut a line that is too long to wait for its end."""
        begin = self.tail.rfind("\n") + 1
        if len(self.tail) - begin <= BLOCK_CHARS_MAX:
            return
        *_, piece = pieces_of(self.tail[:begin]) if begin else [Piece("")]
        if piece.kind == "fence":
            self._open(piece)
            return
        if begin:
            yield self._answer(self._cut(begin))
        while len(self.tail.strip()) > BLOCK_CHARS_MAX:
            yield self._answer(self._cut(_word_end(self.tail, BLOCK_CHARS_MAX)))

    def _answer(self, text: str, piece: Piece | None = None) -> Answer:
        """What is handed out of a text: a whole piece, or where one is cut."""
        item, self.item = self.item, 0
        if piece is None or not piece.goes_on:
            return Answer(text, item)
        self.item = item + 1 if item else piece.number + 1
        return Answer(text, item, goes_on=True)

    def _open(self, piece: Piece) -> None:
        """Begin to hand out a long code fence."""
        words = piece.info.split()
        self.language, self._marker = (words[0] if words else ""), piece.markup
        self._first, self.item = True, 0
        self._cut(self.tail.index("\n", self.tail.index(piece.markup)) + 1)

    def _fenced(self) -> Iterator[Code]:
        """The lines of the open fence that are finished."""
        lines = self.tail.split("\n")[:-1]
        for at, line in enumerate(lines):
            if closes_fence(line, self._marker):
                yield from self._code(at)
                self._cut(self._tail.index("\n") + 1)
                self.language = None
                return
        count = len(lines) - FENCE_LINES_LIVE
        # Blank lines at the end of a fence are not shown.
        while count > 0 and not lines[count - 1].strip():
            count -= 1
        if count > 0:
            yield from self._code(count)

    def _code(self, count: int) -> Iterator[Code]:
        text = self._cut(_offset(self._tail, count)).rstrip()
        if text:
            first, self._first = self._first, False
            yield Code(text, self.language or "", first)

    def _cut(self, end: int) -> str:
        found, self._tail = self.tail[:end], self._tail[end:]
        self._taken += end
        return found


def _is_long_fence(piece: Piece) -> bool:
    text = piece.text.strip()
    long = text.count("\n") >= FENCE_LINES_MAX or len(text) > BLOCK_CHARS_MAX
    return long and piece.kind == "fence"


def _limit(piece: Piece) -> int:
    """How long a piece may be.

    A line that is cut while it comes, as it is too long to wait for, is in no table.
    """
    if piece.kind != "table_open":
        return BLOCK_CHARS_MAX
    at = 0
    for line in piece.text.splitlines(keepends=True):
        if len(line.rstrip("\n")) > BLOCK_CHARS_MAX:
            return at or BLOCK_CHARS_MAX
        at += len(line)
    return TABLE_CHARS_MAX


def _offset(text: str, lines: int) -> int:
    """Where the text behind so many lines begins."""
    at = 0
    for _ in range(lines):
        at = text.index("\n", at) + 1
    return at


def _word_end(text: str, limit: int) -> int:
    for end in ("\n", " "):
        if (at := text.rfind(end, 0, limit)) > 0:
            return at + 1
    return limit
