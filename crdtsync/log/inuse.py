"""Which database files this process has open, so that nobody reads them as plain files.

SQLite's locks are POSIX advisory locks: they belong to the process, and closing *any*
descriptor of a file drops all of them (sqlite.org/howtocorrupt.html, 2.2). Another
process would then take the file for unused, and delete a -wal that still matters. So
a file is looked at as bytes only while no connection of this process is open on it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from crdtsync.errors import UsageError
from crdtsync.log.identity import file_id

_lock = threading.Lock()
_open: Counter[tuple[int, int]] = Counter()


def claim(path: Path, inspect: Callable[[Path], None]) -> tuple[int, int]:
    """Note that connections to a file are about to be opened; `release` it afterwards.

    Args:
        path: An existing file.
        inspect: Reads the file as bytes; called only if this process has it not open,
            and nothing is claimed meanwhile. What it raises comes out, unclaimed.
    """
    with _lock:
        inode = file_id(path)
        if not _open[inode]:
            inspect(path)
        _open[inode] += 1
    return inode


def release(inode: tuple[int, int]) -> None:
    """Note that the connections of one `claim` are closed."""
    with _lock:
        _open[inode] -= 1
        if not _open[inode]:
            del _open[inode]


def is_open_here(path: Path) -> bool:
    """Whether this process has connections to a file."""
    try:
        inode = file_id(path)
    except OSError:
        return False
    with _lock:
        return inode in _open


def check_closed(path: Path) -> None:
    """Refuse to read a file as bytes that this process has open.

    Raises:
        UsageError: It has.
    """
    if is_open_here(path):
        raise UsageError(
            f"{path} is open in this very program", hint="Close the session first."
        )
