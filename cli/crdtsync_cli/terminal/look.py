"""How a window looks and sounds, from settings and the terminal; it draws nothing."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Look", "Notify", "is_on", "look_from"]

Notify = Literal["off", "osc9", "osc777"]

_BRIGHT: Final = frozenset({"7", *map(str, range(9, 16))})


@dataclass(frozen=True, slots=True)
class Look:
    """What one window may use.

    Attributes:
        colors: Colours; bold and the like are used in any case.
        theme: One of `settings.THEMES`.
        ascii: The window's own signs in ASCII.
        motion: A spinner that turns, and ten frames a second for it.
        bell: BEL when one's name is called.
        notify: The escape sequence that makes a desktop notification then.
        reflow: Whether the terminal wraps long rows anew when it is resized.
        sync: Whether frames are marked as synchronized updates.
    """

    colors: bool = True
    theme: str = "dark"
    ascii: bool = False
    motion: bool = True
    bell: bool = True
    notify: Notify = "off"
    reflow: bool = True
    sync: bool = True


def look_from(
    settings: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    colors: bool,
    encoding: str,
) -> Look:
    """Work out the look.

    Args:
        settings: Values of the settings theme, ascii, bell, notify, reduced_motion.
        environ: For what the terminal says of itself.
        colors: Whether colours are wanted.
        encoding: Of the terminal.
    """
    notify: Notify = "off"
    if settings["notify"] in {"osc9", "osc777"}:
        notify = "osc9" if settings["notify"] == "osc9" else "osc777"
    return Look(
        colors=colors,
        theme=_theme(settings["theme"], environ.get("COLORFGBG", "")),
        ascii=is_on(settings["ascii"]) or not _is_utf8(encoding),
        motion=not is_on(settings["reduced_motion"]),
        bell=is_on(settings["bell"]),
        notify=notify,
        reflow=_reflows(environ),
        sync=environ.get("CRDTSYNC_SYNC", "auto") != "off",
    )


def is_on(value: str) -> bool:
    """Whether a switch is on: "on" or "1"."""
    return value in {"on", "1"}


def _theme(wanted: str, colors: str) -> str:
    """The theme, by the terminal's own background if nobody chose one.

    Some terminals say in `COLORFGBG` which of the 16 colours it is, in the last number.
    """
    if wanted != "auto":
        return wanted
    return "light" if colors.rpartition(";")[2] in _BRIGHT else "dark"


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def _reflows(environ: Mapping[str, str]) -> bool:
    """Whether the terminal wraps anew; those that do not say so by their names."""
    match environ.get("CRDTSYNC_REFLOW", "auto"):
        case "on":
            return True
        case "off":
            return False
    # Inside of tmux the outer terminal's variables are there too.
    if environ.get("TMUX"):
        return True
    terminal = environ.get("TERM", "")
    return not (environ.get("XTERM_VERSION") or terminal.startswith(("linux", "rxvt")))
