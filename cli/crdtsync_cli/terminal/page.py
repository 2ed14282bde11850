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
        self._everything = False

    @property
    def waiting(self) -> int:
        """How many blocks and rows wait."""
        return len(self._blocks) + len(self._rows)

    def add(self, blocks: Iterable[Block]) -> None:
        """Append blocks."""
        self._blocks.extend(blocks)

    def draw(self, width: int) -> bool:
        """Draw a block, if the next frame has room for it; whether it had."""
        self._everything = self._everything or self.waiting > BACKLOG_MAX
        if not self._blocks:
            return False
        if len(self._rows) >= ROWS_PER_FRAME and not self._everything:
            return False
        drawn = self._drawn(self._blocks.popleft(), width)
        self._rows.extend(drawn.splitlines(keepends=True))
        return True

    def take(self) -> str:
        """The rows of the next frame, when it has been drawn."""
        count = len(self._rows)
        if not self._everything:
            count = min(count, ROWS_PER_FRAME)
        self._everything = False
        return "".join(self._rows.popleft() for _ in range(count))

    def _drawn(self, block: Block, width: int) -> str:
        """A block as rows; a fault in it must not end the window."""
        try:
            return self._painter.drawn([block], width)
        except Exception:
            _log.exception("cannot draw a %s", type(block).__name__)
            return self._painter.drawn([RENDER_ERROR], width)
