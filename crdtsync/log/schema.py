"""The database file: its tables, its creation, its recognition. It reads no updates."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

from crdtsync.errors import NewerFormat, NotASession
from crdtsync.log.faults import damaged, translated
from crdtsync.log.identity import binding

APPLICATION_ID = 0x43524454
"""Marks the file as ours ("CRDT") in SQLite's header."""

FORMAT = 1
"""What a program must understand to read and write the file.

Tables and columns that an older program may ignore do not raise it.
"""

BUSY_MS_MAX = 10_000
"""Longest wait for another process that opens, closes or recovers the file."""

Mode = Literal["rw", "ro", "immutable"]
"""How a connection opens the file; `immutable` ignores every other process."""

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"

_TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE docs (
    id INTEGER PRIMARY KEY,
    doc TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL DEFAULT 0,
    snapshot_seq INTEGER NOT NULL DEFAULT 0,
    kept INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    crc INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE TABLE updates (
    doc INTEGER NOT NULL REFERENCES docs (id),
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL DEFAULT 1,
    epoch INTEGER NOT NULL DEFAULT 0,
    hash BLOB NOT NULL,
    origin TEXT NOT NULL,
    at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (doc, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX updates_hash ON updates (doc, hash);
CREATE TABLE snapshots (
    doc INTEGER NOT NULL REFERENCES docs (id),
    upto_seq INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    state_vector BLOB NOT NULL,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (doc, upto_seq)
);
CREATE TABLE leases (
    doc INTEGER PRIMARY KEY REFERENCES docs (id),
    epoch INTEGER NOT NULL DEFAULT 0,
    runner TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    turn TEXT,
    expires REAL NOT NULL DEFAULT 0,
    boot TEXT NOT NULL DEFAULT '',
    quarantine REAL NOT NULL DEFAULT 0,
    ended REAL
);
CREATE TABLE client_ids (
    doc INTEGER NOT NULL REFERENCES docs (id),
    id INTEGER NOT NULL,
    PRIMARY KEY (doc, id)
) WITHOUT ROWID;
"""


def create_file(path: Path) -> None:
    """Make an empty store, unless there is a file of that name already.

    The file appears under its name only when it is complete. So a file that is too
    short was cut off, and is never mistaken for one that is being made.
    """
    with translated(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            _fill(draft)
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def _fill(draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        store_id = secrets.token_hex(16)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {FORMAT}; BEGIN; {_TABLES} COMMIT;"
        )
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("store_id", store_id),
                ("bound", binding(store_id, draft)),
                ("arb", secrets.token_hex(16)),
                ("docs", "0"),
            ],
        )


def _publish(draft: Path, path: Path) -> None:
    """Give a complete file its name; another process may have been faster."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    except OSError:  # A file system without hard links.
        if not path.exists():
            draft.rename(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def recognise(path: Path) -> None:
    """Check that the file is a store of a known format, before SQLite sees it.

    Raises:
        NotASession: It is something else.
        NewerFormat: A newer version of the program wrote it.
        LogDamaged: It is too short to be anything.
        LogUnwritable: It cannot be opened.
    """
    with translated(path), path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not _MAGIC.startswith(header[: len(_MAGIC)]):
        raise not_a_session(path)
    if len(header) < _HEADER_BYTES:
        raise damaged(path, f"only {len(header)} bytes are left")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise not_a_session(path)
    check_format(int.from_bytes(header[60:64]), path)


def not_a_session(path: Path) -> NotASession:
    """Say that a file is something else."""
    return NotASession(
        f"{path} is not a session of crdtsync",
        hint="Give the path of a session file, or move this file away.",
    )


def check_format(found: int, path: Path) -> None:
    """Refuse a format that this program does not know.

    Raises:
        NewerFormat: A newer version of the program wrote it.
        LogDamaged: No version of the program writes such a number.
    """
    if found > FORMAT:
        raise NewerFormat(
            f"{path} has format {found}; this program knows up to {FORMAT}",
            hint="Install a newer version of crdtsync.",
        )
    if found < 1:
        raise damaged(path, f"its format number is {found}")


def connect(path: Path, mode: Mode) -> sqlite3.Connection:
    """Open an existing file with the settings every connection needs."""
    query = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = FAST")
        # What undoes one statement: without this, a file for each that inserts rows.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
