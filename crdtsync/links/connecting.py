"""Connecting to a relay or a listening window: address, TLS, WebSocket handshake.

It opens one connection, and leaves retrying to its caller.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from crdtsync.errors import UsageError
from crdtsync.links.addresses import Address
from crdtsync.links.transport import ABNORMAL, Transport, TransportClosed
from crdtsync.links.websocket import BROKEN, CLOSE_S, READ_BYTES, WebSocketTransport
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

_UNREACHABLE: Final = (OSError, TimeoutError, RemoteProtocolError, *BROKEN)

_PORTS: Final[Mapping[str, int]] = MappingProxyType({"ws": 80, "wss": 443})

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
    parts = _parts(address.url)
    async with AsyncExitStack() as stack:
        try:
            with anyio.fail_after(CONNECT_S):
                stream = await _open_stream(parts, address.pin)
                stack.push_async_callback(_close_stream, stream)
                connection, subprotocol = await _shake_hands(stream, parts, address)
        except _UNREACHABLE as error:
            reason = f"{parts.hostname} cannot be reached: {_words(error)}"
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


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username:
        raise UsageError(
            f"{url!r} is no address of a session",
            hint="It looks like wss://host/ws/SESSION.",
        )
    return parts


async def _open_stream(parts: SplitResult, pin: str) -> ByteStream:
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    if parts.scheme == "ws":
        return await anyio.connect_tcp(host, port)
    context = ssl.create_default_context()
    if pin:
        # The certificate itself is known, so that nobody has to vouch for it.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    stream = await anyio.connect_tcp(
        host, port, ssl_context=context, tls_standard_compatible=False
    )
    if pin:
        certificate = stream.extra(  # noqa: S610 - no Django here
            TLSAttribute.peer_certificate_binary
        )
        found = hashlib.sha256(certificate or b"").hexdigest()
        if not hmac.compare_digest(found, pin.lower().replace(":", "")):
            await _close_stream(stream)
            raise TransportClosed(
                CloseCode.FORBIDDEN,
                "the certificate is not the one that the link names",
            )
    return stream


async def _close_stream(stream: ByteStream) -> None:
    with anyio.move_on_after(CLOSE_S, shield=True):
        await stream.aclose()


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
    match error:
        case TimeoutError():
            return "no answer came in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case RemoteProtocolError():
            return "what answers there is no relay"
        case _:
            return str(error) or type(error).__name__
