"""Checks a session file and rescues what is readable (for `crdtsync doctor`).

It never changes the file it looks at. Everything blocks: run it in a thread.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from crdtsync.errors import DataError, LogDamaged, UsageError
from crdtsync.log import Append
from crdtsync.log.apart import DECODE_S_MAX, decodes
from crdtsync.log.appending import Batch, append
from crdtsync.log.faults import translated, unwritable
from crdtsync.log.inuse import check_closed
from crdtsync.log.opening import open_for_reading
from crdtsync.log.rows import Head, Place, create_all, find, update_hash
from crdtsync.log.scan import FoundSnapshot, FoundUpdate, Scan
from crdtsync.log.schema import connect, create_file, recognise

PROBLEMS_MAX = 20
"""Findings of SQLite's own check that are reported."""


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What was found of one document.

    Attributes:
        doc: Its id; `recovered-N` if the name was lost.
        head: The last sequence number that is known of.
        updates: Number of readable updates.
        snapshots: Sequence numbers up to which readable snapshots reach.
        missing: Sequence numbers that are in no readable update and no readable
            snapshot, as (first, last).
    """

    doc: str
    head: int
    updates: int
    snapshots: tuple[int, ...]
    missing: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The findings on one file.

    Attributes:
        path: The file.
        problems: One sentence each; empty if the file is whole.
        documents: What is in it.
    """

    path: Path
    problems: tuple[str, ...]
    documents: tuple[DocumentReport, ...]


def check(path: Path, *, decode_s_max: float = DECODE_S_MAX) -> Report:
    """Read everything in a file and compare it with what should be there.

    Args:
        path: The file.
        decode_s_max: Deadline for decoding one document, in a child process.

    Raises:
        NotASession: It is something else.
        NewerFormat: A newer version of the program wrote it.
        LogUnwritable: It cannot be opened.
    """
    check_closed(path)
    problems: list[str] = []
    documents: list[DocumentReport] = []
    try:
        recognise(path)
        opened = open_for_reading(path, unwritable(path, "it is only checked"))
    except LogDamaged as fault:
        scan = Scan(path)
        return Report(path, (str(fault),), _found(scan, _names(path, scan)))
    try:
        with closing(opened.reader) as connection:
            problems += _structure(connection)
            for head, doc in _documents(connection, problems):
                documents.append(
                    _check_document(connection, head, doc, problems, decode_s_max)
                )
    finally:
        opened.close()
    return Report(path, tuple(problems), tuple(documents))


def salvage(path: Path, destination: Path) -> Report:
    """Copy every readable update and snapshot of a damaged file into a new one.

    The updates get new sequence numbers, and the new file an arbiter of its own.

    Returns:
        What was found in the damaged file, with the sequence numbers that are lost.

    Raises:
        UsageError: There is a file at the destination.
        LogDamaged: Nothing readable was found; no file was made.
        LogUnwritable: The new file cannot be written.
    """
    check_closed(path)
    if destination.exists():
        raise UsageError(f"{destination} exists", hint="Name a file that does not.")
    with translated(path):
        scan = Scan(path)
    names = _names(path, scan)
    report = Report(path, (), _found(scan, names))
    if not report.documents:
        raise LogDamaged(f"Nothing in {path} is readable")
    create_file(destination)
    with (
        translated(destination),
        closing(connect(destination, "rw")) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        for key, (snapshots, updates) in _by_document(scan).items():
            place = Place(destination, names.get(key, (f"recovered-{key}", 0))[0])
            create_all(connection, place.path, [place.doc], 0)
            for snapshot in snapshots:
                _append(connection, place, snapshot.snapshot, ("", 0))
            for update in updates:
                _append(connection, place, update.update, (update.origin, update.at_ms))
        connection.execute("COMMIT")
    return report


def _structure(connection: sqlite3.Connection) -> list[str]:
    """Let SQLite check its own structures."""
    try:
        found = connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
    except sqlite3.Error as fault:
        return [str(fault)]
    return [str(row[0]) for row in found if row[0] != "ok"]


def _documents(
    connection: sqlite3.Connection, problems: list[str]
) -> list[tuple[Head, str]]:
    try:
        found = connection.execute(
            "SELECT id, head, snapshot_seq, kept, rows, bytes, crc, doc FROM docs"
        ).fetchall()
    except sqlite3.Error as fault:
        problems.append(f"The list of sessions cannot be read: {fault}")
        return []
    return [(Head(*row[:7]), str(row[7])) for row in found]


def _check_document(
    connection: sqlite3.Connection,
    head: Head,
    doc: str,
    problems: list[str],
    decode_s_max: float,
) -> DocumentReport:
    updates = _readable_updates(connection, head, doc, problems)
    snapshots = _readable_snapshots(connection, head, doc, problems)
    whole = [updates[seq] for seq in sorted(updates)]
    if zlib.crc32(b"".join(whole)) != head.crc or len(whole) != head.rows:
        problems.append(f"{doc}: {len(whole)} of {head.rows} updates are intact")
    upto = max(snapshots, default=0)
    if upto != head.snapshot_seq:
        problems.append(f"{doc}: the snapshot {head.snapshot_seq} is not readable")
    fault = decodes(snapshots.get(upto, b""), whole, deadline_s=decode_s_max)
    if fault and (whole or snapshots):
        problems.append(f"{doc}: {fault}")
    missing = _missing(updates, upto, head.head)
    return DocumentReport(doc, head.head, len(whole), tuple(sorted(snapshots)), missing)


def _readable_updates(
    connection: sqlite3.Connection, head: Head, doc: str, problems: list[str]
) -> dict[int, bytes]:
    updates: dict[int, bytes] = {}
    try:
        for seq, digest, update in connection.execute(
            "SELECT seq, hash, bytes FROM updates WHERE doc = ? ORDER BY seq",
            (head.key,),
        ):
            if isinstance(update, bytes) and update_hash(update) == digest:
                updates[seq] = update
            else:
                problems.append(f"{doc}: update {seq} is not intact")
    except sqlite3.Error as fault:
        problems.append(f"{doc}: {fault}")
    return updates


def _readable_snapshots(
    connection: sqlite3.Connection, head: Head, doc: str, problems: list[str]
) -> dict[int, bytes]:
    snapshots: dict[int, bytes] = {}
    try:
        for upto, digest, snapshot in connection.execute(
            "SELECT upto_seq, hash, bytes FROM snapshots WHERE doc = ?", (head.key,)
        ):
            if isinstance(snapshot, bytes) and update_hash(snapshot) == digest:
                snapshots[upto] = snapshot
            else:
                problems.append(f"{doc}: the snapshot {upto} is not intact")
    except sqlite3.Error as fault:
        problems.append(f"{doc}: {fault}")
    return snapshots


def _missing(
    seqs: Iterable[int], covered: int, head: int
) -> tuple[tuple[int, int], ...]:
    """Return the gaps in a set of sequence numbers, as (first, last)."""
    gaps: list[tuple[int, int]] = []
    expected = covered + 1
    for seq in sorted(seq for seq in seqs if seq > covered):
        if seq > expected:
            gaps.append((expected, seq - 1))
        expected = seq + 1
    if expected <= head:
        gaps.append((expected, head))
    return tuple(gaps)


def _names(path: Path, scan: Scan) -> dict[int, tuple[str, int]]:
    """Return names and heads of the documents: SQLite's word, or what is found."""
    names = {found.key: (found.doc, found.head) for found in scan.names()}
    with suppress(DataError, sqlite3.Error):
        opened = open_for_reading(path, unwritable(path, "it is being salvaged"))
        try:
            with closing(opened.reader) as connection:
                found = connection.execute("SELECT id, doc, head FROM docs").fetchall()
        finally:
            opened.close()
        names |= {key: (str(doc), head) for key, doc, head in found}
    return names


def _by_document(
    scan: Scan,
) -> dict[int, tuple[list[FoundSnapshot], list[FoundUpdate]]]:
    """Sort what a scan finds, each thing once, in the order it was written."""
    snapshots = {(found.doc, found.upto_seq): found for found in scan.snapshots()}
    updates = {(found.doc, found.seq): found for found in scan.updates()}
    result: dict[int, tuple[list[FoundSnapshot], list[FoundUpdate]]] = {}
    for _, snapshot in sorted(snapshots.items()):
        result.setdefault(snapshot.doc, ([], []))[0].append(snapshot)
    for _, update in sorted(updates.items()):
        result.setdefault(update.doc, ([], []))[1].append(update)
    return result


def _found(scan: Scan, names: dict[int, tuple[str, int]]) -> tuple[DocumentReport, ...]:
    reports: list[DocumentReport] = []
    for key, (snapshots, updates) in _by_document(scan).items():
        doc, head = names.get(key, (f"recovered-{key}", 0))
        seqs = [update.seq for update in updates]
        reach = tuple(snapshot.upto_seq for snapshot in snapshots)
        missing = _missing(seqs, max(reach, default=0), head)
        reports.append(DocumentReport(doc, head, len(updates), reach, missing))
    return tuple(reports)


def _append(
    connection: sqlite3.Connection, place: Place, update: bytes, made: tuple[str, int]
) -> None:
    """Append one update, made by a window at a time."""
    origin, at_ms = made
    after = find(connection, place).head
    one = Append(place.doc, [update], origin, after)
    append(connection, place.path, Batch.of(one, at_ms))
