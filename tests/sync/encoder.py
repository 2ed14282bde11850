"""A tiny encoder of Yjs V1 updates, also of those that no program would write."""

from __future__ import annotations

from collections.abc import Sequence

Id = tuple[int, int]


def number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    raw = value.encode()
    return number(len(raw)) + raw


def ident(at: Id) -> bytes:
    return number(at[0]) + number(at[1])


def struct(
    ref: int,
    content: bytes,
    *,
    parent: str | Id | None = None,
    key: str | None = None,
    origin: Id | None = None,
    right: Id | None = None,
) -> bytes:
    info = ref
    head = b""
    if origin is not None:
        info |= 0x80
        head += ident(origin)
    if right is not None:
        info |= 0x40
        head += ident(right)
    if origin is None and right is None:
        if isinstance(parent, str):
            head += b"\x01" + text(parent)
        elif parent is not None:
            head += b"\x00" + ident(parent)
        if key is not None:
            info |= 0x20
            head += text(key)
    return bytes([info]) + head + content


def gc(length: int) -> bytes:
    return b"\x00" + number(length)


def skip(length: int) -> bytes:
    return b"\x0a" + number(length)


def string(value: str) -> bytes:
    return text(value)


def values(*encoded: bytes) -> bytes:
    return number(len(encoded)) + b"".join(encoded)


TRUE = b"\x78"


def section(client: int, clock: int, *structs: bytes) -> bytes:
    return number(len(structs)) + number(client) + number(clock) + b"".join(structs)


def deletions(client: int, *ranges: Id) -> bytes:
    return number(client) + number(len(ranges)) + b"".join(map(ident, ranges))


def update(*sections: bytes, deleted: Sequence[bytes] = ()) -> bytes:
    return b"".join([number(len(sections)), *sections, number(len(deleted)), *deleted])


def nested_arrays(depth: int) -> bytes:
    """A value: `depth` arrays inside each other."""
    return b"\x75\x01" * (depth - 1) + b"\x75\x00"
