"""Numbers, strings and values of the Yjs encoding, read without being built.

It knows nothing of documents. Each reader takes the bytes, a position and, where
lengths occur, the end, and returns the position after what it read. An `IndexError`
means that the bytes ended, a `UnicodeDecodeError` bad text; `scan` translates both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crdtsync.sync.admission.rules import CLIENT_MAX, CLOCK_MAX, NESTING_MAX, refuse

__all__ = ["read_client", "read_number", "read_text", "read_values"]

_CONTINUES: Final = 0x80
_LOW_BITS: Final = 0x7F
# Eight groups of seven bits hold any number below 2**53; these are all but the first.
_SHIFTS: Final = tuple(range(7, 56, 7))

_MAP: Final = 118
_STRING: Final = 119
_INT_BYTES_MAX: Final = 10


def read_number(b: bytes, p: int) -> tuple[int, int]:
    """Read a clock, length or count; returns it and the next position."""
    value = b[p]
    if value < _CONTINUES:
        return value, p + 1
    second = b[p + 1]
    if 0 < second < _CONTINUES:
        return value & _LOW_BITS | second << 7, p + 2
    return _read_long(b, p, CLOCK_MAX)


def read_client(b: bytes, p: int) -> tuple[int, int]:
    """Read a client id; returns it and the next position."""
    return _read_long(b, p, CLIENT_MAX)


def read_text(b: bytes, p: int, n: int) -> tuple[str, int]:
    """Read a string; returns it and the next position."""
    size, p = read_number(b, p)
    end = p + size
    if end > n:
        refuse("T1-1", "A text is longer than the update that holds it.")
    return str(b[p:end], "utf-8"), end


def read_values(
    b: bytes, p: int, n: int, count: int, depth: int, *, keyed: bool = False
) -> int:
    """Walk `count` values, each after its key if `keyed`.

    Args:
        b: The update.
        p: Where the first one starts.
        n: Where the update ends.
        count: How many there are; already known to be plausible.
        depth: How many values enclose these.
        keyed: Whether they are the entries of a map.

    Returns:
        The position after the last one.
    """
    for _ in range(count):
        if keyed:
            size = b[p]
            p += 1
            if size >= _CONTINUES:
                size, p = read_number(b, p - 1)
            end = p + size
            str(b[p:end], "utf-8")
            p = end
        tag = b[p]
        p += 1
        if tag == _STRING:
            size = b[p]
            p += 1
            if size >= _CONTINUES:
                size, p = read_number(b, p - 1)
            end = p + size
            str(b[p:end], "utf-8")
            p = end
        else:
            p = _VALUES[tag](b, p, n, depth)
    # Slices do not notice the end of the bytes: once is enough, positions only grow.
    if p > n:
        refuse("T1-1", "A value is longer than the update that holds it.")
    return p


def _read_long(b: bytes, p: int, limit: int) -> tuple[int, int]:
    byte = value = b[p]
    p += 1
    if byte >= _CONTINUES:
        value &= _LOW_BITS
        for shift in _SHIFTS:
            byte = b[p]
            p += 1
            if byte < _CONTINUES:
                value |= byte << shift
                break
            value |= (byte & _LOW_BITS) << shift
        else:
            refuse("T1-2", "A number in the update is too large.")
        if not byte:
            refuse("T1-2", "A number in the update is not in its shortest form.")
    if value >= limit:
        refuse("T1-2", "A number in the update is too large.")
    return value, p


def _refuse_value(b: bytes, p: int, n: int, depth: int) -> int:
    refuse("T1-8", f"The update holds a value of an unknown type ({b[p - 1]}).")


def _walk_plain(b: bytes, p: int, n: int, depth: int) -> int:
    return p


def _walk_4_bytes(b: bytes, p: int, n: int, depth: int) -> int:
    return p + 4


def _walk_8_bytes(b: bytes, p: int, n: int, depth: int) -> int:
    return p + 8


def _walk_integer(b: bytes, p: int, n: int, depth: int) -> int:
    start = p
    while b[p] >= _CONTINUES:
        p += 1
        if p - start >= _INT_BYTES_MAX:
            refuse("T1-8", "An integer in the update is too long.")
    return p + 1


def _walk_buffer(b: bytes, p: int, n: int, depth: int) -> int:
    size, p = read_number(b, p)
    return p + size


def _walk_list(b: bytes, p: int, n: int, depth: int) -> int:
    count, p = _enter(b, p, n, depth, 1)
    return read_values(b, p, n, count, depth + 1)


def _walk_map(b: bytes, p: int, n: int, depth: int) -> int:
    count, p = _enter(b, p, n, depth, 2)
    return read_values(b, p, n, count, depth + 1, keyed=True)


def _enter(
    b: bytes, p: int, n: int, depth: int, entry_bytes_min: int
) -> tuple[int, int]:
    """Read how many entries a list or map has, if they may be read at all."""
    if depth >= NESTING_MAX:
        refuse("T1-8", f"A value is nested more than {NESTING_MAX} deep.")
    count, p = read_number(b, p)
    if count * entry_bytes_min > n - p:
        refuse("T1-1", "A value announces more entries than the update can hold.")
    return count, p


_Walker = Callable[[bytes, int, int, int], int]
_WALKERS: Final[dict[int, _Walker]] = {
    116: _walk_buffer,
    117: _walk_list,
    _MAP: _walk_map,
    120: _walk_plain,  # true
    121: _walk_plain,  # false
    122: _walk_8_bytes,  # 64-bit integer
    123: _walk_8_bytes,  # double
    124: _walk_4_bytes,  # float
    125: _walk_integer,
    126: _walk_plain,  # null
    127: _walk_plain,  # undefined
}
_VALUES: Final = tuple(_WALKERS.get(tag, _refuse_value) for tag in range(256))
