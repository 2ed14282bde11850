"""Durations as people write them: 30m, 12h, 7d; pure."""

from __future__ import annotations

import re
from typing import Final

from crdtsync.errors import UsageError
from crdtsync_cli.words import plural

__all__ = ["duration_words", "read_duration"]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
_FORM: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)


def read_duration(text: str, option: str) -> int:
    """Seconds of a duration.

    Raises:
        UsageError: It is none.
    """
    found = _FORM.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise UsageError(
            f"{option} cannot be {text!r}", hint="Write it as 30m, 12h or 7d."
        )
    return int(found[1]) * _UNITS_S[found[2]]


def duration_words(text: str) -> str:
    """A duration that can be read, such as "7 days"."""
    text = text.strip().lower()
    return plural(int(text[:-1]), _WORDS[text[-1]])
