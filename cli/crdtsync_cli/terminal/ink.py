"""Lines with colours for a terminal: names, markdown, wrapping; it knows no session.

Only text that `sanitize` has cleaned may come in, and nothing is read as markup.
"""

from __future__ import annotations

import io
import re
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.text import Text
from rich.theme import Theme

from crdtsync.sanitize import clean_line, clean_text

__all__ = ["PALETTE", "Ink"]

PALETTE: Final = (
    "cyan",
    "magenta",
    "green",
    "yellow",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_green",
    "bright_yellow",
    "bright_blue",
)
"""Name colours by slot; readable on light and dark, meaning never by colour alone."""

WIDTH_MIN: Final = 20
_THEME: Final = Theme({"markdown.code": "cyan", "markdown.code_block": "cyan"})
_SGR: Final = re.compile(r"\x1b\[[0-9;]*m")
_TRAILING: Final = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")


class Ink:
    """Makes ANSI lines for terminals of any width.

    Args:
        colors: Whether to use colours; bold and dim are used in any case.
    """

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def line(self, text: str, style: str, width: int) -> str:
        """One paragraph in one style, wrapped."""
        return self._render(Text(clean_text(text), style=style), width)

    def said(self, time: str, name: str, style: str, text: str, width: int) -> str:
        """A message behind its time and name; further rows are indented."""
        name = clean_line(name)
        indent = cell_len(time) + cell_len(name) + 3
        body = Text(clean_text(text).strip("\n"))
        if width - indent < WIDTH_MIN:
            head = self._head(time, name, style, width)
            return head + self._render(body, width)
        rows = self._render(body, width - indent).splitlines() or [""]
        head = self._head(time, name, style, width).rstrip("\n")
        lines = [f"{head}  {rows[0]}", *(f"{'':{indent}}{row}" for row in rows[1:])]
        return "".join(f"{line.rstrip()}\n" for line in lines)

    def head(self, time: str, name: str, style: str, width: int) -> str:
        """The line above an answer."""
        return self._head(time, clean_line(name), style, width)

    def markdown(self, text: str, width: int) -> str:
        """A markdown text without blank rows around it."""
        text = clean_text(text)
        shown = Markdown(text, code_theme="ansi_dark", hyperlinks=False)
        rows = self._render(shown, width).split("\n")
        while rows and not _SGR.sub("", rows[0]).strip():
            rows.pop(0)
        while rows and not _SGR.sub("", rows[-1]).strip():
            rows.pop()
        return "".join(f"{row}\n" for row in rows)

    def _head(self, time: str, name: str, style: str, width: int) -> str:
        text = Text.assemble((time, "bright_black"), " ", (name, style))
        return self._render(text, width)

    def _render(self, shown: RenderableType, width: int) -> str:
        buffer = io.StringIO()
        console = Console(
            file=buffer,
            force_terminal=True,
            width=max(WIDTH_MIN, width),
            color_system="standard" if self._colors else None,
            no_color=not self._colors,
            highlight=False,
            legacy_windows=False,
            theme=_THEME,
            markup=False,
            emoji=False,
        )
        console.print(shown)
        rows = buffer.getvalue().split("\n")
        return "\n".join(_trimmed(row) for row in rows)


def _trimmed(row: str) -> str:
    """A row without blanks at its end, which would wrap when it gets narrower."""
    kept = _TRAILING.sub("", row)
    return f"{kept}\x1b[0m" if "\x1b" in kept else kept
