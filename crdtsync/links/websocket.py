"""The transport over WebSocket: frames by wsproto over any byte stream of anyio.

It runs on asyncio and trio, and for clients and servers alike; `connecting` makes the
client's connection.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

import anyio
from anyio.abc import ByteStream
from wsproto import WSConnection
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from crdtsync.links.transport import ABNORMAL, TransportClosed
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.wire import FRAME_BYTES_MAX

__all__ = ["BROKEN", "CLOSE_S", "READ_BYTES", "WebSocketTransport"]

CLOSE_S: Final = 1.0
"""How long the last words may take."""

READ_BYTES: Final = 64 * 1024
"""Bytes read at a time."""

REASON_BYTES_MAX: Final = 123
"""What RFC 6455 leaves for the reason of a close."""

BROKEN: Final = (
    LocalProtocolError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)
"""How a connection can turn out to be over."""

# A close frame without a code, as RFC 6455 numbers it.
_NO_CODE: Final = 1005


class WebSocketTransport:
    """One WebSocket connection after its handshake, of a client or a server.

    Args:
        stream: Connected; closed by whoever opened it.
        connection: Past the handshake.
        subprotocol: The one agreed on.
        frame_bytes_max: Larger frames from outside close the connection.
    """

    def __init__(
        self,
        stream: ByteStream,
        connection: WSConnection,
        *,
        subprotocol: str,
        frame_bytes_max: int = FRAME_BYTES_MAX,
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._subprotocol = subprotocol
        self._frame_bytes_max = frame_bytes_max
        self._sending = anyio.Lock()
        self._frames: deque[bytes] = deque()
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed: tuple[int, str] | None = None

    @property
    def subprotocol(self) -> str:
        """What was agreed on in the handshake; empty if nothing was."""
        return self._subprotocol

    async def send(self, frame: bytes) -> None:
        """Hand over a frame.

        Raises:
            TransportClosed: The connection is over.
        """
        self._check_open()
        await self._send(BytesMessage(data=frame))

    async def receive(self) -> bytes:
        """Wait for the next frame.

        Raises:
            TransportClosed: The connection is over.
        """
        while not self._frames:
            self._check_open()
            await self._read()
        return self._frames.popleft()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; the stream itself is closed by whoever opened it."""
        if self._closed is None:
            self._closed = code, reason
            self._frames.clear()
            text = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
            with anyio.move_on_after(CLOSE_S, shield=True), suppress(TransportClosed):
                await self._send(CloseConnection(code=code, reason=text))

    async def _send(self, event: Event) -> None:
        try:
            async with self._sending:
                await self._stream.send(self._connection.send(event))
        except BROKEN as error:
            # The other end may have said why, and nobody has listened yet.
            with suppress(RemoteProtocolError):
                await self._take_up()
            raise self._broken() from error

    async def _read(self) -> None:
        """Take up what has come, and wait for more if it was nothing."""
        try:
            # Frames that came together with the handshake are there already.
            await self._take_up()
            if not self._frames and self._closed is None:
                data = await self._stream.receive(READ_BYTES)
                self._connection.receive_data(data)
        except RemoteProtocolError as error:
            await self.close(CloseCode.PROTOCOL_ERROR, "the WebSocket is broken")
            raise self._broken() from error
        except BROKEN as error:
            raise self._broken() from error

    async def _take_up(self) -> None:
        for event in self._connection.events():
            await self._handle(event)

    async def _handle(self, event: Event) -> None:
        match event:
            case BytesMessage():
                await self._collect(bytes(event.data), last=event.message_finished)
            case TextMessage():
                await self.close(CloseCode.PROTOCOL_ERROR, "frames are binary")
            case Ping():
                with suppress(TransportClosed):
                    await self._send(event.response())
            case CloseConnection(code=code, reason=reason):
                known = ABNORMAL if code == _NO_CODE else int(code)
                self._closed = self._closed or (known, reason or "")
                with suppress(TransportClosed):
                    await self._send(event.response())

    async def _collect(self, data: bytes, *, last: bool) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._frame_bytes_max:
            reason = f"a frame has at most {self._frame_bytes_max} bytes"
            await self.close(CloseCode.TOO_LARGE, reason)
        elif last and self._closed is None:
            self._frames.append(b"".join(self._pieces))
        if last or self._closed is not None:
            self._pieces.clear()
            self._size = 0

    def _check_open(self) -> None:
        if self._closed is not None:
            raise TransportClosed(*self._closed)

    def _broken(self) -> TransportClosed:
        self._closed = self._closed or (ABNORMAL, "the connection broke")
        return TransportClosed(*self._closed)
