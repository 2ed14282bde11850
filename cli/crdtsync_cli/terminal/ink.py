"""Rows with colours for a terminal: text, markdown, code, wrapped; knows no session.

Only text that `sanitize` has cleaned may come in, and nothing is read as markup. Rows
carry no blanks at their end, which would wrap when the terminal gets narrower.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from copy import copy
from typing import ClassVar, Final, TypeAlias

from markdown_it import MarkdownIt
from prompt_toolkit.formatted_text import OneStyleAndTextTuple, StyleAndTextTuples
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from crdtsync_cli.terminal.listing import listing
from crdtsync_cli.terminal.tones import live_style, style_of
from crdtsync_cli.terminal.widths import ascii_only, cut, level

__all__ = ["Ink", "Part", "Row"]

Row: TypeAlias = tuple[Segment, ...]
"""One row of the screen."""

Part: TypeAlias = tuple[str, str]
"""A text and its tone."""

WIDTH_MIN: Final = 20


class _Fence(CodeBlock):
    """A code block without padding and background."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        code = str(self.text).rstrip()
        for row in listing(code, self.lexer_name, options.max_width, console):
            yield from row
            yield Segment.line()


class _Heading(Heading):
    """A heading to the left."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        yield text


class _Item(ListItem):
    """An item whose number takes as much room whatever items follow."""

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        numeral = f"{number:2}. "
        room = options.update(width=options.max_width - len(numeral))
        for at, line in enumerate(console.render_lines(self.elements, room)):
            yield Segment(" " * len(numeral) if at else numeral)
            yield from line
            yield Segment("\n")


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Fence,
        "code_block": _Fence,
        "heading_open": _Heading,
        "list_item_open": _Item,
    }


# To make a parser takes longer than to parse a paragraph.
_PARSER: Final = MarkdownIt().enable(["strikethrough", "table"])
_BLANK: Final = _Markdown("", hyperlinks=False)


class Ink:
    """Makes rows for terminals of any width.

    Args:
        colors: Whether to use colours; bold and the like are used in any case.
        theme: One of `settings.THEMES`.
        plain_signs: Whether the window's own signs are written in ASCII.

    Attributes:
        theme: May be changed; what is printed already keeps its colours.
    """

    def __init__(
        self, *, colors: bool, theme: str = "dark", plain_signs: bool = False
    ) -> None:
        self.theme = theme
        self._colors = colors
        self._plain_signs = plain_signs
        self._consoles: dict[str, Console] = {}

    def signs(self, text: str) -> str:
        """A text of the window itself with the signs this terminal can show."""
        return ascii_only(text) if self._plain_signs else text

    def cut(self, text: str, columns: int) -> str:
        """At most so many columns of a text, with the signs this terminal can show."""
        return cut(self.signs(text), columns, self.signs("…"))

    def text(self, *parts: Part, width: int) -> list[Row]:
        """One text, wrapped."""
        shown = Text(overflow="fold")
        for text, tone in parts:
            shown.append(text, style_of(tone, self.theme))
        return self.wrapped(shown, width)

    def wrapped(self, text: Text, width: int) -> list[Row]:
        """The same of a text that has its styles."""
        return self._rows(text, width)

    def beside(self, head: Text, body: Text, width: int) -> list[Row]:
        """A text to the right of another, which has one row."""
        room = max(WIDTH_MIN, width - head.cell_len)
        rows = self.wrapped(body, room) or [()]
        first = self._line(head)
        blank = Segment(" " * head.cell_len)
        return [
            self._trimmed((*first, *rows[0])),
            *((blank, *row) if row else () for row in rows[1:]),
        ]

    def _line(self, text: Text) -> Row:
        """One row as it is, blanks at its end kept."""
        lines = self._console().render_lines(text, pad=False)
        return tuple(lines[0]) if lines else ()

    def markdown(
        self, text: str, width: int, item: int = 0, *, goes_on: bool = False
    ) -> list[Row]:
        """A markdown text without blank rows around it.

        Args:
            text: The source.
            width: In columns.
            item: The number of its first item, if it goes on with a list; or 0.
            goes_on: Whether the list goes on: then blank rows at the end are its own.
        """
        shown = copy(_BLANK)
        shown.markup, shown.parsed = text, _PARSER.parse(text)
        if item and shown.parsed and shown.parsed[0].type == "ordered_list_open":
            shown.parsed[0].attrs["start"] = item
        rows = self._rows(shown, width)
        return _without_blank_ends(rows, at_end=not goes_on)

    def code(self, text: str, language: str, width: int) -> list[Row]:
        """Lines of a program."""
        rows = listing(text, language, max(WIDTH_MIN, width), self._console())
        return [self._trimmed(row) for row in rows]

    def ansi(self, rows: Iterable[Row]) -> str:
        """Rows as they are printed, each with its newline."""
        return "".join(f"{self._ansi(row)}\n" for row in rows)

    def live(self, rows: Sequence[Row]) -> StyleAndTextTuples:
        """Rows as the live part shows them."""
        found: list[OneStyleAndTextTuple] = []
        for at, row in enumerate(rows):
            if at:
                found.append(("", "\n"))
            found += [(live_style(s or Style.null()), level(t)) for t, s, _ in row]
        return found

    def _ansi(self, row: Row) -> str:
        return "".join(self._printed(text, style) for text, style, _ in row)

    def _printed(self, text: str, style: Style | None) -> str:
        if style is None:
            return text
        if not self._colors:
            style = style.without_color
        return style.render(text, color_system=ColorSystem.STANDARD)

    def _rows(self, shown: RenderableType, width: int) -> list[Row]:
        console = self._console()
        options = console.options.update(width=max(WIDTH_MIN, width))
        lines = console.render_lines(shown, options, pad=False)
        return [self._trimmed(line) for line in lines]

    def _trimmed(self, line: Iterable[Segment]) -> Row:
        """A row without controls, and without blanks at its end."""
        kept = [segment for segment in line if segment.text and not segment.control]
        if self._plain_signs:
            kept = [Segment(ascii_only(text), style) for text, style, _ in kept]
        while kept and not kept[-1].text.strip():
            kept.pop()
        if kept:
            text, style, _ = kept[-1]
            kept[-1] = Segment(text.rstrip(), style)
        return tuple(kept)

    def _console(self) -> Console:
        found = self._consoles.get(self.theme)
        if found is None:
            found = self._consoles[self.theme] = Console(
                file=io.StringIO(),
                force_terminal=True,
                width=80,
                color_system="standard",
                highlight=False,
                legacy_windows=False,
                theme=_theme(self.theme),
                markup=False,
                emoji=False,
            )
        return found


def _theme(name: str) -> Theme:
    """What markdown looks like."""
    code, heading = style_of("code", name), style_of("heading", name)
    headings = {f"markdown.h{depth}": heading for depth in range(1, 7)}
    return Theme(
        {
            **headings,
            "markdown.code": code,
            "markdown.code_block": code,
            "markdown.item.bullet": Style.null(),
            "markdown.item.number": Style.null(),
            "markdown.block_quote": style_of("dim", name),
            "markdown.link": style_of("code", name),
            "markdown.link_url": style_of("dim", name),
            "markdown.hr": style_of("dim", name),
            "markdown.table.header": style_of("heading", name),
            "markdown.table.border": style_of("dim", name),
        }
    )


def _without_blank_ends(rows: list[Row], *, at_end: bool) -> list[Row]:
    start, end = 0, len(rows)
    while start < end and not rows[start]:
        start += 1
    while at_end and end > start and not rows[end - 1]:
        end -= 1
    return rows[start:end]
