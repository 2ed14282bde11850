"""Texts that all terminals agree on the width of, and rows cut to fit; no colours."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len

from crdtsync.sanitize import clean_line

__all__ = ["ascii_only", "cell_len", "cut", "level", "level_line"]

_JOINED: Final = re.compile("\N{ZERO WIDTH JOINER}.[\ufe0f\U0001f3fb-\U0001f3ff]?")
_VARIANT: Final = re.compile("[\ufe0e\ufe0f]")
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]")
_LETTER_A: Final = 0x1F1E6

_ASCII: Final = str.maketrans(
    {
        "✓": "ok",
        "✗": "FAIL",
        "◷": "?",
        "●": "*",
        "◐": "~",
        "○": "o",
        "…": "...",
        "›": ">",  # noqa: RUF001 - the prompt's sign
        "·": "-",
        "•": "*",
        "╎": "|",
        "▌": "|",
        "→": "->",
        **dict.fromkeys("─━═╌", "-"),
        **dict.fromkeys("│┃║", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰┏┓┗┛┡┩╇┳┻╋╞╡╪┠┨┯┷┿╂", "+"),
        **dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\|/-\\|/", strict=True)),
    }
)


def level(text: str) -> str:
    """Replace what terminals disagree on: joined emoji, variants, flags.

    For the live part, whose rows must be where they are thought to be.
    """
    if text.isascii():
        return text
    text = _VARIANT.sub("", _JOINED.sub("", text))
    return _FLAG.sub(lambda f: chr(ord(f[0]) - _LETTER_A + ord("A")), text)


def level_line(text: str) -> str:
    """A text from outside as one such line."""
    return level(clean_line(text))


def ascii_only(text: str) -> str:
    """Write the window's own signs in ASCII; other letters stay."""
    return text.translate(_ASCII)


def cut(text: str, columns: int, ending: str = "…") -> str:
    """At most so many columns of a text; the ending says that there is more."""
    if cell_len(text) <= columns:
        return text
    kept, width = [], cell_len(ending)
    for char in text:
        width += cell_len(char)
        if width > columns:
            break
        kept.append(char)
    return ("".join(kept).rstrip() + ending)[: max(0, columns)]
