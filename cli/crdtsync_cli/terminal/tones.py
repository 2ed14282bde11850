"""Which colours things have: tones by name, and what a theme makes of them.

Only the sixteen colours of the terminal's own palette, and never meaning by colour
alone. A tone may be several words, such as "slot3 mine".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from prompt_toolkit.styles import Style as LiveStyle
from rich.style import Style

__all__ = ["PALETTE", "live_style", "live_styles", "style_of"]

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
"""Name colours by slot; readable on light and dark."""

_SLOTS: Final = {f"slot{at}": color for at, color in enumerate(PALETTE)}
_DARK: Final = {
    **_SLOTS,
    "dim": "bright_black",
    "good": "green",
    "bad": "red",
    "wait": "yellow",
    "tool": "cyan",
    # What must never be overlooked is to be read on white, too, whatever the theme.
    "question": "bold magenta",
    "prompt": "bold",
    "mine": "bold",
    "agent": "bold",
    "called": "reverse",
    "thought": "italic bright_black",
    "code": "cyan",
    "heading": "bold",
}
_LIGHT: Final = {
    **_DARK,
    # Bright colours and yellow are hard to read on white.
    **{name: color.removeprefix("bright_") for name, color in _SLOTS.items()},
    "slot3": "red",
    "slot8": "red",
    "wait": "magenta",
    "tool": "blue",
    "code": "blue",
}
_PLAIN: Final = {"bold", "italic", "reverse", "underline"}
_ANSI: Final = (
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "gray",
    "brightblack",
    "brightred",
    "brightgreen",
    "brightyellow",
    "brightblue",
    "brightmagenta",
    "brightcyan",
    "white",
)


def _words(tone: str, theme: str) -> str:
    table = _LIGHT if theme == "light" else _DARK
    words = " ".join(table.get(name, "") for name in tone.split()).split()
    if theme == "none":
        words = [word for word in words if word in _PLAIN]
    return " ".join(words)


@lru_cache(maxsize=256)
def style_of(tone: str, theme: str) -> Style:
    """The style of a tone for what is printed."""
    return Style.parse(_words(tone, theme))


@lru_cache(maxsize=8)
def live_styles(theme: str) -> LiveStyle:
    """Every tone as a class of the live part."""
    rules = {name: live_style(style_of(name, theme)) for name in _DARK}
    return LiveStyle.from_dict(
        {
            **rules,
            "completion-menu": "bg:default fg:default",
            "completion-menu.completion.current": "reverse",
            "completion-menu.meta.completion": f"bg:default {rules['dim']}",
            "completion-menu.meta.completion.current": f"bg:default {rules['dim']}",
        }
    )


def live_style(style: Style) -> str:
    """A printed style as the live part has it."""
    words = [name for name in _PLAIN if getattr(style, name)]
    if style.strike:
        words.append("strike")
    for prefix, color in (("", style.color), ("bg:", style.bgcolor)):
        if color is not None and color.number is not None and color.number < len(_ANSI):
            words.append(f"{prefix}ansi{_ANSI[color.number]}")
    return " ".join(words)
