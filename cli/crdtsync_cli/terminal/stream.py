"""Cuts a streamed markdown answer into finished blocks; it renders nothing.

A finished block never changes by what comes after it. Looked at are whole lines only,
and only of what has not been handed out yet.
"""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from crdtsync_cli.terminal.block import Answer, Code

__all__ = ["Stream"]

FENCE_LINES_MAX: Final = 12
"""A code fence that is longer is handed out line by line while it is open."""

FENCE_LINES_LIVE: Final = 6
"""Of such a fence so many lines are kept back."""

BLOCK_CHARS_MAX: Final = 8192
"""A block that grows beyond this is cut at the end of a line or a word."""

_MARKDOWN: Final = MarkdownIt().enable(["strikethrough", "table"])
_ENDED_BY_BLANK: Final = {"paragraph_open", "table_open"}


class Stream:
    """One message that is being written.

    Args:
        taken: How many characters of it were shown by other means.

    Attributes:
        language: Of the long code fence that is open, or None.
    """

    def __init__(self, taken: int = 0) -> None:
        self.language: str | None = None
        self._taken = taken
        self._tail = ""
        self._new: list[str] = []
        self._newline = False
        self._marker = ""

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
            found = self._blocks()
        if len(self.tail) > BLOCK_CHARS_MAX and self.language is None:
            found.append(Answer(self._cut(_word_end(self.tail))))
        return [block for block in found if block.text.strip()]

    def finish(self, whole: str | None = None) -> list[Answer | Code]:
        """Hand out the rest.

        Args:
            whole: The finished message, if it is known.
        """
        rest = self.tail if whole is None else whole[self._taken :]
        self._tail, added = rest, not rest.endswith("\n")
        self._tail += "\n" * added
        found = self._blocks()
        if self.language is not None:
            found.append(self._code(self._tail.count("\n")))
            self.language = None
        found.append(Answer(self._cut(len(self._tail))))
        self._taken -= added
        return [block for block in found if block.text.strip()]

    def _blocks(self) -> list[Answer | Code]:
        found: list[Answer | Code] = []
        while True:
            if self.language is not None:
                found += self._fenced()
                if self.language is not None:
                    return found
            lines = self.tail[: self.tail.rfind("\n") + 1]
            tokens = _top_level(lines)
            end = _finished_lines(lines, tokens)
            if end:
                found.append(Answer(self._cut(_offset(lines, end))))
                lines = self.tail[: self.tail.rfind("\n") + 1]
            if not self._open_fence(lines, tokens[-1:]):
                return found

    def _open_fence(self, lines: str, last: list[Token]) -> bool:
        """Begin to hand out a long fence that is open; whether it is one."""
        if not lines or not last or last[0].type != "fence":
            return False
        if lines.count("\n") <= FENCE_LINES_MAX:
            return False
        words = last[0].info.split()
        self.language, self._marker = (words[0] if words else ""), last[0].markup
        self._first = True
        self._cut(lines.index(last[0].markup))
        self._cut(self._tail.index("\n") + 1)
        return True

    def _fenced(self) -> list[Code]:
        """The lines of the open fence that are finished."""
        lines = self.tail.split("\n")[:-1]
        for at, line in enumerate(lines):
            if _closes(line, self._marker):
                found = [self._code(at)]
                self._cut(self._tail.index("\n") + 1)
                self.language = None
                return found
        count = len(lines) - FENCE_LINES_LIVE
        return [self._code(count)] if count > 0 else []

    def _code(self, count: int) -> Code:
        first, self._first = self._first, False
        text = self._cut(_offset(self._tail, count)).removesuffix("\n")
        return Code(text, self.language or "", first)

    def _cut(self, end: int) -> str:
        found, self._tail = self.tail[:end], self._tail[end:]
        self._taken += end
        return found


def _top_level(text: str) -> list[Token]:
    """The first token of each top-level block."""
    tokens = _MARKDOWN.parse(text)
    return [t for t in tokens if t.level == 0 and t.nesting >= 0 and t.map]


def _finished_lines(text: str, tokens: list[Token]) -> int:
    """How many lines belong to blocks that are finished."""
    if not tokens:
        return text.count("\n")
    last = tokens[-1]
    start, end = last.map or [0, 0]
    lines = text.split("\n")[:-1]
    match last.type:
        case "hr":
            done = True
        case "heading_open":
            done = last.markup.startswith("#")
        case "fence":
            done = end - start > 1 and _closes(lines[end - 1], last.markup)
        case kind:
            done = kind in _ENDED_BY_BLANK and not lines[-1].strip()
    return len(lines) if done else start


def _closes(line: str, marker: str) -> bool:
    """Whether a line ends a code fence that began with this marker."""
    word = line.strip()
    return len(word) >= len(marker) and not word.strip(marker[0])


def _offset(text: str, lines: int) -> int:
    """Where the text behind so many lines begins."""
    at = 0
    for _ in range(lines):
        at = text.index("\n", at) + 1
    return at


def _word_end(text: str) -> int:
    for end in ("\n", " "):
        if (at := text.rfind(end, 0, BLOCK_CHARS_MAX)) > 0:
            return at + 1
    return BLOCK_CHARS_MAX
