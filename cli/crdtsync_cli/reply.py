"""What comes of a typed line, for the window that shows it; it shows nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crdtsync.session import Sent

__all__ = ["Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a line.

    Attributes:
        lines: To be shown to who typed it, and to nobody else.
        sent: The message, if it was one.
        leave: Whether the window is to be left.
        long: Whether the lines are for a pager, where they do not fit on the screen.
        clear: Whether the screen is to be cleared.
        copy: What is to be put into the terminal's clipboard; "" for nothing.
        theme: The colours that the window is to have from now on; "" for the same.
    """

    lines: tuple[str, ...] = ()
    sent: Sent | None = None
    leave: bool = False
    long: bool = False
    clear: bool = False
    copy: str = ""
    theme: str = ""
