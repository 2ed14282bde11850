"""What the structs of an update hold: one reader for each kind of content.

A reader takes the bytes, the position after the struct's head and the end; it
returns the content's length in clocks, what tier 2 needs to know of it, and the
next position. It builds no values.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

from crdtsync.sync.admission.primitives import read_number, read_text, read_values
from crdtsync.sync.admission.rules import JSON_BYTES_MAX, NESTING_MAX, refuse

__all__ = [
    "ANY",
    "BINARY",
    "DELETED",
    "DOCUMENT",
    "EMBED",
    "FORMAT",
    "GC",
    "READERS",
    "SESSION_READERS",
    "SKIP",
    "STRING",
    "TYPE",
    "TYPE_NAMES",
    "Extra",
    "Readers",
]

GC: Final = 0
DELETED: Final = 1
BINARY: Final = 3
STRING: Final = 4
EMBED: Final = 5
FORMAT: Final = 6
TYPE: Final = 7
ANY: Final = 8
DOCUMENT: Final = 9
SKIP: Final = 10

_OPTIONS_TAG: Final = 118
_XML_ELEMENT: Final = 3
_REF_BITS: Final = 0x0F
_RESERVED_BIT: Final = 0x10

TYPE_NAMES: Final = {
    0: "array",
    1: "map",
    2: "text",
    3: "XML element",
    4: "XML fragment",
    6: "XML text",
}
"""The shared types by their number in the encoding."""

_SESSION_TYPES: Final = frozenset({0, 1, 2})

Extra: TypeAlias = "array[int] | int | None"
"""For a string the offsets inside surrogate pairs, for a shared type its number, for
values the position of the first one."""

_Reader: TypeAlias = Callable[[bytes, int, int], tuple[int, Extra, int]]

Readers: TypeAlias = tuple[_Reader, ...]
"""The reader for each first byte of a struct."""

_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_OPENING: Final = re.compile(r"[\[{]")
# A JSON string, or one bracket outside of strings.
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{\]}]', re.DOTALL)


def read_string(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    """Read text; its length counts UTF-16 units, as JavaScript does."""
    size = b[p]
    p += 1
    if size > 127:  # noqa: PLR2004 - the fast path of read_number
        size, p = read_number(b, p - 1)
    end = p + size
    if end > n:
        refuse("T1-1", "A text is longer than the update that holds it.")
    if not size:
        refuse("T1-3", "The update inserts a text without characters.")
    raw = b[p:end]
    if raw.isascii():
        return size, None, end
    text = str(raw, "utf-8")
    if max(text) <= "\uffff":
        return len(text), None, end
    # The n-th such character starts n units later than its index says.
    inside = array(
        "I", (m.start() + i for i, m in enumerate(_ASTRAL.finditer(text), 1))
    )
    return len(text) + len(inside), inside, end


def read_any(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    """Read a run of values, one clock each; extra is where the first one starts."""
    count, p = read_number(b, p)
    if not count:
        refuse("T1-3", "The update inserts an empty run of values.")
    if count > n - p:
        refuse("T1-1", "A run of values is longer than the update that holds it.")
    return count, p, read_values(b, p, n, count, 0)


def read_type(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    """Read the start of a shared type; extra is its number."""
    number = b[p]
    p += 1
    if number not in TYPE_NAMES:
        refuse("T1-5", f"The update holds an unknown shared type ({number}).")
    if number == _XML_ELEMENT:
        p = read_text(b, p, n)[1]
    return 1, number, p


def _read_session_type(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    read = read_type(b, p, n)
    if b[p] not in _SESSION_TYPES:
        refuse("T1-10", "The update puts XML into a session document.")
    return read


def _read_deleted(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    length, p = read_number(b, p)
    if not length:
        refuse("T1-3", "The update holds a deleted run without elements.")
    return length, None, p


def _read_gap(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    length, p = read_number(b, p)
    if not length:
        refuse("T1-3", "The update holds a gap without length.")
    return length, None, p


def _read_binary(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    size, p = read_number(b, p)
    if p + size > n:
        refuse("T1-1", "Binary content is longer than the update that holds it.")
    return 1, None, p + size


def _read_embed(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    return 1, None, _walk_json(b, p, n)


def _read_format(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    p = read_text(b, p, n)[1]
    return 1, None, _walk_json(b, p, n)


def _read_document(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    p = read_text(b, p, n)[1]
    if b[p] != _OPTIONS_TAG:
        refuse("T1-8", "The options of a sub-document are not a map.")
    return 1, None, read_values(b, p, n, 1, 0)


def _refuse_content(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    refuse("T1-5", "The update holds content that programs read differently.")


def _refuse_in_session(b: bytes, p: int, n: int) -> tuple[int, Extra, int]:
    refuse("T1-10", "Formats, embeds and sub-documents do not belong in a session.")


def _walk_json(b: bytes, p: int, n: int) -> int:
    text, end = read_text(b, p, n)
    if end - p > JSON_BYTES_MAX:
        refuse("T1-9", f"A format or embed exceeds {JSON_BYTES_MAX} bytes.")
    if len(_OPENING.findall(text)) > NESTING_MAX:
        _check_depth(text)
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
        # A lone surrogate, written as an escape, is no text that native code takes.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        refuse("T1-9", "A format or embed is not valid JSON.")
    return end


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        match match[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
        if depth > NESTING_MAX:
            refuse("T1-9", f"A format or embed is nested more than {NESTING_MAX} deep.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        _refuse_number(digits)
    return number


def _refuse_number(digits: str) -> NoReturn:
    refuse("T1-9", f"A format or embed holds {digits[:20]}, which is no JSON number.")


_GENERAL: Final[dict[int, _Reader]] = {
    DELETED: _read_deleted,
    BINARY: _read_binary,
    STRING: read_string,
    EMBED: _read_embed,
    FORMAT: _read_format,
    TYPE: read_type,
    ANY: read_any,
    DOCUMENT: _read_document,
}
_SESSION: Final[dict[int, _Reader]] = _GENERAL | {
    EMBED: _refuse_in_session,
    FORMAT: _refuse_in_session,
    DOCUMENT: _refuse_in_session,
    TYPE: _read_session_type,
}


def _by_info(readers: dict[int, _Reader]) -> Readers:
    by_info = [
        _refuse_content
        if info & _RESERVED_BIT
        else readers.get(info & _REF_BITS, _refuse_content)
        for info in range(256)
    ]
    # These have no head, so that their first byte is nothing else.
    by_info[GC] = by_info[SKIP] = _read_gap
    return tuple(by_info)


READERS: Final = _by_info(_GENERAL)
"""For any document."""
SESSION_READERS: Final = _by_info(_SESSION)
"""For documents that hold a session."""
