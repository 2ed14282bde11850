"""Appends updates in SQL: plain functions of a connection in a transaction.

They neither begin nor commit; `writer` does. What many callers append takes as few
statements as one: each of them hands the interpreter's lock to other threads and back.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, TypeVar

from crdtsync.errors import CrdtSyncError
from crdtsync.log import Append, Appended, Row
from crdtsync.log.faults import damaged
from crdtsync.log.rows import (
    Head,
    Place,
    cut_off,
    not_found,
    read_after,
    read_snapshot,
    update_hash,
)

__all__ = ["Batch", "append", "append_all"]

KIND_UPDATE: Final = 1
"""Rows that are Yjs updates; other kinds are reserved (S-8)."""

_SELECT_HEADS: Final = (
    "SELECT json_group_array(json_array("
    "doc, id, head, snapshot_seq, kept, rows, bytes, crc)) FROM docs"
)
"""All of them in one row: the lock changes hands for each row that is fetched."""

_ROWS_MAX: Final = 64
"""Rows of one statement; there are statements for each power of two up to it."""

_Row: TypeAlias = tuple[int, int, int, int, bytes, str, int, bytes]
"""A row of `updates`."""

_Known: TypeAlias = dict[tuple[int, bytes], int]
"""The sequence numbers of updates that are there, by document and hash."""

T = TypeVar("T")


class Batch(NamedTuple):
    """What one call appends.

    Attributes:
        append: As the caller gave it.
        hashes: The hashes of its updates.
        at_ms: When, for people; milliseconds since 1970.
    """

    append: Append
    hashes: Sequence[bytes]
    at_ms: int

    @property
    def size_bytes(self) -> int:
        """Bytes of its updates."""
        return sum(map(len, self.append.updates))

    @classmethod
    def of(cls, append: Append, at_ms: int) -> Batch:
        """Prepare what can be prepared before there is a transaction."""
        return cls(append, [update_hash(update) for update in append.updates], at_ms)


def append(connection: sqlite3.Connection, path: Path, batch: Batch) -> Appended:
    """Write updates after the head, and read what the caller has missed."""
    (answer,) = append_all(connection, path, [batch])
    if isinstance(answer, Exception):
        raise answer
    return answer


def append_all(
    connection: sqlite3.Connection, path: Path, batches: Sequence[Batch]
) -> list[Appended | Exception]:
    """Write what several callers append, in this order within each document.

    A caller that has read more than there is gets the error, and the others theirs;
    likewise those of a document that is damaged.
    """
    planning = _Planning(connection, path, batches)
    answers = planning.plan({})
    inserted = _insert(connection, planning.rows)
    if inserted < len(planning.rows):
        # Some are there already: rare enough to find out only now.
        _undo(connection, planning.rows[:inserted])
        answers = planning.plan(_look_up(connection, path, planning.rows))
        if _insert(connection, planning.rows) < len(planning.rows):
            raise damaged(path, "there are updates behind its end")
    _advance(connection, planning.grown)
    return answers


class _Planning:
    """Works out which rows are to be written, and what callers are told.

    Attributes:
        heads: Where the documents stand.
        rows: What is to be inserted.
        grown: Where the documents stand then, without those that do not change.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, batches: Sequence[Batch]
    ) -> None:
        self._connection = connection
        self._path = path
        self._batches = batches
        self._by_document: dict[str, list[int]] = {}
        for index, batch in enumerate(batches):
            self._by_document.setdefault(batch.append.doc, []).append(index)
        self.heads = _find_all(connection, list(self._by_document))
        self.rows: list[_Row] = []
        self.grown: list[Head] = []

    def plan(self, known: _Known) -> list[Appended | Exception]:
        """Plan all batches anew; `known` are updates that are there already."""
        self.rows, self.grown = [], []
        answers: dict[int, Appended | Exception] = {}
        for doc, indexes in self._by_document.items():
            try:
                found = self._plan(doc, [self._batches[at] for at in indexes], known)
            except CrdtSyncError as fault:
                found = [fault] * len(indexes)
            answers.update(zip(indexes, found, strict=True))
        return [answers[index] for index in range(len(answers))]

    def _plan(
        self, doc: str, batches: list[Batch], known: _Known
    ) -> list[Appended | Exception]:
        head = self.heads.get(doc)
        if head is None:
            raise not_found(Place(self._path, doc))
        if len(batches) > 1 or batches[0].append.after != head.head:
            return self._plan_several(doc, head, batches, known)
        # Of a relay's rooms nearly always: one batch, and nothing was missed.
        first, grown = _add(batches[0], head, self.rows, known)
        if grown is not head:
            self.grown.append(grown)
        return [Appended(first, grown.head, [])]

    def _plan_several(
        self, doc: str, head: Head, batches: list[Batch], known: _Known
    ) -> list[Appended | Exception]:
        grown = head
        least = min(batch.append.after for batch in batches)
        start = min(max(least, head.snapshot_seq), head.head)
        recent = self._recent(doc, head, start) if start < head.head else []
        rows: list[_Row] = []
        answers: list[Appended | Exception] = []
        for batch in batches:
            after, origin = batch.append.after, batch.append.origin
            if after > grown.head:
                answers.append(cut_off(Place(self._path, doc), grown, after))
                continue
            later = recent[max(after - start, 0) :]
            missed = [row for row in later if row.origin != origin]
            if after < head.snapshot_seq:
                missed = self._folded(batch.append, head) + missed
            before = len(rows)
            first, grown = _add(batch, grown, rows, known)
            if len(batches) > 1:
                recent += [Row(row[1], origin, row[-1]) for row in rows[before:]]
            answers.append(Appended(first, grown.head, missed))
        self.rows += rows
        if grown is not head:
            self.grown.append(grown)
        return answers

    def _recent(self, doc: str, head: Head, start: int) -> list[Row]:
        """Read what some of the callers have not read yet."""
        place = Place(self._path, doc)
        return read_after(self._connection, place, head, start, head.head - start)

    def _folded(self, append: Append, head: Head) -> list[Row]:
        """Read what was compacted before the caller had read it: the snapshot."""
        place = Place(self._path, append.doc)
        snapshot = read_snapshot(self._connection, place, head)
        waiting = self._connection.execute(
            "SELECT seq, origin, bytes FROM updates"
            " WHERE doc = ? AND seq > ? AND seq <= ? AND origin <> ? ORDER BY seq",
            (head.key, append.after, head.snapshot_seq, append.origin),
        )
        return [Row(head.snapshot_seq, "", snapshot), *(Row(*row) for row in waiting)]


def _find_all(connection: sqlite3.Connection, docs: Sequence[str]) -> dict[str, Head]:
    """Read where documents stand; those that were never created are left out."""
    found: dict[str, Head] = {}
    for part in _in_parts(docs):
        (heads,) = connection.execute(
            f"{_SELECT_HEADS} WHERE doc IN {_values(len(part), 1)}",
            part,
        ).fetchone()
        found.update((doc, Head(*values)) for doc, *values in json.loads(heads))
    return found


def _add(batch: Batch, head: Head, rows: list[_Row], known: _Known) -> tuple[int, Head]:
    """Add the rows of a batch.

    Returns:
        The sequence number of its first update, and where the log stands then.
    """
    key, top, crc, size, first = head.key, head.head, head.crc, head.bytes, 0
    origin, at_ms = batch.append.origin, batch.at_ms
    for update, digest in zip(batch.append.updates, batch.hashes, strict=True):
        seq = known.get((key, digest))
        if seq is None:
            top += 1
            seq = known[key, digest] = top
            rows.append((key, seq, KIND_UPDATE, 0, digest, origin, at_ms, update))
            crc = zlib.crc32(update, crc)
            size += len(update)
        first = first or seq
    if top == head.head:
        return first, head
    count = head.rows + top - head.head
    # Not `_replace`, which takes as long as all of the rest.
    return first, Head(key, top, head.snapshot_seq, head.kept, count, size, crc)


def _look_up(
    connection: sqlite3.Connection, path: Path, rows: Sequence[_Row]
) -> _Known:
    """Find the updates that are there already.

    Raises:
        LogDamaged: Something else is there under the hash of one.
    """
    known: _Known = {}
    for key, seq, *_, digest, _, _, update in rows:
        found = connection.execute(
            "SELECT seq, bytes FROM updates WHERE doc = ? AND hash = ?", (key, digest)
        ).fetchone()
        if found is not None and found[1] != update:
            raise damaged(path, f"an update near {seq} is not intact")
        if found is not None:
            known[key, digest] = found[0]
    return known


def _undo(connection: sqlite3.Connection, rows: Iterable[_Row]) -> None:
    """Take back what was inserted just now, and nothing that was there before."""
    connection.executemany(
        "DELETE FROM updates WHERE doc = ? AND seq = ?", [row[:2] for row in rows]
    )


def _insert(connection: sqlite3.Connection, rows: Sequence[_Row]) -> int:
    """Insert rows; returns how many, fewer than all if one is in the way."""
    inserted = 0
    for part in _in_parts(rows):
        try:
            connection.execute(
                f"INSERT INTO updates VALUES {_values(8, len(part))}",  # noqa: S608
                [value for row in part for value in row],
            )
        except sqlite3.IntegrityError:
            # The statement has undone what it did.
            break
        inserted += len(part)
    return inserted


def _advance(connection: sqlite3.Connection, grown: Sequence[Head]) -> None:
    for part in _in_parts([(h.key, h.head, h.rows, h.bytes, h.crc) for h in grown]):
        connection.execute(
            "WITH grown (id, head, rows, bytes, crc) AS"  # noqa: S608
            f" (VALUES {_values(5, len(part))}) UPDATE docs"
            " SET (head, rows, bytes, crc) ="
            " (SELECT head, rows, bytes, crc FROM grown WHERE grown.id = docs.id)"
            " WHERE id IN (SELECT id FROM grown)",
            [value for values in part for value in values],
        )


@lru_cache
def _values(width: int, count: int) -> str:
    """Return so many rows of place-holders."""
    return ", ".join([f"({', '.join('?' * width)})"] * count)


def _in_parts(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut into powers of two, so that there are few different statements."""
    at, size = 0, _ROWS_MAX
    while at < len(things):
        while size > len(things) - at:
            size //= 2
        yield things[at : at + size]
        at += size
