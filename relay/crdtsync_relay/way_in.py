"""How the programs of a data folder find the window of theirs that listens.

It starts none. A lock tells whether one is there, a file how to come in: the file holds
an owner's token and stays, as the next window takes the same port if it can.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio

from crdtsync.errors import CrdtSyncError, LogUnwritable, UsageError
from crdtsync.links.addresses import SessionLink, parse_link, split_host_port
from crdtsync.private_files import write_once

__all__ = ["find_window", "folder_of", "last_port", "listening_alone", "note_way_in"]

LOCK_TRIES_MAX: Final = 10
"""Whoever only looks whether a window listens has the lock for an instant."""

LOCK_PAUSE_S: Final = 0.05

_LOCK_FILE: Final = "lock"
_WAY_IN: Final = "way-in"


def folder_of(data: Path, session: str) -> Path:
    """Where a session's listening windows keep what they need."""
    return data / "listening" / session


def find_window(data: Path, session: str) -> SessionLink | None:
    """The way into a window of this data folder that listens now; None without one."""
    folder = folder_of(data, session)
    try:
        with _lock(folder, fcntl.LOCK_SH):
            return None
    except BlockingIOError:
        return _read(folder)
    except OSError:
        return None


def note_way_in(folder: Path, own: SessionLink) -> None:
    """Keep the link by which this data folder comes in, for its owner alone.

    Raises:
        LogUnwritable: It cannot be written.
    """
    path = folder / _WAY_IN
    try:
        path.unlink(missing_ok=True)
        write_once(path, own.text)
    except OSError as error:
        raise LogUnwritable(f"{path} cannot be written: {error.strerror}") from error


def last_port(folder: Path) -> int:
    """The port of the window that listened last; 0 if there was none."""
    known = _read(folder)
    return (split_host_port(known.host)[1] or 0) if known else 0


@asynccontextmanager
async def listening_alone(folder: Path) -> AsyncGenerator[None]:
    """Be the only window that listens for a session in this data folder.

    Raises:
        UsageError: Another one does.
        LogUnwritable: The folder cannot be written.
    """
    with ExitStack() as stack:
        for tries_left in reversed(range(LOCK_TRIES_MAX)):
            try:
                stack.enter_context(_lock(folder, fcntl.LOCK_EX))
                break
            except BlockingIOError as error:
                if not tries_left:
                    raise UsageError(
                        "another window here listens for this session already",
                        hint="Open this one without --listen; it follows the other.",
                    ) from error
                await anyio.sleep(LOCK_PAUSE_S)
            except OSError as error:
                raise LogUnwritable(f"{folder} cannot be written: {error}") from error
        yield


def _read(folder: Path) -> SessionLink | None:
    with suppress(OSError, CrdtSyncError, UnicodeDecodeError):
        return parse_link((folder / _WAY_IN).read_text(encoding="ascii"))
    return None


@contextmanager
def _lock(folder: Path, mode: int) -> Iterator[None]:
    """Hold the lock.

    Raises:
        BlockingIOError: Another process has it.
    """
    flags = os.O_RDWR
    if mode == fcntl.LOCK_EX:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags |= os.O_CREAT
    descriptor = os.open(folder / _LOCK_FILE, flags, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
