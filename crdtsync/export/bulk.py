"""Writes many message headers as one Yjs update; it reads none.

Appending to a Yjs array walks the array: 100,000 headers, one by one, take minutes. In
one update they are one run of values. Encoding: the V1 format of Yjs, in which every
program can read them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from crdtsync import schema
from crdtsync.schema import JsonValue

__all__ = ["encode_headers"]

_CONTENT_ANY: Final = 8
_PARENT_IS_ROOT: Final = 1
_NO_DELETIONS: Final = 0

_NULL, _INTEGER, _FLOAT, _BIG, _FALSE, _TRUE = 126, 125, 123, 122, 121, 120
_TEXT, _OBJECT, _LIST = 119, 118, 117
_INTEGER_BITS: Final = 31


def encode_headers(headers: Sequence[JsonValue], client_id: int) -> bytes:
    """Encode an update that appends these to an empty document's `messages`.

    Args:
        headers: At least one, as they are to be stored.
        client_id: Below 2**53; must write nothing else in that document but after it.
    """
    out = bytearray((1, 1))  # one client with one struct
    _number(out, client_id)
    out += bytes((0, _CONTENT_ANY, _PARENT_IS_ROOT))  # from clock 0
    _text(out, schema.MESSAGES)
    _number(out, len(headers))
    for header in headers:
        _value(out, header)
    out.append(_NO_DELETIONS)
    return bytes(out)


def _value(out: bytearray, value: JsonValue) -> None:
    match value:
        case list():
            out.append(_LIST)
            _number(out, len(value))
            for item in value:
                _value(out, item)
        case dict():
            out.append(_OBJECT)
            _number(out, len(value))
            for key, item in value.items():
                _text(out, key)
                _value(out, item)
        case str():
            out.append(_TEXT)
            _text(out, value)
        case _:
            _scalar(out, value)


def _scalar(out: bytearray, value: float | None) -> None:
    match value:
        case None:
            out.append(_NULL)
        case bool():
            out.append(_TRUE if value else _FALSE)
        case int():
            _integer(out, value)
        case _:
            out.append(_FLOAT)
            out += struct.pack(">d", value)


def _integer(out: bytearray, value: int) -> None:
    if value.bit_length() > _INTEGER_BITS:
        out.append(_BIG)
        out += struct.pack(">q", value)
        return
    out.append(_INTEGER)
    rest = abs(value)
    sign = 0x40 if value < 0 else 0
    out.append(sign | rest & 0x3F | (0x80 if rest > 0x3F else 0))  # noqa: PLR2004
    if rest := rest >> 6:
        _number(out, rest)


def _text(out: bytearray, value: str) -> None:
    data = value.encode()
    _number(out, len(data))
    out += data


def _number(out: bytearray, value: int) -> None:
    while value > 0x7F:  # noqa: PLR2004 - seven bits per byte
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
