"""The short way between a WebSocket of hypercorn and a room: whole frames, no queues.

The only module that leans on hypercorn's insides. What is no whole, unfragmented,
binary message goes the server's own way; see docs: how-it-works/relay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from hypercorn.protocol import h11 as hypercorn_h11
from hypercorn.protocol import ws_stream
from hypercorn.protocol.events import Body, Data, Event
from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import Connection, ConnectionState

from crdtsync_relay.framing import end_of_plain, header, payload

__all__ = ["FRAMES_IN_A_ROW_MAX", "UNSENT_BYTES_MAX", "Lane", "Taker", "open_lanes"]

EXTENSION: Final = "crdtsync.lane"
"""Under this name an ASGI application finds its lane."""

UNSENT_BYTES_MAX: Final = 64 * 1024
"""With so much unsent a connection takes no more at once: it has to be waited for."""

FRAMES_IN_A_ROW_MAX: Final = 128
"""Frames of one connection that are handled before others get their turn."""

FRAME_BYTES: Final = 512
"""So many bytes of a frame count as one more."""


class Taker(Protocol):
    """Who takes the messages of one connection."""

    def receive(self, frame: bytes) -> None:
        """Take a binary message."""

    def refuse_text(self) -> None:
        """Note that a text message came."""

    @property
    def is_ready(self) -> bool:
        """Whether the next message may come."""

    async def until_ready(self) -> None:
        """Wait until it may; return as well when the guest has gone."""


def open_lanes() -> None:
    """Have hypercorn offer lanes, and agree on no compression.

    It has a setting for neither. A deflater takes 300 KB per connection and most of
    the time, and hypercorn agrees with whatever clients offer.
    """
    # Values of another module's names: mypy takes that for a mistake.
    names = vars(hypercorn_h11), vars(ws_stream)
    names[0]["WSStream"] = _LaneStream
    names[1]["server_extensions_handshake"] = _agree_on_nothing


def _agree_on_nothing(*_: Any) -> None:
    return None


class Lane:
    """One connection's short way. An application claims it before it accepts.

    From then on nothing is read until a taker is attached or the application is done
    with the connection, and no message comes by ASGI.
    """

    def __init__(self, stream: _LaneStream) -> None:
        self._stream = stream
        self._writer: asyncio.StreamWriter | None = None
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    def claim(cls, scope: Mapping[str, Any]) -> Lane | None:
        """Return the lane of a connection; None if the server has none for it."""
        lane: Lane | None = scope.get("extensions", {}).get(EXTENSION)
        if lane is not None:
            lane._stream.claimed = True  # noqa: SLF001 - of its own module
        return lane

    def attach(self, taker: Taker) -> None:
        """Hand messages to a taker from now on."""
        self._writer = _writer_of(self._stream)
        self._stream.taker = taker
        self._stream.settled.set()
        self._transport = transport = self._writer.transport
        below = cast("asyncio.StreamReaderProtocol", transport.get_protocol())
        transport.set_protocol(_Inlet(self._stream, below))

    def write(self, frames: Sequence[bytes]) -> bool:
        """Send messages at once; False, and nothing sent, if too much is unsent.

        What is for a connection that has gone counts as sent.
        """
        transport = self._transport
        if transport is None or not self._is_open(transport):
            return True
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            return False
        for frame in frames:
            transport.write(_framed(frame))
        return True

    async def send(self, frame: bytes) -> None:
        """Send a message, and wait until most of what is unsent is gone."""
        writer = self._writer
        if writer is None or not self._is_open(writer.transport):
            return
        # The two are not joined: large frames are shared by all who get them.
        writer.write(header(len(frame)))
        writer.write(frame)
        with suppress(ConnectionError):
            await writer.drain()

    def _is_open(self, transport: asyncio.WriteTransport) -> bool:
        is_open = self._stream.connection.state is ConnectionState.OPEN
        return is_open and not transport.is_closing()


@lru_cache(maxsize=1)
def _framed(frame: bytes) -> bytes:
    """Put the header before a message, once for all who get it (R-2)."""
    return header(len(frame)) + frame


class _LaneStream(WSStream):
    """A WebSocket of hypercorn whose messages may go another way.

    Attributes:
        claimed: Whether the application wants that.
        taker: Who gets them.
        settled: Set once there is a taker, or there will be none.
        busy: Whether messages that came before still have to be handed over.
    """

    def __init__(self, app: Any, *rest: Any) -> None:
        self.claimed = False
        self.taker: Taker | None = None
        self.settled = asyncio.Event()
        self.busy = False
        self._held = b""
        lane = Lane(self)

        async def offer(scope: Any, *others: Any) -> None:
            scope["extensions"][EXTENSION] = lane
            await app(scope, *others)

        super().__init__(cast("Any", offer), *rest)

    async def handle(self, event: Event) -> None:
        if self.claimed and isinstance(event, (Body, Data)):
            self.busy = True
            try:
                await self.settled.wait()
                await self._read(self.taker, event.data)
            finally:
                self.busy = False
        else:
            await super().handle(event)

    async def app_send(self, message: Any) -> None:
        if message is None or message["type"] == "websocket.close":
            # Nobody is attached any more: what comes goes nowhere.
            self.taker = None
            self.settled.set()
        await super().app_send(message)

    def take(self, taker: Taker, data: bytes) -> bytes:
        """Hand over plain messages; returns what is left of the data.

        That is nothing, or begins with something else, or has to wait: until the
        taker is ready, or others had their turn. A part of a message is held.
        """
        if self._held:
            data, self._held = self._held + data, b""
        at, in_a_row = 0, 0
        while (end := end_of_plain(data, at)) and self._is_plain():
            if end > len(data):
                self._held = data[at:]
                return b""
            if in_a_row >= FRAMES_IN_A_ROW_MAX or not taker.is_ready:
                break
            in_a_row += 1 + (end - at) // FRAME_BYTES
            taker.receive(payload(data, at, end))
            at = end
        return data[at:] if at else data

    async def _read(self, taker: Taker | None, data: bytes) -> None:
        """Do the same, and wait as long as there is something to wait for."""
        if taker is None or self.closed:
            await super().handle(Data(self.stream_id, data))
            return
        while data := self.take(taker, data):
            if not taker.is_ready:
                await taker.until_ready()
            elif end_of_plain(data, 0) and self._is_plain():
                await asyncio.sleep(0)
            else:
                await self._read_long(taker, data)
                return

    def _is_plain(self) -> bool:
        """Whether a message begins here, and the connection is not being closed."""
        connection = self.connection
        return connection.state is ConnectionState.OPEN and _is_between(connection)

    async def _read_long(self, taker: Taker, data: bytes) -> None:
        """Let wsproto read, which knows everything that may come."""
        put_by_asgi = cast("Callable[[Any], Awaitable[None]]", self.app_put)

        async def put(message: Any) -> None:
            if message["type"] != "websocket.receive":
                await put_by_asgi(message)
            elif message["bytes"] is None:
                taker.refuse_text()
            else:
                await self._hand_over(taker, message["bytes"])

        self.app_put = put
        try:
            await super().handle(Data(self.stream_id, data))
        finally:
            self.app_put = put_by_asgi

    async def _hand_over(self, taker: Taker, frame: bytes) -> None:
        taker.receive(frame)
        if not taker.is_ready:
            await taker.until_ready()


class _Inlet(asyncio.Protocol):
    """What a socket brings, handed over at once, or else to the server's own reader.

    It wakes no task while messages are plain and their taker is ready.
    """

    def __init__(
        self, stream: _LaneStream, below: asyncio.StreamReaderProtocol
    ) -> None:
        self._stream = stream
        self._below = below
        self._reader = cast("Any", below)._stream_reader  # noqa: SLF001 - no name

    def data_received(self, data: bytes) -> None:
        stream = self._stream
        taker = stream.taker
        # What is behind must not be overtaken.
        behind = stream.busy or self._reader._buffer  # noqa: SLF001 - no name
        if taker is not None and not behind:
            data = stream.take(taker, data)
        if data:
            self._below.data_received(data)

    def eof_received(self) -> bool | None:
        return self._below.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._below.connection_lost(exc)

    def pause_writing(self) -> None:
        self._below.pause_writing()

    def resume_writing(self) -> None:
        self._below.resume_writing()


def _is_between(connection: Connection) -> bool:
    """Whether wsproto holds no part of anything."""
    reader = cast("Any", connection)._proto  # noqa: SLF001 - it has no name for it
    decoder = reader._frame_decoder  # noqa: SLF001
    inside = reader._message_decoder.opcode is not None  # noqa: SLF001
    return not (inside or decoder.header or len(decoder.buffer))


def _writer_of(stream: WSStream) -> asyncio.StreamWriter:
    """Return what a stream of HTTP/1.1 writes to, three objects below."""
    protocol = cast("Any", stream.send).__self__
    writer: asyncio.StreamWriter = protocol.send.__self__.writer
    return writer
