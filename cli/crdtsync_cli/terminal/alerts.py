"""Calls a person whose name was called: a bell, or a notification of the desktop.

It makes the bytes and keeps them rare; others write them.
"""

from __future__ import annotations

from typing import Final

from crdtsync.sanitize import clean_line
from crdtsync_cli.terminal.look import Look

__all__ = ["Alerts"]

PAUSE_S: Final = 5.0
"""At most one in so long."""

TEXT_CHARS_MAX: Final = 120


class Alerts:
    """The alerts of one window."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._next_s = float("-inf")

    def call(self, name: str, text: str, now_s: float) -> str:
        """What to write to the terminal because somebody called; "" if too soon.

        Args:
            name: Who called.
            text: What was said.
            now_s: Time of a monotonic clock.
        """
        if now_s < self._next_s:
            return ""
        self._next_s = now_s + PAUSE_S
        said = f"{clean_line(name)}: {clean_line(text)}"[:TEXT_CHARS_MAX]
        found = "\a" if self._look.bell else ""
        match self._look.notify:
            case "osc9":
                found += f"\x1b]9;{said}\x1b\\"
            case "osc777":
                # The semicolon separates the parts.
                found += f"\x1b]777;notify;crdtsync;{said.replace(';', ',')}\x1b\\"
        return found
