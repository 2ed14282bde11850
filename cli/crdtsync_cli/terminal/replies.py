"""Shows what comes of a typed line: above the line, in a pager, or in the clipboard."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import run_in_terminal

from crdtsync.sanitize import clean_text
from crdtsync_cli.reply import Reply

if TYPE_CHECKING:
    from crdtsync_cli.terminal.layout import Desk
    from crdtsync_cli.terminal.painter import Painter

__all__ = ["Replies", "clipboard", "pager"]

LIVE_ROWS: Final = 6
"""Kept free below a reply that is printed; a longer one goes to the pager."""


class Replies:
    """Shows the replies of one window.

    Args:
        desk: Prints above.
        painter: Makes rows of lines.
    """

    def __init__(self, desk: Desk, painter: Painter) -> None:
        self._desk = desk
        self._painter = painter

    async def show(self, reply: Reply) -> None:
        """Show a reply; returns when a pager that it needed is closed."""
        desk = self._desk
        if reply.theme:
            self._painter.ink.theme = reply.theme
            desk.application.invalidate()
        if reply.clear:
            desk.application.print_above("\n" * desk.rows)
        if reply.copy:
            desk.application.call(clipboard(reply.copy))
        command = pager(os.environ) if reply.long else ()
        if command and len(reply.lines) > desk.rows - LIVE_ROWS:
            text = "".join(f"{clean_text(line)}\n" for line in reply.lines)
            await run_in_terminal(lambda: _page(command, text), in_executor=True)
            desk.application.print_above("")
        elif reply.lines:
            shown = self._painter.reply(reply.lines, desk.columns - 1)
            desk.application.print_above(shown)


def clipboard(text: str) -> str:
    """The escape sequence that puts a text into the terminal's clipboard (OSC 52)."""
    return f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"


def pager(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The command that shows long texts; empty if there is none, or none is wanted."""
    try:
        words = shlex.split(environ.get("PAGER", "less"))
    except ValueError:
        return ()
    if not words or words == ["cat"] or shutil.which(words[0]) is None:
        return ()
    return tuple(words)


def _page(command: Sequence[str], text: str) -> None:
    """Run a pager; blocks. Its end, however it came, is the end of the matter."""
    # As git does: quit if it fits, keep colours, leave the text on the screen.
    environ = {"LESS": "FRX", **os.environ}
    try:
        subprocess.run(command, input=text.encode(), env=environ, check=False)  # noqa: S603 - the person's own
    except OSError:
        return
