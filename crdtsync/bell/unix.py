"""A bell of Unix datagram sockets, one per window; it keeps nothing on disk but those.

Each window binds `NAME.sock` in the session's runtime folder and holds one connected
socket per other window. One socket for all would let a single stopped window, whose
unread datagrams count against its sender's buffer, silence the bell for everybody.

Losing is safe. A send is refused for lack of room only while its receiver has that
many unread datagrams, so the receiver wakes up after the refusal; and whoever drains
as many as a full queue holds adds b"", because one may have been refused.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from crdtsync.bell import PAYLOAD_BYTES_MAX, Bell
from crdtsync.bell.folder import (
    SOCKET_PATH_BYTES_MAX,
    SOCKET_SUFFIX,
    WINDOWS_MAX,
    check_name,
    is_name,
    name_taken,
    private_folder,
    too_many,
)
from crdtsync.errors import DataError

__all__ = ["open_unix_bell"]

DATAGRAMS_PER_WAIT_MAX = 256
"""Bound of one drain, so that a flood cannot hold the loop."""

BUFFER_BYTES = 131_072
"""Room asked for per socket and direction: over 8 of the largest payloads, with the
kernel's overhead, where its limit is bytes and not datagrams."""

QUEUE_DATAGRAMS_SUSPECT = 8
"""Who drains so many at once cannot know that none was refused. Linux queues
`max_dgram_qlen` + 1, which is 11 by default; a smaller setting lowers this too."""

LISTING_SETTLES_S = 0.02
"""Two changes of a folder within one tick of the kernel may bear the same mtime."""

_NAMES_LISTED_MAX = 2 * WINDOWS_MAX


@asynccontextmanager
async def open_unix_bell(folder: Path, name: str) -> AsyncIterator[Bell]:
    """Open a window's bell in the session's runtime folder, made if missing.

    One task at a time may wait. `ring` belongs to the event loop's thread.

    Raises:
        ValueError: The name is no window id.
        UsageError: A living window has that name, or there are too many.
        DataError: The folder is not private to this user, or its path is too long.
    """
    check_name(name)
    private_folder(folder)
    others = _sweep(folder, name)
    if len(others) >= WINDOWS_MAX:
        raise too_many()
    bell = _UnixBell(folder, name, _bind(folder, name))
    try:
        yield bell
    finally:
        bell.close()


class _UnixBell:
    def __init__(self, folder: Path, name: str, own: socket.socket) -> None:
        self._folder = folder
        self._name = name
        self._socket = own
        self._inode = _path(folder, name).stat().st_ino
        self._peers: dict[str, socket.socket | None] = {}
        self._suspect = min(QUEUE_DATAGRAMS_SUSPECT, _queue_datagrams_max())
        self._stamp = (0, 0)
        self._stamped_at_s = 0.0
        self._settled = False

    @property
    def name(self) -> str:
        return self._name

    def ring(self, payload: bytes = b"") -> tuple[str, ...]:
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"payload of {len(payload)} bytes")
        self._find_newcomers()
        dead = [name for name in self._peers if not self._send(name, payload)]
        for name in dead:
            del self._peers[name]
            _remove_if_dead(_path(self._folder, name))
        return tuple(dead)

    async def wait(self) -> list[bytes]:
        while True:
            await anyio.wait_readable(self._socket)
            # No await from here on: a cancelled wait loses nothing.
            if payloads := self._drain():
                return payloads

    def others(self) -> tuple[str, ...]:
        return _sweep(self._folder, self._name)

    def close(self) -> None:
        path = _path(self._folder, self._name)
        with suppress(OSError):
            if path.stat().st_ino == self._inode:
                path.unlink()
        anyio.notify_closing(self._socket)
        self._socket.close()
        for peer in self._peers.values():
            if peer is not None:
                peer.close()
        self._peers.clear()

    def _drain(self) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) < DATAGRAMS_PER_WAIT_MAX:
            try:
                payload = self._socket.recv(PAYLOAD_BYTES_MAX + 1)
            except OSError:
                break
            payloads.append(payload if len(payload) <= PAYLOAD_BYTES_MAX else b"")
        if len(payloads) >= self._suspect:
            payloads.append(b"")
        return payloads

    def _find_newcomers(self) -> None:
        """List the folder again if it changed, or changed a moment ago.

        A name that is no longer listed stays a peer until a send is refused: the
        window may live on although a cleaner of temporary files took its socket.
        """
        try:
            status = self._folder.stat()
        except OSError:
            return
        now_s = time.monotonic()
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp != self._stamp:
            self._stamp, self._stamped_at_s, self._settled = stamp, now_s, False
        if self._settled:
            return
        self._settled = now_s - self._stamped_at_s > LISTING_SETTLES_S
        for name in _listed(self._folder, self._name)[:_NAMES_LISTED_MAX]:
            self._peers.setdefault(name, None)

    def _send(self, name: str, payload: bytes) -> bool:
        """Send to one window; False if there is none behind its name."""
        # Twice, as a new window of that name may have replaced a connected one.
        for _ in range(2):
            peer = self._peers[name]
            try:
                if peer is None:
                    peer = self._peers[name] = _connect(_path(self._folder, name))
                peer.send(payload)
            except (ConnectionError, FileNotFoundError):
                if peer is not None:
                    peer.close()
                self._peers[name] = None
            except OSError:
                # No room (EAGAIN, ENOBUFS), no descriptor, no permission: a loss
                # that the module's docstring explains, but no death.
                return True
            else:
                return True
        return False


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}{SOCKET_SUFFIX}"


def _bind(folder: Path, name: str) -> socket.socket:
    path = _path(folder, name)
    # Bound under another name and then renamed, so that no ring ever meets a socket
    # file that refuses although its window is starting.
    start = folder / f".{secrets.token_hex(8)}"
    length = max(len(os.fsencode(path)), len(os.fsencode(start)))
    if length > SOCKET_PATH_BYTES_MAX:
        raise DataError(
            f"the path {path} is too long for a socket ({length} bytes)",
            hint="Set XDG_RUNTIME_DIR to a folder with a shorter path.",
        )
    if _answers(path):
        raise name_taken(name)
    own = _new_socket()
    try:
        own.bind(os.fsencode(start))
        start.rename(path)
    except OSError as error:
        own.close()
        raise DataError(f"cannot open {path}: {error.strerror}") from error
    return own


def _new_socket() -> socket.socket:
    new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    new.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with suppress(OSError):
            new.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return new


def _connect(path: Path) -> socket.socket:
    peer = _new_socket()
    try:
        peer.connect(os.fsencode(path))
    except OSError:
        peer.close()
        raise
    return peer


def _answers(path: Path) -> bool:
    """Whether a living process has this socket; asked without sending anything."""
    try:
        _connect(path).close()
    except (ConnectionError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def _remove_if_dead(path: Path) -> None:
    """Remove a socket file without ever taking one that a new window just bound."""
    aside = path.with_name(f".{secrets.token_hex(8)}")
    with suppress(OSError):
        path.rename(aside)
        if _answers(aside):
            aside.rename(path)
        else:
            aside.unlink()


def _listed(folder: Path, own: str) -> list[str]:
    with suppress(OSError):
        stems = (
            entry.removesuffix(SOCKET_SUFFIX)
            for entry in os.listdir(folder)  # noqa: PTH208 - three times faster
            if entry.endswith(SOCKET_SUFFIX)
        )
        return sorted(stem for stem in stems if is_name(stem) and stem != own)
    return []


def _sweep(folder: Path, own: str) -> tuple[str, ...]:
    """Name the living windows, and remove what dead ones left behind."""
    for left in folder.glob(".[0-9a-f]*"):
        if not _answers(left):
            with suppress(OSError):
                left.unlink()
    alive = []
    for name in _listed(folder, own):
        path = _path(folder, name)
        if _answers(path):
            alive.append(name)
        else:
            _remove_if_dead(path)
    return tuple(alive)


def _queue_datagrams_max() -> int:
    try:
        text = Path("/proc/sys/net/unix/max_dgram_qlen").read_text(encoding="ascii")
        return max(1, int(text))
    except (OSError, ValueError):
        return QUEUE_DATAGRAMS_SUSPECT
