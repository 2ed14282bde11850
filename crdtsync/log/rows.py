"""Documents and their rows in SQL: plain functions of a connection in a transaction.

They neither begin nor commit; `writer` does.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crdtsync.errors import LogDamaged, SessionNotFound
from crdtsync.log import Row, Stored
from crdtsync.log.faults import damaged

HASH_BYTES = 16
"""BLAKE2b of an update: finds the same update again, and damage."""


class Head(NamedTuple):
    """The row of `docs`: where a document's log stands.

    Attributes:
        key: The document's number in the other tables.
        head: Its last sequence number.
        snapshot_seq: The last sequence number in its newest snapshot.
        kept: Rows at or below `snapshot_seq` that the snapshot could not take in.
        rows: Number of rows in `updates`.
        bytes: Sum of the lengths of their updates.
        crc: CRC-32 of their updates, one after the other.
    """

    key: int
    head: int
    snapshot_seq: int
    kept: int
    rows: int
    bytes: int
    crc: int


@dataclass(frozen=True, slots=True)
class Place:
    """Which document of which file; carried into errors."""

    path: Path
    doc: str


def update_hash(update: bytes) -> bytes:
    """Return the hash under which an update is stored."""
    return hashlib.blake2b(update, digest_size=HASH_BYTES).digest()


def remove(connection: sqlite3.Connection, place: Place) -> None:
    """Remove a document with its rows, snapshots, leases and client ids."""
    for table in ("updates", "snapshots", "leases", "client_ids"):
        connection.execute(
            f"DELETE FROM {table}"  # noqa: S608 - a name from here
            " WHERE doc = (SELECT id FROM docs WHERE doc = ?)",
            (place.doc,),
        )
    connection.execute("DELETE FROM docs WHERE doc = ?", (place.doc,))


def find(connection: sqlite3.Connection, place: Place) -> Head:
    """Read where a document's log stands.

    Raises:
        SessionNotFound: It was never created.
    """
    found = connection.execute(
        "SELECT id, head, snapshot_seq, kept, rows, bytes, crc FROM docs WHERE doc = ?",
        (place.doc,),
    ).fetchone()
    if found is None:
        raise not_found(place)
    return Head(*found)


def not_found(place: Place) -> SessionNotFound:
    """Say that a document was never created."""
    return SessionNotFound(f"{place.path} holds no session {place.doc!r}")


def create_all(
    connection: sqlite3.Connection, path: Path, docs: Sequence[str], at_ms: int
) -> list[str]:
    """Make empty documents; returns those that were not there.

    Raises:
        LogDamaged: One may have been there, but the table of documents is damaged.
    """
    named = json.dumps(docs)
    count, told, there = connection.execute(
        "SELECT count(*), (SELECT value FROM meta WHERE key = 'docs'),"
        " json_group_array(doc) FILTER (WHERE doc IN (SELECT value FROM json_each(?)))"
        " FROM docs NOT INDEXED",
        (named,),
    ).fetchone()
    if told != str(count):
        raise damaged(path, "its list of sessions is not complete")
    found = json.loads(there)
    for doc in found:
        try:
            find(connection, Place(path, doc))
        except SessionNotFound as fault:
            raise damaged(path, "its index of sessions is wrong") from fault
    new = [doc for doc in dict.fromkeys(docs) if doc not in found]
    if new:
        named = json.dumps(new)
        connection.execute(
            "INSERT INTO docs (doc, created_at) SELECT value, ? FROM json_each(?)",
            (at_ms, named),
        )
        connection.execute(
            "INSERT INTO leases (doc) SELECT id FROM docs"
            " WHERE doc IN (SELECT value FROM json_each(?))",
            (named,),
        )
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'docs'", (str(count + len(new)),)
        )
    return new


def load(connection: sqlite3.Connection, place: Place) -> Stored:
    """Read everything of a document, and check that it is everything.

    Raises:
        LogDamaged: Something is missing or changed.
    """
    head = find(connection, place)
    updates = [
        row[0]
        for row in connection.execute(
            "SELECT bytes FROM updates WHERE doc = ? ORDER BY seq", (head.key,)
        ).fetchall()
    ]
    check_whole(connection, place, head, updates)
    arb = connection.execute("SELECT value FROM meta WHERE key = 'arb'").fetchone()
    if arb is None:
        raise damaged(place.path, "the arbiter's id is missing")
    snapshot = read_snapshot(connection, place, head)
    return Stored(snapshot, head.snapshot_seq, updates, head.head, arb[0])


def read_snapshot(connection: sqlite3.Connection, place: Place, head: Head) -> bytes:
    """Read the newest snapshot; empty if there is none."""
    if not head.snapshot_seq:
        return b""
    found = connection.execute(
        "SELECT bytes, hash FROM snapshots WHERE doc = ? AND upto_seq = ?",
        (head.key, head.snapshot_seq),
    ).fetchone()
    if found is None or update_hash(found[0]) != found[1]:
        raise damaged(place.path, f"the snapshot {head.snapshot_seq} is not intact")
    snapshot: bytes = found[0]
    return snapshot


def check_whole(
    connection: sqlite3.Connection, place: Place, head: Head, updates: list[bytes]
) -> None:
    """Check that these are all rows of the document, unchanged.

    One CRC over all of them costs a tenth of a hash per row.
    """
    top = connection.execute(
        "SELECT max(seq) FROM updates WHERE doc = ?", (head.key,)
    ).fetchone()[0]
    whole = (
        len(updates) == head.rows == head.kept + head.head - head.snapshot_seq
        and head.head in (top, head.snapshot_seq)
        and all(type(update) is bytes for update in updates)
        and zlib.crc32(b"".join(updates)) == head.crc
    )
    if not whole:
        raise damaged(
            place.path, f"{len(updates)} of {head.rows} updates found, or some changed"
        )


def read(
    connection: sqlite3.Connection, place: Place, after: int, limit: int
) -> list[Row] | None:
    """Read rows after a sequence number; None if some were compacted away."""
    head = find(connection, place)
    if after < head.snapshot_seq:
        return None
    if after > head.head:
        raise cut_off(place, head, after)
    return read_after(connection, place, head, after, min(limit, head.head - after))


def read_after(
    connection: sqlite3.Connection, place: Place, head: Head, after: int, limit: int
) -> list[Row]:
    """Read consecutive rows; each is checked against its own hash."""
    rows: list[Row] = []
    for seq, origin, update, digest in connection.execute(
        "SELECT seq, origin, bytes, hash FROM updates"
        " WHERE doc = ? AND seq > ? ORDER BY seq LIMIT ?",
        (head.key, after, limit),
    ):
        if seq != after + len(rows) + 1 or update_hash(update) != digest:
            raise damaged(place.path, f"update {after + len(rows) + 1} is not intact")
        rows.append(Row(seq, origin, update))
    if len(rows) < limit:
        raise damaged(place.path, f"update {after + len(rows) + 1} is missing")
    return rows


def cut_off(place: Place, head: Head, after: int) -> LogDamaged:
    """A log that ends before what somebody has read from it has lost rows."""
    return damaged(
        place.path, f"it ends at {head.head}, but {after} was read from it before"
    )
