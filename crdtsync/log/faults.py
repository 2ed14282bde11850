"""Turns SQLite's and the system's errors into this package's; handles none itself."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from crdtsync.errors import DataError, LogDamaged, LogUnwritable

DOCTOR_HINT = "The file was left as it is; `crdtsync doctor` can salvage it."

_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_AUTH: "no permission",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_BUSY: "another process has it locked",
    sqlite3.SQLITE_LOCKED: "another process has it locked",
    sqlite3.SQLITE_IOERR: "the disk reported an error",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_TOOBIG: "an update is too large",
}
_UNREADABLE = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)
_HINTS = {
    errno.ENOSPC: "Free some space and try again.",
    errno.EDQUOT: "Free some space and try again.",
}


def damaged(path: Path, what: str) -> LogDamaged:
    """Say that a file cannot be read, and what to do."""
    return LogDamaged(f"{path} is damaged: {what}", hint=DOCTOR_HINT)


def unwritable(path: Path, cause: str) -> LogUnwritable:
    """Say that a file cannot be written, and why."""
    return LogUnwritable(
        f"Cannot write {path}: {cause}",
        hint="Check the free space and the permissions of that folder.",
    )


def translate(fault: sqlite3.Error | OSError, path: Path) -> DataError:
    """Name a fault of SQLite or of the system by what it means for the log."""
    if isinstance(fault, OSError):
        return LogUnwritable(
            f"Cannot write {path}: {os.strerror(fault.errno or 0)}",
            hint=_HINTS.get(fault.errno or 0, "Check the permissions of that folder."),
        )
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    cause = _UNWRITABLE.get(code & 0xFF)
    if cause is None or code in _UNREADABLE:
        return damaged(path, str(fault))
    return unwritable(path, f"{cause} ({fault})")


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Raise what SQLite or the system raises inside as this package's errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        raise translate(fault, path) from fault
