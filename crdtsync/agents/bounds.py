"""Bounds of what an agent may put into events; removes no control characters (X-2).

Everything an agent says ends up in every replica, so nothing of it may be endless, and
all of it must be text and numbers that a document can hold. Pure.
"""

from __future__ import annotations

import math
from typing import Final

from crdtsync.schema import JsonObject, JsonValue

__all__ = ["clip_json", "clip_text", "mend", "pieces", "read_object", "read_text"]

TEXT_CHARS_MAX: Final = 64 * 1024
"""One text or thought event; longer text is split, never cut."""
TITLE_CHARS_MAX: Final = 500
"""Titles, labels, names, plan entries: they stand on one line or two."""
WORD_CHARS_MAX: Final = 64
"""Kinds, phases, stop reasons."""
ID_CHARS_MAX: Final = 256
"""Ids an agent chooses; longer ones are cut, which keeps them unique in practice."""
JSON_CHARS_MAX: Final = 256 * 1024
"""Input, output or content of one tool call; the rest is cut, and says so."""
INFO_CHARS_MAX: Final = 64 * 1024
"""One `Info`; a command list of 569 kB has been seen."""
TERMINAL_CHARS_MAX: Final = 64 * 1024
"""Tail of a command's output."""
JSON_DEPTH_MAX: Final = 32
"""Deeper values are cut."""
INT_BITS_MAX: Final = 63
"""A document holds no larger integer; larger ones become text."""
SAID_BITS_MAX: Final = 1024
"""Still larger ones are not worth the time to print them."""


def mend(text: str) -> str:
    """Join or replace lone surrogates, which no UTF-8 can say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clip_text(text: str, chars_max: int) -> str:
    """Cut text at a length; the mark at the end says that there was more."""
    text = mend(text)
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def pieces(text: str) -> list[str]:
    """Split text into pieces that fit one event."""
    return [
        text[start : start + TEXT_CHARS_MAX]
        for start in range(0, len(text), TEXT_CHARS_MAX)
    ]


def read_text(value: object, chars_max: int) -> str:
    """A string from outside, or "" if it is something else."""
    return clip_text(value, chars_max) if isinstance(value, str) else ""


def read_object(value: object) -> JsonObject:
    """An object from outside, or an empty one if it is something else."""
    return value if isinstance(value, dict) else {}


def clip_json(value: object, chars_max: int = JSON_CHARS_MAX) -> JsonValue:
    """Copy a JSON value, with long strings and long lists cut to fit a budget."""
    return _Clipper(chars_max).clip(value, 0)


class _Clipper:
    """One walk through a value, spending one budget."""

    def __init__(self, chars_max: int):
        self._left = chars_max

    def clip(self, value: object, depth: int) -> JsonValue:
        if depth > JSON_DEPTH_MAX:
            value = "…"
        match value:
            case None | bool():
                return value
            case int() | float():
                return _number(value)
            case str():
                return self._text(value)
            case list():
                return self._list(value, depth)
        return self._dict(value, depth) if isinstance(value, dict) else "…"

    def _text(self, text: str) -> str:
        text = clip_text(text, max(self._left, 1))
        self._left -= len(text)
        return text

    def _list(self, items: list[object], depth: int) -> JsonValue:
        result: list[JsonValue] = []
        for item in items:
            if self._left <= 0:
                result.append("…")
                break
            self._left -= 1
            result.append(self.clip(item, depth + 1))
        return result

    def _dict(self, items: dict[object, object], depth: int) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key, item in items.items():
            if self._left <= 0:
                break
            name = clip_text(str(key), ID_CHARS_MAX)
            self._left -= len(name) + 1
            result[name] = self.clip(item, depth + 1)
        return result


def _number(value: float) -> JsonValue:
    """Keep a number that a document can hold; text or nothing for the others."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value.bit_length() <= INT_BITS_MAX:
        return value
    return str(value) if value.bit_length() <= SAID_BITS_MAX else "…"
