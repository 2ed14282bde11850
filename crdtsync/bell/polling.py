"""A bell of small files looked at every 50 ms, for platforms without AF_UNIX.

Each window keeps two files in the session's runtime folder: `NAME.here`, locked for
as long as its process lives, and `NAME.out`, its latest payloads with their numbers,
replaced as a whole by each ring. It uses no socket and watches no file system events.
"""

from __future__ import annotations

import os
import secrets
import struct
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import lowlevel

from crdtsync.bell import PAYLOAD_BYTES_MAX, Bell
from crdtsync.bell.folder import (
    WINDOWS_MAX,
    check_name,
    is_name,
    name_taken,
    private_folder,
    too_many,
)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["POLL_INTERVAL_S", "open_polling_bell"]

POLL_INTERVAL_S = 0.05
"""Time between two looks: the bell's latency, and twenty stats a second per window."""

PAYLOADS_KEPT_MAX = 32
"""Payloads in an outbox; who looks later than that gets one b"" for the lost ones."""

OUTBOX_BYTES_MAX = 16 + PAYLOADS_KEPT_MAX * (2 + PAYLOAD_BYTES_MAX)

CLAIM_ATTEMPTS_MAX = 20
"""Tries to lock one's own name, 10 ms apart; a probe holds it for an instant."""

OUTBOX_OUTLIVES_S = 10.0
"""How long the last words of a window that left stay readable for the others."""

_HEADER = struct.Struct(">8sQ")
_LENGTH = struct.Struct(">H")


@asynccontextmanager
async def open_polling_bell(folder: Path, name: str) -> AsyncIterator[Bell]:
    """Open a window's bell in the session's runtime folder, made if missing.

    One task at a time may wait; payloads are sent on by `ring` and, if the file was
    in use, by the next `wait`.

    Raises:
        ValueError: The name is no window id.
        UsageError: A living window has that name, or there are too many.
        DataError: The folder is not private to this user.
    """
    check_name(name)
    private_folder(folder)
    if len(_sweep(folder, name)) >= WINDOWS_MAX:
        raise too_many()
    lock = await _claim(folder, name)
    bell = _PollingBell(folder, name)
    try:
        yield bell
    finally:
        with suppress(OSError):
            _here(folder, name).unlink()
        os.close(lock)


@dataclass(slots=True)
class _Heard:
    """How far an outbox was read: of which instance, and up to which number."""

    stamp: tuple[int, int, int] = (0, 0, 0)
    instance: bytes = b""
    number: int = 0


class _PollingBell:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._instance = secrets.token_bytes(8)
        self._number = 0
        self._kept: deque[bytes] = deque(maxlen=PAYLOADS_KEPT_MAX)
        self._unwritten = False
        self._known: set[str] = set()
        self._heard: dict[str, _Heard] = {}
        self._collect()

    @property
    def name(self) -> str:
        return self._name

    def ring(self, payload: bytes = b"") -> tuple[str, ...]:
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"payload of {len(payload)} bytes")
        self._kept.append(payload)
        self._number += 1
        self._write()
        known = self._known | set(_listed(self._folder, ".here", self._name))
        self._known = set(_sweep(self._folder, self._name))
        return tuple(sorted(known - self._known))

    async def wait(self) -> list[bytes]:
        await lowlevel.checkpoint()
        while True:
            if self._unwritten:
                self._write()
            # No await between reading and returning: a cancelled wait loses nothing.
            if payloads := self._collect():
                return payloads
            await anyio.sleep(POLL_INTERVAL_S)

    def others(self) -> tuple[str, ...]:
        return _sweep(self._folder, self._name)

    def _write(self) -> None:
        outbox = _outbox(self._folder, self._name)
        draft = outbox.with_suffix(".tmp")
        parts = [_HEADER.pack(self._instance, self._number)]
        for payload in self._kept:
            parts += [_LENGTH.pack(len(payload)), payload]
        try:
            draft.write_bytes(b"".join(parts))
            draft.replace(outbox)
        except OSError:
            # Full disk, or the file is being read on a platform that minds.
            self._unwritten = True
        else:
            self._unwritten = False

    def _collect(self) -> list[bytes]:
        """Read what is new in every other outbox."""
        payloads: list[bytes] = []
        names = _listed(self._folder, ".out", self._name)
        for gone in self._heard.keys() - set(names):
            del self._heard[gone]
        for name in names:
            heard = self._heard.setdefault(name, _Heard())
            with suppress(OSError):
                payloads += _read_new(_outbox(self._folder, name), heard)
        return payloads


def _read_new(outbox: Path, heard: _Heard) -> Sequence[bytes]:
    status = outbox.stat()
    stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
    if stamp == heard.stamp:
        return ()
    with outbox.open("rb") as file:
        data = file.read(OUTBOX_BYTES_MAX)
    heard.stamp = stamp
    try:
        instance, number, kept = _parse(data)
    except (struct.error, ValueError):
        return (b"",)
    fresh = number - heard.number if instance == heard.instance else number
    heard.instance, heard.number = instance, number
    if fresh <= 0:
        return ()
    lost = (b"",) if fresh > len(kept) else ()
    return (*kept[-fresh:], *lost)


def _parse(data: bytes) -> tuple[bytes, int, list[bytes]]:
    instance, number = _HEADER.unpack_from(data)
    kept: list[bytes] = []
    offset = _HEADER.size
    while offset < len(data):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        if length > PAYLOAD_BYTES_MAX or offset + length > len(data):
            raise ValueError("not an outbox")
        kept.append(data[offset : offset + length])
        offset += length
    return instance, number, kept


def _here(folder: Path, name: str) -> Path:
    return folder / f"{name}.here"


def _outbox(folder: Path, name: str) -> Path:
    return folder / f"{name}.out"


def _listed(folder: Path, suffix: str, own: str) -> list[str]:
    with suppress(OSError):
        entries = os.listdir(folder)  # noqa: PTH208 - three times faster
        stems = (e.removesuffix(suffix) for e in entries if e.endswith(suffix))
        return sorted(stem for stem in stems if is_name(stem) and stem != own)
    return []


def _sweep(folder: Path, own: str) -> tuple[str, ...]:
    """Name the living windows, and remove what others left behind."""
    here = _listed(folder, ".here", own)
    for name in set(_listed(folder, ".out", own)).difference(here):
        _remove_outbox_if_old(_outbox(folder, name))
    return tuple(name for name in here if _lives(folder, name))


def _lives(folder: Path, name: str) -> bool:
    path = _here(folder, name)
    try:
        probe = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        if not _lock(probe, shared=True):
            return True
        # The probe's lock keeps a new window of that name waiting meanwhile.
        with suppress(OSError):
            path.unlink()
        return False
    finally:
        os.close(probe)


def _remove_outbox_if_old(outbox: Path) -> None:
    with suppress(OSError):
        if abs(time.time() - outbox.stat().st_mtime) > OUTBOX_OUTLIVES_S:
            outbox.unlink()


async def _claim(folder: Path, name: str) -> int:
    """Lock one's own name, and return the descriptor that holds the lock."""
    path = _here(folder, name)
    for _ in range(CLAIM_ATTEMPTS_MAX):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        # The file may have been removed as a dead window's while we waited for it.
        if _lock(lock, shared=False) and _is_at(lock, path):
            return lock
        os.close(lock)
        await anyio.sleep(0.01)
    raise name_taken(name)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Lock a file without waiting; the system unlocks it when the process ends."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
