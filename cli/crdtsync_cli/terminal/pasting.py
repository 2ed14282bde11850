"""Long pastes, folded in the input line into a short mark and unfolded when sent.

Pure: it inserts nothing and sends nothing.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from crdtsync.sanitize import clean_text

__all__ = ["Pastes"]

CHARS_MAX: Final = 1000
"""A longer paste is folded."""

LINES_MAX: Final = 15
"""So is one of more lines."""

KEPT_MAX: Final = 50
"""Folded pastes that are remembered; the mark of an older one is sent as it is."""

KEPT_CHARS_MAX: Final = 8 * 1024 * 1024
"""Of all of them together, but for the last."""

_MARK: Final = re.compile(r"\[paste #(\d{1,6}) \+\d+ (?:lines|chars)\]")


class Pastes:
    """The folded pastes of one window."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, str] = OrderedDict()
        self._last = 0

    def take(self, pasted: str) -> str:
        """What to insert for a paste: its text without controls, or a mark for it."""
        text = clean_text(pasted)
        lines = text.removesuffix("\n").count("\n") + 1
        if len(text) <= CHARS_MAX and lines <= LINES_MAX:
            return text
        self._last += 1
        self._kept[self._last] = text
        while len(self._kept) > 1 and self._is_much():
            self._kept.popitem(last=False)
        size = f"+{lines} lines" if lines > 1 else f"+{len(text)} chars"
        return f"[paste #{self._last} {size}]"

    def _is_much(self) -> bool:
        return (
            len(self._kept) > KEPT_MAX
            or sum(map(len, self._kept.values())) > KEPT_CHARS_MAX
        )

    def unfold(self, line: str) -> str:
        """The line with every mark replaced by what was pasted."""

        def pasted(mark: re.Match[str]) -> str:
            return self._kept.get(int(mark.group(1)), mark.group())

        return _MARK.sub(pasted, line)

    def mark_before(self, text: str) -> str:
        """The mark of a kept paste that a text ends with, which goes as a whole; ""."""
        for mark in _MARK.finditer(text):
            if mark.end() == len(text) and int(mark.group(1)) in self._kept:
                return mark.group()
        return ""
