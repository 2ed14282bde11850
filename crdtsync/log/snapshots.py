"""Puts a snapshot in the place of rows, in SQL (S-4). It decodes nothing."""

from __future__ import annotations

import sqlite3
import zlib
from itertools import pairwise

from crdtsync.log import Stored
from crdtsync.log.compaction import Folded
from crdtsync.log.faults import damaged
from crdtsync.log.rows import Place, find, update_hash

PREVIOUS_KEPT_MS = 7 * 24 * 3600 * 1000
"""How long the snapshot before the newest one is kept: 7 days."""


def replace_rows(
    connection: sqlite3.Connection,
    place: Place,
    stored: Stored,
    folded: Folded,
    at_ms: int,
) -> bool:
    """Write a snapshot and delete the rows it holds; False if another one came first.

    Rows that it does not hold stay: those after it, and those that wait for updates
    which are missing.
    """
    head = find(connection, place)
    if head.snapshot_seq != stored.snapshot_seq:
        return False
    kept = _kept(connection, head.key, stored, folded)
    _write_snapshot(connection, place, head.key, (stored.head, folded, at_ms))
    connection.executemany(
        "DELETE FROM updates WHERE doc = ? AND seq > ? AND seq < ?",
        [(head.key, *between) for between in pairwise([0, *kept, stored.head + 1])],
    )
    left = [
        row[0]
        for row in connection.execute(
            "SELECT bytes FROM updates WHERE doc = ? ORDER BY seq", (head.key,)
        )
    ]
    connection.execute(
        "UPDATE docs SET snapshot_seq = ?, kept = ?, rows = ?, bytes = ?, crc = ?"
        " WHERE id = ?",
        (
            stored.head,
            len(kept),
            len(left),
            sum(map(len, left)),
            zlib.crc32(b"".join(left)),
            head.key,
        ),
    )
    _drop_old(connection, head.key, at_ms)
    return True


def _kept(
    connection: sqlite3.Connection, key: int, stored: Stored, folded: Folded
) -> list[int]:
    """Return the sequence numbers of the updates that are not in the snapshot."""
    if not folded.kept:
        return []
    found = connection.execute(
        "SELECT seq FROM updates WHERE doc = ? AND seq <= ? ORDER BY seq",
        (key, stored.head),
    ).fetchall()
    return [found[index][0] for index in folded.kept]


def _write_snapshot(
    connection: sqlite3.Connection,
    place: Place,
    key: int,
    content: tuple[int, Folded, int],
) -> None:
    upto, folded, at_ms = content
    digest = update_hash(folded.snapshot)
    connection.execute(
        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?)",
        (key, upto, folded.snapshot, folded.state_vector, digest, at_ms),
    )
    written = connection.execute(
        "SELECT bytes FROM snapshots WHERE doc = ? AND upto_seq = ?", (key, upto)
    ).fetchone()
    if written is None or written[0] != folded.snapshot:
        raise damaged(place.path, "a snapshot was not stored as it was written")


def _drop_old(connection: sqlite3.Connection, key: int, at_ms: int) -> None:
    """Keep the newest snapshot, and the one before it for a while."""
    older = connection.execute(
        "SELECT upto_seq, at FROM snapshots WHERE doc = ?"
        " ORDER BY upto_seq DESC LIMIT -1 OFFSET 1",
        (key,),
    ).fetchall()
    for index, (upto, written_ms) in enumerate(older):
        if index or written_ms < at_ms - PREVIOUS_KEPT_MS:
            connection.execute(
                "DELETE FROM snapshots WHERE doc = ? AND upto_seq = ?", (key, upto)
            )
