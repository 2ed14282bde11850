"""Opens a database file for writing or, where that fails, for reading.

It reads no updates. It never changes a file that it does not recognise.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from crdtsync.errors import LogUnwritable, SessionNotFound
from crdtsync.log import inuse
from crdtsync.log.faults import damaged, translated, unwritable
from crdtsync.log.leases import Keeper
from crdtsync.log.schema import Mode, connect, create_file, recognise
from crdtsync.log.wal import skipped_transactions, wal_of


@dataclass(slots=True)
class Opened:
    """The connections of an open file.

    Attributes:
        path: The file that is read: a private copy if the original cannot be shared.
        mode: How further connections read it.
        reader: A connection that reads.
        writer: A connection that writes, or None.
        unwritable: Why there is no writer.
    """

    path: Path
    mode: Mode
    reader: sqlite3.Connection
    writer: sqlite3.Connection | None
    unwritable: LogUnwritable | None
    cleanup: ExitStack

    def connect(self) -> sqlite3.Connection:
        """Make one more connection that reads."""
        return connect(self.path, self.mode)

    def close(self) -> None:
        """Remove the private copy; the connections were closed by their threads."""
        self.cleanup.close()


def open_file(
    path: Path, keeper: Keeper, *, must_exist: bool, read_only: bool, dedupes: bool
) -> Opened:
    """Open a file, or make it; blocks.

    Raises:
        DataError: One of its kinds, as `open_sqlite_log` says.
        SessionNotFound: There is no file and none may be made.
    """
    if not path.exists():
        if must_exist or read_only:
            raise SessionNotFound(f"There is no session at {path}")
        create_file(path)
    inode = _claim(path)
    with ExitStack() as stack:
        stack.callback(inuse.release, inode)
        opened = _open(path, keeper, read_only=read_only)
        if opened.writer is not None and not dedupes:
            with translated(path):
                opened.writer.execute("DROP INDEX IF EXISTS updates_hash")
        opened.cleanup.push(stack.pop_all())
        return opened


def _claim(path: Path) -> tuple[int, int]:
    with translated(path):
        return inuse.claim(path, _inspect)


def _inspect(path: Path) -> None:
    recognise(path)
    _check_wal(path)


def _open(path: Path, keeper: Keeper, *, read_only: bool) -> Opened:
    if read_only:
        return open_for_reading(path, unwritable(path, "it was opened for reading"))
    try:
        return _open_for_writing(path, keeper)
    except LogUnwritable as cause:
        return open_for_reading(path, cause)


def _open_for_writing(path: Path, keeper: Keeper) -> Opened:
    with ExitStack() as stack, translated(path):
        writer = stack.enter_context(closing(connect(path, "rw")))
        writer.execute("BEGIN IMMEDIATE")
        keeper.bind(writer, path)
        # A write that changes nothing finds out what BEGIN does not: a full disk, a
        # folder without permission.
        writer.execute("UPDATE meta SET value = value WHERE key = 'arb'")
        writer.execute("COMMIT")
        reader = stack.enter_context(closing(connect(path, "rw")))
        reader.execute("PRAGMA query_only = ON")
        stack.pop_all()
        return Opened(path, "rw", reader, writer, None, ExitStack())


def open_for_reading(path: Path, cause: LogUnwritable) -> Opened:
    """Open a file without ever changing it; blocks.

    Raises:
        DataError: It cannot be read.
    """
    with translated(path), ExitStack() as stack:
        try:
            return Opened(path, "ro", connect(path, "ro"), None, cause, ExitStack())
        except sqlite3.OperationalError:
            # SQLite cannot make the -shm file that readers of a WAL share.
            if _has_wal(path):
                path = _copy(path, stack)
        mode: Mode = "rw" if _has_wal(path) else "immutable"
        reader = stack.enter_context(closing(connect(path, mode)))
        return Opened(path, mode, reader, None, cause, stack.pop_all())


def _check_wal(path: Path) -> None:
    """Refuse a file of which SQLite would skip transactions.

    By a connection that cannot write, as closing one that can would delete the -wal.
    """
    if not _has_wal(path):
        return
    with suppress(sqlite3.OperationalError), closing(connect(path, "ro")):
        if skipped := skipped_transactions(path):
            raise damaged(path, f"{skipped} transactions in its -wal file are cut off")


def _has_wal(path: Path) -> bool:
    wal = wal_of(path)
    return wal.exists() and wal.stat().st_size > 0


def _copy(path: Path, stack: ExitStack) -> Path:
    """Copy a file that a crash left in two parts to where SQLite can join them."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crdtsync-")))
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", folder / f"{path.name}{suffix}")
        os.chmod(folder / f"{path.name}{suffix}", 0o600)  # noqa: PTH101
    return folder / path.name
