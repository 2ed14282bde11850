"""Appends updates in SQL: plain functions of a connection in a transaction.

They neither begin nor commit; `writer` does.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crdtsync.errors import LogDamaged
from crdtsync.log import Appended, Row
from crdtsync.log.faults import damaged
from crdtsync.log.rows import Head, Place, cut_off, find, read_after, read_snapshot

KIND_UPDATE = 1
"""Rows that are Yjs updates; other kinds are reserved (S-8)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call appends.

    Attributes:
        updates: In the order they were made.
        hashes: Their hashes.
        origin: The caller's window id.
        after: The last sequence number the caller has applied.
        at_ms: When, for people; milliseconds since 1970.
    """

    updates: Sequence[bytes]
    hashes: Sequence[bytes]
    origin: str
    after: int
    at_ms: int


def append(connection: sqlite3.Connection, place: Place, batch: Batch) -> Appended:
    """Write updates after the head, and read what the caller has missed."""
    (answer,) = append_all(connection, place, [batch])
    if isinstance(answer, LogDamaged):
        raise answer
    return answer


def append_all(
    connection: sqlite3.Connection, place: Place, batches: Sequence[Batch]
) -> list[Appended | LogDamaged]:
    """Write what several callers append, one after the other.

    A caller that has read more than there is gets the error, and the others theirs.
    """
    head = find(connection, place)
    least = min((batch.after for batch in batches), default=head.head)
    start = min(max(least, head.snapshot_seq), head.head)
    recent = read_after(connection, place, head, start, head.head - start)
    grown = head
    answers: list[Appended | LogDamaged] = []
    for batch in batches:
        if batch.after > grown.head:
            answers.append(cut_off(place, grown, batch.after))
            continue
        missed = _missed(connection, place, head, batch)
        later = recent[max(batch.after - start, 0) :]
        missed += [row for row in later if row.origin != batch.origin]
        first, grown = _insert(connection, place, grown, (batch, recent))
        answers.append(Appended(first, grown.head, missed))
    if grown is not head:
        connection.execute(
            "UPDATE docs SET head = ?, rows = ?, bytes = ?, crc = ? WHERE id = ?",
            (grown.head, grown.rows, grown.bytes, grown.crc, grown.key),
        )
    return answers


def _insert(
    connection: sqlite3.Connection,
    place: Place,
    head: Head,
    content: tuple[Batch, list[Row]],
) -> tuple[int, Head]:
    """Insert the updates of a batch, and note them as rows.

    Returns:
        The sequence number of the first update, and where the log stands then.
    """
    batch, recent = content
    top, crc, size, first = head.head, head.crc, head.bytes, 0
    for update, digest in zip(batch.updates, batch.hashes, strict=True):
        cursor = connection.execute(
            "INSERT OR IGNORE INTO updates VALUES (?, ?, ?, 0, ?, ?, ?, ?)",
            (
                head.key,
                top + 1,
                KIND_UPDATE,
                digest,
                batch.origin,
                batch.at_ms,
                update,
            ),
        )
        if not cursor.rowcount:
            known = _known(connection, place, head, digest, update)
            first = first or known
            continue
        top += 1
        crc = zlib.crc32(update, crc)
        size += len(update)
        first = first or top
        recent.append(Row(top, batch.origin, update))
    if top == head.head:
        return first, head
    rows = head.rows + top - head.head
    return first, replace(head, head=top, rows=rows, bytes=size, crc=crc)


def _known(
    connection: sqlite3.Connection,
    place: Place,
    head: Head,
    digest: bytes,
    update: bytes,
) -> int:
    """Return the sequence number of an update that is there already."""
    found = connection.execute(
        "SELECT seq, bytes FROM updates WHERE doc = ? AND hash = ?", (head.key, digest)
    ).fetchone()
    if found is None or found[1] != update:
        raise damaged(place.path, f"an update near {head.head} is not intact")
    seq: int = found[0]
    return seq


def _missed(
    connection: sqlite3.Connection, place: Place, head: Head, batch: Batch
) -> list[Row]:
    """Read what was compacted before the caller had read it: the snapshot."""
    if batch.after >= head.snapshot_seq:
        return []
    snapshot = read_snapshot(connection, place, head)
    waiting = connection.execute(
        "SELECT seq, origin, bytes FROM updates"
        " WHERE doc = ? AND seq > ? AND seq <= ? AND origin <> ? ORDER BY seq",
        (head.key, batch.after, head.snapshot_seq, batch.origin),
    )
    return [Row(head.snapshot_seq, "", snapshot), *(Row(*row) for row in waiting)]
