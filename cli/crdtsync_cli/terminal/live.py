"""An inline prompt-toolkit application that prints above itself in one write.

The only module that touches private names of prompt-toolkit (a test pins them). It
never clears the screen, never leaves raw mode and never asks for the cursor position,
so a half-typed line is on the screen at every moment and nothing is echoed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout.screen import Screen
from prompt_toolkit.output.vt100 import Vt100_Output

__all__ = ["LiveApplication", "SyncOutput"]

PENDING_CHARS_MAX: Final = 1_000_000
"""Of what comes while an editor has the terminal, so much is kept."""

_BEGIN: Final = "\x1b[?2026h"
_END: Final = "\x1b[?2026l"


class SyncOutput(Vt100_Output):
    """Writes each frame at once, marked as one synchronized update (DEC 2026).

    Terminals that do not know the mark still get one write per frame.

    Attributes:
        marked: Whether frames carry the mark.
    """

    marked: bool = True
    _depth = 0

    def flush(self) -> None:
        """Write what is buffered, unless a frame is being put together."""
        if self._depth or not self._buffer:
            return
        if self.marked:
            self._buffer.insert(0, _BEGIN)
            self._buffer.append(_END)
        super().flush()

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Put a frame together; nests."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.flush()


class LiveApplication(Application[None]):
    """An application at the bottom of the terminal, with history above it.

    Attributes:
        frames: Its output, as given to it.
        reflows: Whether the terminal wraps long rows anew when it is resized.
        drawn_s: When it was last drawn, by the loop's time.
    """

    frames: SyncOutput
    reflows: bool = True
    drawn_s: float = 0.0
    _pending: str = ""

    def print_above(self, ansi: str) -> None:
        """Write finished lines into the scrollback; only from the loop's thread.

        Before the application runs, and while an editor has the terminal, it waits.
        """
        if self._running_in_terminal or not self._is_running:
            self._pending = (self._pending + ansi)[-PENDING_CHARS_MAX:]
            return
        ansi, self._pending = self._pending + ansi, ""
        if not ansi:
            return
        with self.frames.frame():
            self._erase_after_resize()
            self._erase()
            # Raw mode does not turn a newline into a new line.
            self.frames.write_raw(ansi.replace("\n", "\r\n"))
            self._redraw()

    def invalidate_in(self, seconds: float) -> None:
        """Redraw after so long, because something is not to be shown any more."""
        if self.loop is not None:
            self.loop.call_later(seconds, self.invalidate)

    def call(self, alert: str) -> None:
        """Send a bell or a notification, which show nothing and move nothing."""
        if alert and self._is_running and not self._running_in_terminal:
            with self.frames.frame():
                self.frames.write_raw(alert)

    def print_rest(self) -> None:
        """Write what came while the application was ending; it is not running."""
        if self._pending:
            self.frames.write_raw(self._pending.replace("\n", "\r\n"))
            self.frames.flush()
            self._pending = ""

    def repaint(self) -> None:
        """Paint the application anew, where something foreign has written over it."""
        with self.frames.frame():
            self._erase_after_resize()
            self._erase()
            self._redraw()

    def _erase(self) -> None:
        """Erase the last frame row by row.

        Not by "erase to the end of the screen": from the top left corner, tmux takes
        that for clearing the screen, and keeps what was erased in its history.
        """
        renderer = self.renderer
        screen, cursor = renderer._last_screen, renderer._cursor_pos  # noqa: SLF001 - this is the module for it
        self.frames.write_raw("\r")
        self.frames.cursor_up(cursor.y)
        rows = screen.height if screen is not None else 1
        self.frames.write_raw("\r\n".join(["\x1b[K"] * rows) + "\r")
        self.frames.cursor_up(rows - 1)
        self.frames.reset_attributes()
        self.frames.enable_autowrap()
        renderer.reset(leave_alternate_screen=False)

    def _redraw(self, render_as_done: bool = False) -> None:
        with self.frames.frame():
            if self._is_running and not self._running_in_terminal:
                self._erase_after_resize()
            super()._redraw(render_as_done)
        if self.loop is not None:
            self.drawn_s = self.loop.time()

    def _on_resize(self) -> None:
        self._redraw()

    def _erase_after_resize(self) -> None:
        """Erase the last frame where the terminal's own re-wrapping has put it."""
        renderer, size = self.renderer, self.frames.get_size()
        screen, old = renderer._last_screen, renderer._last_size  # noqa: SLF001 - this is the module for it
        if screen is None or old is None or old == size:
            return
        cursor = renderer._cursor_pos  # noqa: SLF001 - likewise
        rows = cursor.y
        if self.reflows and old.columns != size.columns:
            seen = renderer._style_string_has_style  # noqa: SLF001 - likewise
            rows = _rows_above(screen, cursor, size.columns, seen or {})
        self.frames.write_raw("\r")
        self.frames.cursor_up(min(rows, size.rows - 1))
        self.frames.erase_down()
        self.frames.reset_attributes()
        self.frames.enable_autowrap()
        renderer.reset(leave_alternate_screen=False)


def _rows_above(
    screen: Screen, cursor: Point, columns: int, seen: Mapping[str, bool]
) -> int:
    """How many rows of a frame are above the cursor, wrapped to so many columns."""
    cells = [_cells(screen, y, seen) for y in range(cursor.y + 1)]
    rows = sum(max(1, -(-used // columns)) for used in cells[: cursor.y])
    return rows + (cursor.x // columns if cursor.x <= cells[cursor.y] else 0)


def _cells(screen: Screen, y: int, seen: Mapping[str, bool]) -> int:
    """The columns that were written of a row of a frame.

    Args:
        screen: The frame.
        y: Its row.
        seen: Whether a blank of a style can be seen, and was written therefore.
    """
    used = 0
    for x, char in screen.data_buffer[y].items():
        if char.char != " " or seen[char.style]:
            used = max(used, x + max(1, char.width))
    return used
