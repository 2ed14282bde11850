"""Cuts a growing markdown text where a block is complete; it renders nothing.

A block ends at a blank line outside a code fence. Nothing is lost or repeated: the
blocks joined are the text, but for blank lines between them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Blocks"]

BLOCK_CHARS_MAX: Final = 8192
"""A block that grows beyond this is cut at a line end."""


class Blocks:
    """One message that is being written.

    Args:
        taken: How much of it was handed out by other means.
    """

    def __init__(self, taken: int = 0) -> None:
        self._tail = ""
        self._scanned = 0
        self._fence = ""
        self._taken = taken

    @property
    def tail(self) -> str:
        """What has not been handed out yet."""
        return self._tail

    def feed(self, text: str) -> list[str]:
        """Take more text and return the blocks it completes."""
        self._tail += text
        found = []
        while (end := self._boundary()) is not None:
            block, self._tail = self._tail[:end], self._tail[end:]
            self._taken += end
            self._scanned = 0
            if block.strip():
                found.append(block.strip("\n"))
        return found

    def rest(self, whole: str) -> str:
        """What of the finished message has not been handed out."""
        return whole[self._taken :].strip("\n")

    def _boundary(self) -> int | None:
        """Offset behind the first complete block, looking only at new lines."""
        while (newline := self._tail.find("\n", self._scanned)) >= 0:
            line = self._tail[self._scanned : newline].strip()
            self._scanned = newline + 1
            if self._fence:
                if line.startswith(self._fence) and not line.strip(self._fence[0]):
                    self._fence = ""
            elif line.startswith(("```", "~~~")):
                width = len(line) - len(line.lstrip(line[0]))
                self._fence = line[0] * width
            elif not line:
                return newline + 1
            if newline > BLOCK_CHARS_MAX:
                return newline + 1
        return None
