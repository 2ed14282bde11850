"""WebSocket messages of the plain kind: whole, binary, below 64 KiB (RFC 6455).

Anything else it recognises as not plain and leaves to wsproto.
"""

from __future__ import annotations

from typing import Final

__all__ = ["end_of_plain", "header", "payload"]

_BINARY: Final = 0x82
_MASKED: Final = 0x80
_SHORT: Final = 126
_SHORT_HEAD_BYTES: Final = 2
_MIDDLE_HEAD_BYTES: Final = 4
_MIDDLE_BYTES_MAX: Final = 0xFFFF
_KEY_BYTES: Final = 4


def end_of_plain(data: bytes, at: int) -> int:
    """Return where the plain message of a client that begins here ends.

    That may be behind the data that is there. 0 if what begins here is anything else:
    fragments, control frames, what is large, unmasked or against the rules.
    """
    have = len(data) - at
    if have < _SHORT_HEAD_BYTES:
        return len(data) + 1 if have and data[at] == _BINARY else 0
    size = data[at + 1] ^ _MASKED
    if data[at] != _BINARY or size > _SHORT:
        return 0
    if size < _SHORT:
        return at + _SHORT_HEAD_BYTES + _KEY_BYTES + size
    if have < _MIDDLE_HEAD_BYTES:
        return len(data) + 1
    size = data[at + 2] << 8 | data[at + 3]
    # A length has to be written as short as it can be.
    return at + _MIDDLE_HEAD_BYTES + _KEY_BYTES + size if size >= _SHORT else 0


def payload(data: bytes, at: int, end: int) -> bytes:
    """Return what a plain message that begins and ends here says, unmasked."""
    short = data[at + 1] ^ _MASKED < _SHORT
    key_at = at + (_SHORT_HEAD_BYTES if short else _MIDDLE_HEAD_BYTES)
    start = key_at + _KEY_BYTES
    size = end - start
    key = data[key_at:start] * (size // _KEY_BYTES + 1)
    masked = int.from_bytes(data[start:end], "little")
    # As one number: a loop over bytes takes a hundred times as long.
    return (masked ^ int.from_bytes(key[:size], "little")).to_bytes(size, "little")


def header(size: int) -> bytes:
    """Return what a server sends before a message of so many bytes."""
    if size < _SHORT:
        return bytes((_BINARY, size))
    if size <= _MIDDLE_BYTES_MAX:
        return b"\x82\x7e" + size.to_bytes(2, "big")
    return b"\x82\x7f" + size.to_bytes(8, "big")
