"""A relay inside a window, so that two people meet without a server.

It is the same relay with a certificate of its own, in a folder per session. It always
asks for tokens; the window itself comes in as everybody else does, by a link. It makes
no link for others: that is an invite, made over HTTP as at any relay.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import ConnectionFailed, UsageError
from crdtsync.identity import ID
from crdtsync.links.addresses import SessionLink, host_port, is_link, split_host_port
from crdtsync_relay.certificate import load_certificate
from crdtsync_relay.owner import OWNER_FILE
from crdtsync_relay.reach import ALL, ALL_IPV4, reachable
from crdtsync_relay.server import Listening, bind, run_relay
from crdtsync_relay.settings import Settings
from crdtsync_relay.way_in import folder_of, last_port, listening_alone, note_way_in

__all__ = ["Window", "listen"]

DRAIN_S: Final = 1.0
"""Longest wait for the last commits and farewells: a person waits for the window."""

STOP_S: Final = 3.0
"""Longest wait for all of it to end."""


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
        where: HOST:PORT, HOST or PORT. Without a host, all addresses. Without a port,
            or with 0, that of the last time, so that links stay good, or any free one.

    Raises:
        UsageError: Another window listens for this session, or that is no address.
        ConnectionFailed: The address cannot be listened on.
        DataError: The folder cannot be used.
    """
    if not ID.fullmatch(session) or is_link(where):
        raise UsageError(f"{where!r} is no address", hint="Such as 0.0.0.0:4711.")
    folder = folder_of(data, session)
    certificate = await anyio.to_thread.run_sync(load_certificate, folder.parent)
    async with listening_alone(folder), open_tasks() as tasks:
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
        place = replace(place, session=session)
        try:
            own = _own(settings, place)
            await anyio.to_thread.run_sync(note_way_in, folder, own)
            yield Window(place, own)
        finally:
            stop.set()
            scope.deadline = anyio.current_time() + STOP_S
            with anyio.CancelScope(shield=True):
                await ended.wait()


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
    host, port = split_host_port(f":{where}" if where.isdecimal() else where)
    hosts = [host] if host else [ALL, ALL_IPV4]
    ports = [port] if port else [last_port(folder), 0]
    failed: ConnectionFailed | None = None
    for wanted in ports:
        for at in hosts:
            try:
                return bind(at, wanted), at
            except ConnectionFailed as error:
                failed = error
    assert failed is not None  # noqa: S101 - there is an address at least
    raise failed


def _own(settings: Settings, place: SessionLink) -> SessionLink:
    """The link by which this data folder comes in."""
    host, port = split_host_port(place.host)
    here = "127.0.0.1" if settings.host in {ALL, ALL_IPV4} else host
    token = (settings.data / OWNER_FILE).read_text(encoding="ascii").strip()
    base = f"https://{host_port(here, port or 0)}"
    return replace(place, bases=(base,), secret=token)
