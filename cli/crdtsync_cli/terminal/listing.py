"""The lines of a program with its colours, wrapped; it knows neither theme nor screen.

Made of the tokens of pygments at once: by way of `rich.syntax.Syntax` the same rows
take more than twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

__all__ = ["listing"]

_THEME: Final = Syntax.get_theme("ansi_dark")

_Lexer: TypeAlias = Callable[[str], Iterable[tuple[tuple[str, ...], str]]]


def listing(
    code: str, language: str, width: int, console: Console
) -> list[list[Segment]]:
    """Rows of code; a line that is too long goes on in the next row.

    Args:
        code: Whole lines.
        language: A name that pygments knows; others are shown without colours.
        width: In columns.
        console: Wraps what is too long.
    """
    rows: list[list[Segment]] = []
    for line in _lines(code, language):
        if sum(cell_len(segment.text) for segment in line) <= width:
            rows.append(line)
        else:
            rows += _wrapped(line, width, console)
    return rows


def _lines(code: str, language: str) -> list[list[Segment]]:
    lines: list[list[Segment]] = [[]]
    for kind, token in _lexer(language)(code):
        style = _THEME.get_style_for_token(kind)
        first, *others = token.split("\n")
        if first:
            lines[-1].append(Segment(first, style))
        lines += ([Segment(text, style)] if text else [] for text in others)
    # The lexer ends each text with a newline.
    return lines[:-1]


def _wrapped(
    line: Iterable[Segment], width: int, console: Console
) -> list[list[Segment]]:
    text = Text.assemble(*((text, style or "") for text, style, _ in line))
    options = console.options.update(width=width)
    return console.render_lines(text, options, pad=False)


@lru_cache(maxsize=32)
def _lexer(language: str) -> _Lexer:
    syntax = Syntax("", language)
    lexer: _Lexer = (syntax.lexer or syntax.default_lexer).get_tokens
    return lexer
