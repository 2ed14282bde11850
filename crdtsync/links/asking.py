"""Asks the HTTP routes of a relay: one question, one answer; it keeps no connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn

import anyio
import h11
from anyio.abc import ByteStream

from crdtsync.errors import (
    AccessDenied,
    ConnectionFailed,
    CrdtSyncError,
    OperationFailed,
    UsageError,
)
from crdtsync.links.addresses import SessionLink
from crdtsync.links.streams import UNREACHABLE, close_stream, open_stream, words
from crdtsync.links.transport import ABNORMAL, TransportClosed
from crdtsync.links.websocket import READ_BYTES
from crdtsync.schema import JsonObject, JsonValue, as_object, as_text

__all__ = ["ask_relay"]

ASK_S: Final = 10.0
"""How long a question may take, with the answer."""

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""A longer answer is none of a relay's."""

_OK: Final = range(200, 300)

_ERRORS: Final[Mapping[int, type[CrdtSyncError]]] = MappingProxyType(
    {
        400: UsageError,
        401: AccessDenied,
        403: AccessDenied,
        404: OperationFailed,
        429: AccessDenied,
    }
)


async def ask_relay(
    link: SessionLink,
    method: str,
    path: str,
    body: Mapping[str, JsonValue] | None = None,
    *,
    token: str = "",
) -> JsonObject:
    """Ask a relay, or a window that listens; returns its answer.

    Args:
        link: Where it is.
        method: Of HTTP.
        path: Begins with a slash and may have a query; holds no secret.
        body: Sent as JSON.
        token: Goes into the `Authorization` header; empty for none.

    Raises:
        ConnectionFailed: It cannot be reached, or what answers is no relay.
        AccessDenied: It says no.
        UsageError: It does not understand a value.
        OperationFailed: It does not know what is asked for.
    """
    data = b"" if body is None else json.dumps(body).encode()
    headers = [
        ("Accept", "application/json"),
        ("Content-Length", str(len(data))),
        ("Connection", "close"),
    ]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    try:
        with anyio.fail_after(ASK_S):
            urls = [base + path for base in link.bases]
            stream, parts = await open_stream(urls, link.pin)
            try:
                head = [("Host", parts.netloc), *headers]
                target = f"{parts.path}?{parts.query}".removesuffix("?")
                request = h11.Request(method=method, target=target, headers=head)
                status, text = await _exchange(stream, request, data)
            finally:
                await close_stream(stream)
    except TransportClosed as closed:
        if closed.code != ABNORMAL:
            hint = "Somebody may listen in; ask for a new link over a safe way."
            raise AccessDenied(closed.reason, hint=hint) from closed
        raise _unreachable(closed.reason) from closed
    except h11.RemoteProtocolError as error:
        raise _unreachable(f"what answers at {link.host} is no relay") from error
    except UNREACHABLE as error:
        reason = f"{link.host} cannot be reached: {words(error)}"
        raise _unreachable(reason) from error
    return _answer(link, status, text)


async def _exchange(
    stream: ByteStream, request: h11.Request, data: bytes
) -> tuple[int, bytes]:
    connection = h11.Connection(h11.CLIENT)
    for part in (request, h11.Data(data=data), h11.EndOfMessage()):
        await stream.send(connection.send(part) or b"")
    status, text = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await _more(stream))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            text += event.data
        if len(text) > ANSWER_BYTES_MAX:
            raise h11.RemoteProtocolError("the answer is too long")
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, text


async def _more(stream: ByteStream) -> bytes:
    try:
        return await stream.receive(READ_BYTES)
    except anyio.EndOfStream:
        return b""


def _answer(link: SessionLink, status: int, data: bytes) -> JsonObject:
    try:
        said = as_object(json.loads(data)) if data else {}
    except (ValueError, RecursionError):
        _no_relay(link, status)
    if status in _OK:
        return said
    kind, text = _ERRORS.get(status), as_text(said.get("error"))
    if kind is None or not text:
        _no_relay(link, status)
    raise kind(text, hint=as_text(said.get("hint")))


def _no_relay(link: SessionLink, status: int) -> NoReturn:
    raise ConnectionFailed(
        f"{link.host} answered with HTTP status {status}, not as a relay does",
        hint="Check the address; a proxy in front of the relay may be set up wrongly.",
    )


def _unreachable(reason: str) -> ConnectionFailed:
    return ConnectionFailed(
        reason, hint="Check the address, and whether the relay runs."
    )
