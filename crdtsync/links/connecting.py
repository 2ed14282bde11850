"""Connecting to a relay or a listening window: a stream and a WebSocket handshake.

It opens one connection, and leaves retrying to its caller.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio.abc import ByteStream
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from crdtsync.links.addresses import Address
from crdtsync.links.streams import (
    UNREACHABLE,
    close_stream,
    no_address,
    open_stream,
    words,
)
from crdtsync.links.transport import ABNORMAL, Transport, TransportClosed
from crdtsync.links.websocket import READ_BYTES, WebSocketTransport
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.wire import FRAME_BYTES_MAX, SUBPROTOCOL

__all__ = ["Address", "connect_websocket"]

CONNECT_S: Final = 10.0
"""How long connecting may take, with TLS and the handshake."""

_STATUS: Final[Mapping[int, CloseCode]] = MappingProxyType(
    {
        401: CloseCode.UNAUTHORISED,
        403: CloseCode.FORBIDDEN,
        404: CloseCode.NO_SUCH_SESSION,
        426: CloseCode.VERSION,
        429: CloseCode.RATE_LIMITED,
        503: CloseCode.RESTART,
    }
)

_DIGITS_MAX: Final = 6


@asynccontextmanager
async def connect_websocket(
    address: Address, *, frame_bytes_max: int = FRAME_BYTES_MAX
) -> AsyncGenerator[Transport]:
    """Connect, and close when the block ends.

    Raises:
        TransportClosed: It cannot be reached or refuses; `code` says why.
        UsageError: The address is none.
    """
    first = urlsplit(address.url)
    if first.scheme not in {"ws", "wss"}:
        raise no_address(address.url)
    async with AsyncExitStack() as stack:
        try:
            with anyio.fail_after(CONNECT_S):
                urls = (address.url, *address.also)
                stream, parts = await open_stream(urls, address.pin)
                stack.push_async_callback(close_stream, stream)
                connection, subprotocol = await _shake_hands(stream, parts, address)
        except (*UNREACHABLE, RemoteProtocolError) as error:
            reason = f"{first.hostname} cannot be reached: {_words(error)}"
            raise TransportClosed(ABNORMAL, reason) from error
        transport = WebSocketTransport(
            stream,
            connection,
            subprotocol=subprotocol,
            frame_bytes_max=frame_bytes_max,
        )
        try:
            yield transport
        finally:
            await transport.close()


async def _shake_hands(
    stream: ByteStream, parts: SplitResult, address: Address
) -> tuple[WSConnection, str]:
    connection = WSConnection(ConnectionType.CLIENT)
    headers = []
    if address.token:
        headers.append((b"Authorization", f"Bearer {address.token}".encode()))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = Request(
        host=parts.netloc,
        target=target,
        subprotocols=[SUBPROTOCOL],
        extra_headers=headers,
    )
    await stream.send(connection.send(request))
    while True:
        connection.receive_data(await stream.receive(READ_BYTES))
        for event in connection.events():
            match event:
                case AcceptConnection(subprotocol=subprotocol):
                    # Frames that came along wait in the connection.
                    return connection, subprotocol or ""
                case RejectConnection():
                    raise _rejected(event)


def _rejected(event: RejectConnection) -> TransportClosed:
    status = event.status_code
    reason = f"the relay answered with HTTP status {status}"
    headers = {bytes(name).lower(): bytes(value) for name, value in event.headers}
    after = headers.get(b"retry-after", b"")
    code = _STATUS.get(status, ABNORMAL)
    wait_s = float(after) if after.isdigit() and len(after) < _DIGITS_MAX else 0.0
    return TransportClosed(code, reason, retry_after_s=wait_s)


def _words(error: BaseException) -> str:
    if isinstance(error, RemoteProtocolError):
        return "what answers there is no relay"
    return words(error)
