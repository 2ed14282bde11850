"""A relay inside a window, so that two people meet without a server.

It is the same relay with a certificate of its own, in a folder per session. It always
asks for tokens; the window itself comes in as everybody else does, by a link. It makes
no link for others: that is an invite, made over HTTP as at any relay.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import ConnectionFailed, CrdtSyncError, LogUnwritable, UsageError
from crdtsync.identity import ID
from crdtsync.links.addresses import (
    SessionLink,
    host_port,
    is_link,
    parse_link,
    split_host_port,
)
from crdtsync.private_files import write_once
from crdtsync_relay.certificate import load_certificate
from crdtsync_relay.owner import OWNER_FILE
from crdtsync_relay.reach import ALL, ALL_IPV4, reachable
from crdtsync_relay.server import Listening, bind, run_relay
from crdtsync_relay.settings import Settings

__all__ = ["Window", "find_window", "listen"]

DRAIN_S: Final = 1.0
"""Longest wait for the last commits and farewells: a person waits for the window."""

STOP_S: Final = 3.0
"""Longest wait for all of it to end."""

LOCK_TRIES_MAX: Final = 10
"""Whoever only looks whether a window listens has the lock for an instant."""

LOCK_PAUSE_S: Final = 0.05

_FOLDER: Final = "listening"
_LOCK_FILE: Final = "lock"

_WAY_IN: Final = "way-in"
"""The link by which this data folder's own programs come in; it tells the port too."""


@dataclass(frozen=True, slots=True, repr=False)
class Window:
    """A window that listens.

    Attributes:
        place: How others reach it; without a secret.
        own: The link by which this data folder comes in, as an owner.
    """

    place: SessionLink
    own: SessionLink


@asynccontextmanager
async def listen(data: Path, session: str, where: str) -> AsyncGenerator[Window]:
    """Let others join a session of this data folder while the block runs.

    Leaving it sends everybody away in peace, within `STOP_S`.

    Args:
        data: The data folder.
        session: The session's id.
        where: HOST:PORT. Without a host, all addresses; without a port, the one of the
            last time, so that links stay good, or any; with port 0, any.

    Raises:
        UsageError: Another window listens for this session, or that is no address.
        ConnectionFailed: The address cannot be listened on.
        DataError: The folder cannot be used.
    """
    if not ID.fullmatch(session) or is_link(where):
        raise UsageError(f"{where!r} is no address", hint="Such as 0.0.0.0:4711.")
    folder = data / _FOLDER / session
    certificate = await anyio.to_thread.run_sync(load_certificate, folder.parent)
    async with _locked(folder), open_tasks() as tasks:
        listener, host = _bind(where, folder)
        settings = Settings(
            folder,
            host=host,
            certfile=certificate.path,
            keyfile=certificate.path,
            tokens=True,
            hosts=reachable(host),
            pin=certificate.pin,
            drain_s=DRAIN_S,
        )
        stop = anyio.Event()
        # The window may be cancelled; its guests are to be told all the same.
        scope, ended = anyio.CancelScope(shield=True), anyio.Event()
        place = await tasks.start(partial(_run, settings, listener, stop, scope, ended))
        own = await anyio.to_thread.run_sync(
            _note_way_in, settings, replace(place, session=session)
        )
        try:
            yield Window(replace(place, session=session), own)
        finally:
            stop.set()
            scope.deadline = anyio.current_time() + STOP_S
            with anyio.CancelScope(shield=True):
                await ended.wait()


def find_window(data: Path, session: str) -> SessionLink | None:
    """The way into a window of this data folder that listens now; None without one."""
    folder = data / _FOLDER / session
    try:
        with _lock(folder, fcntl.LOCK_SH):
            return None
    except BlockingIOError:
        pass
    except OSError:
        return None
    with suppress(OSError, CrdtSyncError):
        return parse_link((folder / _WAY_IN).read_text(encoding="ascii"))
    return None


async def _run(
    settings: Settings,
    listener: socket.socket,
    stop: anyio.Event,
    scope: anyio.CancelScope,
    ended: anyio.Event,
    *,
    task_status: anyio.abc.TaskStatus[SessionLink],
) -> None:
    def tell(listening: Listening) -> None:
        task_status.started(listening.place)

    try:
        with scope:
            await run_relay(settings, tell, stop, listener=listener)
    finally:
        ended.set()


def _bind(where: str, folder: Path) -> tuple[socket.socket, str]:
    """Bind the first of the addresses that are meant that can be had."""
    host, port = split_host_port(where)
    hosts = [host] if host else [ALL, ALL_IPV4]
    ports = [port] if port is not None else [_last_port(folder), 0]
    failed: ConnectionFailed | None = None
    for wanted in ports:
        for at in hosts:
            try:
                return bind(at, wanted), at
            except ConnectionFailed as error:
                failed = error
    assert failed is not None  # noqa: S101 - there is an address at least
    raise failed


def _last_port(folder: Path) -> int:
    with suppress(OSError, CrdtSyncError):
        link = parse_link((folder / _WAY_IN).read_text(encoding="ascii"))
        return split_host_port(link.host)[1] or 0
    return 0


def _note_way_in(settings: Settings, place: SessionLink) -> SessionLink:
    """Keep the link by which this data folder comes in, for its owner alone."""
    port = split_host_port(place.host)[1] or 0
    everywhere = settings.host in {ALL, ALL_IPV4}
    host = "127.0.0.1" if everywhere else settings.host
    path = settings.data / _WAY_IN
    try:
        token = (settings.data / OWNER_FILE).read_text(encoding="ascii").strip()
        base = f"https://{host_port(host, port)}"
        own = replace(place, bases=(base,), secret=token)
        path.unlink(missing_ok=True)
        write_once(path, own.text)
    except OSError as error:
        raise LogUnwritable(f"{path} cannot be written: {error}") from error
    return own


@asynccontextmanager
async def _locked(folder: Path) -> AsyncGenerator[None]:
    """Be the only window that listens for a session in this data folder."""
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


@contextmanager
def _lock(folder: Path, mode: int) -> Iterator[None]:
    """Hold the lock.

    Raises:
        BlockingIOError: Another process has it.
    """
    if mode == fcntl.LOCK_EX:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | (os.O_CREAT if mode == fcntl.LOCK_EX else 0)
    descriptor = os.open(folder / _LOCK_FILE, flags, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
