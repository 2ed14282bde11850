"""Finished blocks on their way to the terminal: a few rows per frame, in order.

It writes nothing. A backlog comes at once, so that what is waiting has a bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from crdtsync_cli.terminal.block import Block
from crdtsync_cli.terminal.painter import Painter

__all__ = ["Page"]

ROWS_PER_FRAME: Final = 40
"""One frame fits into one read of a terminal, or nearly."""

BACKLOG_MAX: Final = 500
"""If more rows and blocks wait, they are shown all at once."""


class Page:
    """What one window has not printed yet."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self._blocks: deque[Block] = deque()
        self._rows: deque[str] = deque()

    @property
    def waiting(self) -> int:
        """How many blocks and rows wait."""
        return len(self._blocks) + len(self._rows)

    def add(self, blocks: Iterable[Block]) -> None:
        """Append blocks."""
        self._blocks.extend(blocks)

    def take(self, width: int) -> str:
        """The rows of the next frame."""
        everything = self.waiting > BACKLOG_MAX
        while self._blocks and (everything or len(self._rows) < ROWS_PER_FRAME):
            drawn = self._painter.drawn([self._blocks.popleft()], width)
            self._rows.extend(drawn.splitlines(keepends=True))
        count = len(self._rows) if everything else ROWS_PER_FRAME
        return "".join(self._rows.popleft() for _ in range(min(count, len(self._rows))))
