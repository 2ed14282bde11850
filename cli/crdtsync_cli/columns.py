"""Two streams of lines side by side, row by row, for a terminal or a pipe.

It only appends, so what was shown stays in the scrollback, and a pipe gets the same.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from crdtsync_cli.words import cells

__all__ = ["Columns"]

_SGR: Final = re.compile(r"\x1b\[[0-9;]*m")
_RESET: Final = "\x1b[0m"
_LINE: Final = "│"

WAIT_FRAMES: Final = 4
"""So many calls a row waits for its neighbour, before it is shown alone."""


class Columns:
    """Pairs rows of two columns.

    Args:
        width: Of each column, in cells.
        styled: Whether SGR sequences are kept.
    """

    def __init__(self, width: int, *, styled: bool) -> None:
        self.width = width
        self._styled = styled
        self._rows: tuple[deque[str], deque[str]] = (deque(), deque())
        self._waited = 0

    def add(self, column: int, lines: Sequence[str]) -> None:
        """Append lines to the left (0) or the right (1) column."""
        self._rows[column].extend(lines)

    def take(self, *, finish: bool = False) -> list[str]:
        """The rows that can be shown: pairs, and what has waited long enough."""
        left, right = self._rows
        found = []
        while left and right:
            found.append(self._row(left.popleft(), right.popleft()))
            self._waited = 0
        if left or right:
            self._waited += 1
        if finish or self._waited > WAIT_FRAMES:
            while left or right:
                pair = [rows.popleft() if rows else "" for rows in (left, right)]
                found.append(self._row(*pair))
            self._waited = 0
        return found

    def _row(self, left: str, right: str) -> str:
        row = f"{self._fit(left)} {self._dim(_LINE)} {self._fit(right)}"
        return row.rstrip()

    def _fit(self, text: str) -> str:
        shown = _SGR.sub("", text)
        gap = " " * max(0, self.width - cells(shown))
        return (
            text + (_RESET if text != shown else "") + gap
            if self._styled
            else shown + gap
        )

    def _dim(self, text: str) -> str:
        return f"\x1b[90m{text}{_RESET}" if self._styled else text
