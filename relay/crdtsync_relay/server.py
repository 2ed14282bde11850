"""Runs a relay: opens its log, listens, and stops in peace when told to (R-7)."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Final, cast

import anyio
import anyio.to_thread
from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config
from hypercorn.typing import Framework

from crdtsync.clock import Clock, SystemClock
from crdtsync.errors import ConnectionFailed
from crdtsync.links.addresses import SessionLink, host_port
from crdtsync.links.streams import words
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync_relay.access import open_access
from crdtsync_relay.api import Source, open_api
from crdtsync_relay.app import Relay
from crdtsync_relay.door import Door
from crdtsync_relay.forwarded import Forwarded
from crdtsync_relay.housekeeping import Housekeeper
from crdtsync_relay.hub import open_hub
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.lane import open_lanes
from crdtsync_relay.limits import MESSAGE_BYTES_MAX
from crdtsync_relay.owner import owner_token
from crdtsync_relay.settings import Settings

__all__ = ["Listening", "bind", "run_relay", "serve"]

LOG_FILE: Final = "relay.db"
"""The one file with all sessions and tokens, in the data folder."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted: a restart brings all back at once."""

USER_TIMEOUT_MS: Final = 20_000
"""What was sent and not taken for so long ends the connection, where the system can."""

GRACE_S: Final = 2.0
"""How long the server may take to close what the rooms have let go of."""

QUEUED_FRAMES_MAX: Final = 32
"""Frames read ahead of a room, per connection."""

GARBAGE_OBJECTS: Final = 10_000
"""Objects that may be made before a look for cycles among them."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """A relay that takes connections.

    Attributes:
        place: How people reach it.
        owner_token: The owner's token if it was made just now, else empty.
        asks_for_tokens: Whether everybody needs one.
    """

    place: SessionLink
    owner_token: str
    asks_for_tokens: bool

    @property
    def url(self) -> str:
        """How people reach it, in short."""
        return self.place.bases[0]


def serve(settings: Settings, tell: Callable[[Listening], None]) -> None:
    """Run a relay until SIGTERM or SIGINT, then drain it and return.

    Args:
        settings: How it runs.
        tell: Called once it takes connections.

    Raises:
        DataError: The log cannot be opened.
        ConnectionFailed: The address cannot be listened on.
    """

    async def main() -> None:
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(_wait_for_signal, stop)
            await run_relay(settings, tell, stop)
            group.cancel_scope.cancel()

    _collect_rarely()
    anyio.run(main, backend_options={"use_uvloop": _has_uvloop()})


async def run_relay(
    settings: Settings,
    tell: Callable[[Listening], None],
    stop: anyio.Event,
    *,
    clock: Clock | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Run a relay on asyncio until `stop` is set, then drain it.

    Args:
        settings: How it runs.
        tell: Called once it takes connections.
        stop: Set to end it.
        clock: Another one than the machine's.
        listener: Bound already; it is closed here.

    Raises:
        DataError: The log cannot be opened.
        ConnectionFailed: The address cannot be listened on.
    """
    clock = clock or SystemClock()
    path = settings.data / LOG_FILE
    listener = listener or bind(settings.host, settings.port)
    async with AsyncExitStack() as stack:
        stack.enter_context(listener)
        log = await stack.enter_async_context(
            # A room passes on, and appends, only what its document does not know.
            open_sqlite_log(
                path, clock=clock, ttl_s=settings.limits.lease_ttl_s, dedupes=False
            )
        )
        access = await stack.enter_async_context(open_access(path, clock=clock))
        await access.rules.begin(settings.rules)
        kinds = Kinds(access, clock)
        hub = await stack.enter_async_context(
            open_hub(log, kinds, clock=clock, limits=settings.limits)
        )
        asks = settings.asks_for_tokens
        made = await owner_token(settings.data, access) if asks else ""
        place = settings.place(listener.getsockname()[1])
        door = Door(access, asks=asks)
        source = Source(hub, log, clock, settings.data)
        api = open_api(source, kinds, door, place)
        relay = Relay(hub, door, [await stack.enter_async_context(api)])
        stopped = anyio.Event()

        async def drain() -> None:
            await stop.wait()
            await hub.drain(settings.drain_s)
            stopped.set()

        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(relay.keep_watch)
        group.start_soon(Housekeeper(log, access, relay.in_use).keep_house)
        group.start_soon(drain)
        tell(Listening(place, made, asks))
        served = Forwarded(relay.app) if settings.insecure_http else relay.app
        app = cast(Framework, served)
        config = _config(settings, listener)
        # In a task of its own: the server cancels the task that runs it.
        async with anyio.create_task_group() as serving:
            serving.start_soon(
                partial(serve_http, app, config, shutdown_trigger=stopped.wait)
            )
        group.cancel_scope.cancel()


async def _wait_for_signal(stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()


def bind(host: str, port: int) -> socket.socket:
    """Bind the socket, so that the port is known and taken before anything runs.

    Args:
        host: `::` means all addresses, of both versions where the system can.
        port: 0 for any free one.

    Raises:
        ConnectionFailed: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "Another program has the port; choose another one."
        else:
            hint = "Choose an address of this machine."
        raise ConnectionFailed(
            f"cannot listen on {host_port(host, port)}: {words(error)}",
            hint=hint,
        ) from error
    # Accepted connections inherit it: a peer that takes nothing frees its memory.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        option = socket.TCP_USER_TIMEOUT
        listener.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)
    return listener


def _config(settings: Settings, listener: socket.socket) -> Config:
    open_lanes()
    config = Config()
    # The server closes what it is given.
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.certfile = str(settings.certfile) if settings.certfile else None
    config.keyfile = str(settings.keyfile) if settings.keyfile else None
    config.accesslog = None
    config.errorlog = logging.getLogger("crdtsync_relay.http")
    config.include_server_header = False
    config.backlog = BACKLOG
    config.max_app_queue_size = QUEUED_FRAMES_MAX
    most = min(settings.limits.frame_bytes_max, MESSAGE_BYTES_MAX)
    config.websocket_max_message_size = most + 1024
    config.graceful_timeout = min(GRACE_S, settings.drain_s)
    config.alpn_protocols = ["http/1.1"]
    return config


def _collect_rarely() -> None:
    """Look for cyclic garbage now and then: most of a relay's objects live long.

    By default it looks at all of them so often that it takes a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)


def _has_uvloop() -> bool:
    return find_spec("uvloop") is not None
