"""Byte streams to the addresses of a relay or a listening window, with TLS.

All addresses are tried at once, and the first that answers is taken. Nothing is sent to
one whose certificate is not the pinned one. What is spoken then is not known here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from crdtsync.errors import UsageError
from crdtsync.links.transport import ABNORMAL, TransportClosed
from crdtsync.links.websocket import BROKEN, CLOSE_S
from crdtsync.sync.closing import CloseCode

__all__ = [
    "UNREACHABLE",
    "close_stream",
    "fingerprint",
    "no_address",
    "open_stream",
    "words",
]

UNREACHABLE: Final = (OSError, TimeoutError, *BROKEN)
"""What is raised where nobody answers."""

_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {"ws": 80, "wss": 443, "http": 80, "https": 443}
)


async def open_stream(
    urls: Sequence[str], pin: str = ""
) -> tuple[ByteStream, SplitResult]:
    """Connect to one of several addresses of the same place.

    Args:
        urls: `ws`, `wss`, `http` or `https`.
        pin: SHA-256 of the certificate in hex; empty if an authority vouches for it.

    Returns:
        The stream, for `close_stream`, and the url that answered, taken apart.

    Raises:
        TransportClosed: None of them answers as it should.
        UsageError: One is no url.
    """
    places = [_parts(url) for url in urls]
    won: list[tuple[ByteStream, SplitResult]] = []
    failed: list[TransportClosed] = []

    async def attempt(place: SplitResult, scope: anyio.CancelScope) -> None:
        try:
            stream = await _open(place, pin)
        except TransportClosed as error:
            failed.append(error)
            return
        if won:
            await close_stream(stream)
            return
        won.append((stream, place))
        scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for place in places:
                group.start_soon(attempt, place, group.cancel_scope)
    except BaseException:
        for stream, _ in won:
            await close_stream(stream)
        raise
    if won:
        return won[0]
    # Only if nobody was unreachable, trying again cannot help.
    raise min(failed, key=lambda error: error.code != ABNORMAL)


async def fingerprint(url: str) -> str:
    """The SHA-256, in hex, of the certificate that is shown there; nothing is sent.

    Raises:
        TransportClosed: Nobody answers, or without TLS.
        UsageError: That is no url.
    """
    stream = await _connect(_parts(url), _trusting())
    try:
        return _fingerprint(stream)
    finally:
        await close_stream(stream)


async def close_stream(stream: ByteStream) -> None:
    """Close it, whatever happens meanwhile."""
    with anyio.move_on_after(CLOSE_S, shield=True):
        await stream.aclose()


def words(error: BaseException) -> str:
    """Say why nobody was reached."""
    match error:
        case TimeoutError():
            return "no answer came in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case OSError() if isinstance(error.__cause__, OSError):
            return words(error.__cause__)
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
        case OSError(strerror=str(text)) if text:
            return text.lower()
        case _:
            return str(error) or type(error).__name__


def no_address(url: str) -> UsageError:
    """Say that a text is no address."""
    return UsageError(
        f"{url!r} is no address of a session",
        hint="It looks like wss://host/ws/SESSION.",
    )


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username:
        raise no_address(url)
    return parts


async def _open(parts: SplitResult, pin: str) -> ByteStream:
    if parts.scheme in {"ws", "http"}:
        return await _connect(parts, None)
    if not pin:
        return await _connect(parts, ssl.create_default_context())
    stream = await _connect(parts, _trusting())
    if not hmac.compare_digest(_fingerprint(stream), pin.lower()):
        await close_stream(stream)
        raise TransportClosed(
            CloseCode.FORBIDDEN, "the certificate is not the one that the link names"
        )
    return stream


async def _connect(parts: SplitResult, context: ssl.SSLContext | None) -> ByteStream:
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    try:
        if context is None:
            return await anyio.connect_tcp(host, port)
        return await anyio.connect_tcp(
            host, port, ssl_context=context, tls_standard_compatible=False
        )
    except UNREACHABLE as error:
        reason = f"{parts.hostname} cannot be reached: {words(error)}"
        raise TransportClosed(ABNORMAL, reason) from error


def _trusting() -> ssl.SSLContext:
    """For certificates that are known themselves: nobody has to vouch for them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(stream: ByteStream) -> str:
    certificate = stream.extra(  # noqa: S610 - no Django here
        TLSAttribute.peer_certificate_binary, b""
    )
    return hashlib.sha256(certificate or b"").hexdigest()
