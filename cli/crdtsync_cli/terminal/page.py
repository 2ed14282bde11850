"""Finished blocks on their way to the terminal: a few rows per frame, in order.

It writes nothing. A backlog comes at once, so that what is waiting has a bound.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

from crdtsync_cli.terminal.block import Block, Line
from crdtsync_cli.terminal.painter import Painter

__all__ = ["RENDER_ERROR", "Page"]

RENDER_ERROR: Final = Line("render error: see the log", "bad")

ROWS_PER_FRAME: Final = 40
"""One frame fits into one read of a terminal, or nearly."""

BACKLOG_MAX: Final = 500
"""If more rows and blocks wait, they are shown all at once."""

_log = logging.getLogger(__name__)


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
            drawn = self._drawn(self._blocks.popleft(), width)
            self._rows.extend(drawn.splitlines(keepends=True))
        count = len(self._rows) if everything else ROWS_PER_FRAME
        return "".join(self._rows.popleft() for _ in range(min(count, len(self._rows))))

    def _drawn(self, block: Block, width: int) -> str:
        """A block as rows; a fault in it must not end the window."""
        try:
            return self._painter.drawn([block], width)
        except Exception:
            _log.exception("cannot draw a %s", type(block).__name__)
            return self._painter.drawn([RENDER_ERROR], width)
