"""Questions to relays, and to what is none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener, TLSStream
from crdtsync_relay.certificate import load_certificate

from crdtsync.errors import (
    AccessDenied,
    ConnectionFailed,
    CrdtSyncError,
    OperationFailed,
    UsageError,
)
from crdtsync.links.addresses import SessionLink
from crdtsync.links.asking import ask_relay

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n" + b'{"a": 1}'


def said(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[tuple[SessionLink, list[bytes]]]:
    """Listen on this machine, read one request, answer, and close."""
    heard: list[bytes] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            heard.append(await stream.receive())
            if answer:
                await stream.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield SessionLink((f"http://127.0.0.1:{port}/team",)), heard
        tasks.cancel_scope.cancel()


async def ask(link: SessionLink) -> object:
    with anyio.fail_after(40):
        return await ask_relay(link, "POST", "/api/v1/join", {"b": 2}, token="cs1_t")  # noqa: S106


async def test_a_question_is_one_request_with_the_token_in_its_header() -> None:
    async with answering(OK) as (link, heard):
        assert await ask(link) == {"a": 1}
        head = heard[0].split(b"\r\n\r\n")[0].decode().lower().split("\r\n")
        assert head[0] == "post /team/api/v1/join http/1.1"
        assert "authorization: bearer cs1_t" in head
        assert "content-length: 8" in head


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UsageError),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, OperationFailed),
        (429, AccessDenied),
        (503, ConnectionFailed),
    ],
)
async def test_what_a_relay_refuses_is_told_in_its_words(
    status: int, error: type[CrdtSyncError]
) -> None:
    words = b'{"error": "no", "hint": "ask ana"}'
    async with answering(said(status, words)) as (link, _):
        with pytest.raises(error) as raised:
            await ask(link)
        if status < 500:
            assert (str(raised.value), raised.value.hint) == ("no", "ask ana")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        said(200, b"<html>"),
        said(404, b"<html>"),
        said(403, b"{}"),
        said(302, b""),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
        said(200, b'"' + b"x" * (2 << 20) + b'"'),
    ],
    ids=["nothing", "ssh", "page", "404", "no words", "elsewhere", "cut off", "flood"],
)
async def test_what_is_no_relay_is_said_to_be_none(answer: bytes) -> None:
    async with answering(answer) as (link, _):
        with pytest.raises(ConnectionFailed) as raised:
            await ask(link)
        assert raised.value.hint


async def test_nobody_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1 cannot be reached"):
        await ask(SessionLink((f"http://127.0.0.1:{port}",)))


async def test_nothing_is_sent_to_another_certificate(tmp_path: Path) -> None:
    certificate = load_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.path)
    heard: list[bytes] = []

    async def serve(stream: TLSStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                heard.append(await stream.receive())
                await stream.send(OK)

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    listener = TLSListener(plain, context, standard_compatible=False)
    base = f"https://127.0.0.1:{port}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        with pytest.raises(AccessDenied, match="not the one that the link names"):
            await ask(SessionLink((base,), pin="0" * 64))
        assert heard == []
        assert await ask(SessionLink((base,), pin=certificate.pin)) == {"a": 1}
        tasks.cancel_scope.cancel()
