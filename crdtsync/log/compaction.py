"""Folds the updates of a document into one snapshot (S-4). It reads and writes no file.

Never by `merge_updates`, which is quadratic: everything is applied to a fresh document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pycrdt import Doc, Map, get_update

COMPACT_ROWS_MIN = 2_000
"""Rows worth a snapshot while windows are open: about 20 ms of loading."""

COMPACT_BYTES_MIN = 8 * 1024 * 1024
"""Bytes worth a snapshot while windows are open."""

COMPACT_IDLE_ROWS_MIN = 200
"""Rows worth a snapshot when the last window closes and nobody waits for it."""


@dataclass(frozen=True, slots=True)
class LogSize:
    """What compaction would fold.

    Attributes:
        rows: Number of updates after the newest snapshot.
        bytes: Sum of their lengths.
    """

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Folded:
    """A snapshot that was checked.

    Attributes:
        snapshot: One update with all that was applied.
        state_vector: The document's state, encoded.
        kept: Indices of the updates that are not in it, as they wait for others that
            are missing. These stay in the log as they are.
    """

    snapshot: bytes
    state_vector: bytes
    kept: tuple[int, ...]


class FoldMismatch(Exception):
    """The snapshot does not say what the updates said; it must not replace them."""


def should_compact(size: LogSize, *, idle: bool) -> bool:
    """Tell whether a snapshot is worth its cost now.

    Args:
        size: What would be folded.
        idle: Whether the last window is closing, so that nobody waits.
    """
    rows_min = COMPACT_IDLE_ROWS_MIN if idle else COMPACT_ROWS_MIN
    return size.rows >= rows_min or size.bytes >= COMPACT_BYTES_MIN


def fold(snapshot: bytes, updates: Sequence[bytes]) -> Folded | None:
    """Apply everything to a fresh document and encode it; None if nothing would change.

    It blocks, and holds the interpreter's lock, for as long as loading the document
    takes three times.

    Raises:
        FoldMismatch: What was encoded does not load as what was applied.
        Exception: Whatever pycrdt raises on updates that are malformed.
    """
    document: Doc[Map[object]] = Doc()
    with document.transaction():
        if snapshot:
            document.apply_update(snapshot)
        for update in updates:
            document.apply_update(update)
    state = document.get_state()
    clocks = read_state(state)
    kept = tuple(
        index
        for index, update in enumerate(updates)
        if not covers(state, clocks, update)
    )
    if len(kept) == len(updates):
        return None
    if snapshot and not covers(state, clocks, snapshot):
        raise FoldMismatch("the former snapshot is not complete")
    encoded = document.get_update()
    _compare(encoded, clocks)
    return Folded(encoded, state, kept)


def covers(state: bytes, clocks: dict[int, int], update: bytes) -> bool:
    """Tell whether a document in this state has applied all of an update.

    A document drops what it could not apply yet when it is encoded: structs after a
    gap, and deletions of what it has not seen.
    """
    rest = get_update(update, state)
    if rest[:1] != b"\0":
        return False
    position = 1
    client_count, position = _read_varint(rest, position)
    for _ in range(client_count):
        client, position = _read_varint(rest, position)
        range_count, position = _read_varint(rest, position)
        for _ in range(range_count):
            clock, position = _read_varint(rest, position)
            length, position = _read_varint(rest, position)
            if clock + length > clocks.get(client, 0):
                return False
    return True


def read_state(state: bytes) -> dict[int, int]:
    """Decode a state vector: the next clock of each client."""
    count, position = _read_varint(state, 0)
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, position = _read_varint(state, position)
        clocks[client], position = _read_varint(state, position)
    return clocks


def _compare(encoded: bytes, clocks: dict[int, int]) -> None:
    again: Doc[Map[object]] = Doc()
    again.apply_update(encoded)
    # The order of clients in an encoding is arbitrary: compare what has none.
    same = read_state(again.get_state()) == clocks
    if not same or len(again.get_update()) != len(encoded):
        raise FoldMismatch("the snapshot does not load as it was encoded")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
        shift += 7
