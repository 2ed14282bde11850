"""Lanes under the real server: hypercorn still is as the lanes take it to be."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream
from crdtsync_relay.lane import FRAMES_IN_A_ROW_MAX, UNSENT_BYTES_MAX, Lane, open_lanes
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import Framework
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

MESSAGE_BYTES_MAX = 200_000
SIZES = [0, 1, 125, 126, 65_535, 65_536, 150_000]


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


class App:
    """An application that takes messages by the lane, and notes how it ended."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.frames: list[bytes] = []
        self.texts = 0
        self.changed = anyio.Event()
        self.ready = anyio.Event()
        self.ready.set()
        self.attached = anyio.Event()
        self.may_attach = anyio.Event()
        self.may_attach.set()
        self.turns_away = False
        self.ended: dict[str, Any] = {}
        self.over = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        self.lane = Lane.claim(scope)
        await send({"type": "websocket.accept"})
        await self.may_attach.wait()
        if self.turns_away:
            await send({"type": "websocket.close", "code": 4403})
            return
        assert self.lane is not None
        self.lane.attach(self)
        self.attached.set()
        self.ended = await receive()
        self.over.set()

    def receive(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.changed.set()

    def refuse_text(self) -> None:
        self.texts += 1

    @property
    def is_ready(self) -> bool:
        return self.ready.is_set()

    async def until_ready(self) -> None:
        await self.ready.wait()


class Client:
    """A WebSocket that sends what it is told, in whatever pieces."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.events: list[Event] = []
        self.gone = False

    async def send(self, *events: Event, piece_bytes: int = 1 << 20) -> None:
        data = b"".join(self.ws.send(event) for event in events)
        for at in range(0, len(data), piece_bytes):
            await self.stream.send(data[at : at + piece_bytes])
            await anyio.lowlevel.checkpoint()

    async def read(self) -> None:
        try:
            self.ws.receive_data(await self.stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self.gone = True
        else:
            self.events += self.ws.events()

    async def until(self, kind: type[Event]) -> Event:
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            assert not self.gone, self.events
            await self.read()


@asynccontextmanager
async def serving(app: App, cert: Path | None = None) -> AsyncGenerator[Client]:
    """Serve an application, and connect to it; over TLS with a certificate and key."""
    open_lanes()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.websocket_max_message_size = MESSAGE_BYTES_MAX
    config.graceful_timeout = 0.1
    context = None
    if cert is not None:
        config.certfile = config.keyfile = str(cert)
        context = ssl.create_default_context(cafile=str(cert))
    stop = anyio.Event()

    async def run() -> None:
        await serve(cast("Framework", app), config, shutdown_trigger=stop.wait)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        async with await _connect(port, context) as stream:
            client = Client(stream)
            target = Request(host="here", target="/", extensions=[PerMessageDeflate()])
            await client.send(target)
            await client.read()
            yield client
        stop.set()


async def _connect(port: int, context: ssl.SSLContext | None) -> ByteStream:
    if context is None:
        return await anyio.connect_tcp("127.0.0.1", port)
    return await anyio.connect_tcp(
        "127.0.0.1",
        port,
        ssl_context=context,
        tls_hostname="localhost",
        tls_standard_compatible=False,
    )


async def until(app: App, frames: int) -> None:
    with anyio.fail_after(30):
        while len(app.frames) < frames:
            app.changed = anyio.Event()
            await app.changed.wait()


async def test_a_server_has_lanes_and_does_not_compress() -> None:
    app = App()
    async with serving(app) as client:
        await app.attached.wait()
        assert app.lane is not None
        (accepted,) = client.events
        assert isinstance(accepted, AcceptConnection)
        assert accepted.extensions == []


@pytest.mark.parametrize("piece_bytes", [1, 7, 1400, 1 << 20])
async def test_messages_come_whole_and_in_order(piece_bytes: int) -> None:
    app = App()
    sizes = SIZES if piece_bytes > 1000 else [0, 1, 125, 126, 130]
    said = [bytes([number]) * size for number, size in enumerate(sizes)]
    async with serving(app) as client:
        messages = [BytesMessage(data=one) for one in said]
        await client.send(*messages, *messages, piece_bytes=piece_bytes)
        await until(app, 2 * len(said))
        assert app.frames == said + said


async def test_messages_come_and_go_over_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, app = tmp_path / "both.pem", App()
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "1"),
        *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(cert), "-out", str(tmp_path / "cert.pem")),
    ]
    await anyio.run_process(command)
    cert.write_text(cert.read_text() + (tmp_path / "cert.pem").read_text())
    said = [bytes(size) for size in SIZES]
    async with serving(app, cert) as client:
        await client.send(*[BytesMessage(data=one) for one in said])
        await until(app, len(said))
        assert app.frames == said
        assert app.lane is not None
        assert app.lane.write([b"and", b"back"])
        while sum(isinstance(event, BytesMessage) for event in client.events) < 2:
            await client.read()
        await client.send(CloseConnection(code=1000))
        await client.until(CloseConnection)
        await app.over.wait()


async def test_fragments_are_joined_and_pings_between_them_answered() -> None:
    app = App()
    async with serving(app) as client:
        await client.send(
            BytesMessage(data=b"before"),
            BytesMessage(data=b"one ", message_finished=False),
            Ping(payload=b"are you there"),
            BytesMessage(data=b"two ", message_finished=False),
            BytesMessage(data=b"three"),
            BytesMessage(data=b"after"),
            piece_bytes=5,
        )
        await until(app, 3)
        assert app.frames == [b"before", b"one two three", b"after"]
        pong = await client.until(Pong)
        assert isinstance(pong, Pong)
        assert pong.payload == b"are you there"


async def test_a_part_of_a_fragment_is_not_taken_for_a_message() -> None:
    app = App()
    inside = b"\x82\x83\0\0\0\0abc"
    async with serving(app) as client:
        await client.send(Ping())
        # Unmasked by a key of zeros, and read in two pieces.
        await client.stream.send(bytes((0x02, 0x80 | len(inside), 0, 0, 0, 0)))
        await anyio.wait_all_tasks_blocked()
        await client.stream.send(inside)
        await client.stream.send(b"\x80\x81\0\0\0\0!")
        await until(app, 1)
        assert app.frames == [inside + b"!"]


async def test_text_is_noted_in_its_place() -> None:
    app = App()
    async with serving(app) as client:
        await client.send(TextMessage(data="text"), BytesMessage(data=b"bytes"))
        await until(app, 1)
        assert app.texts == 1


async def test_what_comes_before_there_is_a_taker_waits_for_it() -> None:
    app = App()
    app.may_attach = anyio.Event()
    async with serving(app) as client:
        await client.send(*[BytesMessage(data=b"early")] * 100)
        app.may_attach.set()
        await until(app, 100)


async def test_whoever_is_turned_away_is_told_whatever_was_sent() -> None:
    app = App()
    app.turns_away = True
    app.may_attach = anyio.Event()
    async with serving(app) as client:
        await client.send(*[BytesMessage(data=b"early")] * 100)
        app.may_attach.set()
        closed = await client.until(CloseConnection)
        assert isinstance(closed, CloseConnection)
        assert closed.code == 4403
        while not client.gone:
            await client.read()
        # The server's own task for the connection has ended as well.
        with anyio.fail_after(30):
            while any("_server_callback" in repr(task) for task in asyncio.all_tasks()):
                await anyio.lowlevel.checkpoint()


async def test_a_taker_that_is_not_ready_gets_nothing_and_nothing_is_read() -> None:
    app = App()
    async with serving(app) as client, anyio.create_task_group() as group:
        await client.send(BytesMessage(data=b"first"))
        await until(app, 1)
        app.ready = anyio.Event()
        sent = anyio.Event()

        async def send() -> None:
            await client.send(*[BytesMessage(data=bytes(50_000))] * 500)
            sent.set()

        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert not sent.is_set()
        assert len(app.frames) == 1
        app.ready.set()
        await until(app, 501)


async def test_others_get_their_turn_between_many_messages() -> None:
    app = App()
    most = 0
    async with serving(app) as client:
        await client.send(*[BytesMessage(data=b"x")] * 5000)
        while len(app.frames) < 5000:
            before = len(app.frames)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(app.frames) - before)
    assert most <= FRAMES_IN_A_ROW_MAX


async def test_a_client_that_says_goodbye_is_answered() -> None:
    app = App()
    async with serving(app) as client:
        await client.send(BytesMessage(data=b"last"), CloseConnection(code=1000))
        closed = await client.until(CloseConnection)
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1000
        await app.over.wait()
        assert app.frames == [b"last"]
        assert app.ended["type"] == "websocket.disconnect"
        assert app.lane is not None
        assert app.lane.write([b"nobody reads this"])


async def test_a_message_beyond_the_limit_is_answered_with_a_reason() -> None:
    app = App()
    async with serving(app) as client:
        await client.send(BytesMessage(data=bytes(MESSAGE_BYTES_MAX + 1)))
        closed = await client.until(CloseConnection)
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1009
        assert app.frames == []


@pytest.mark.parametrize(
    "data",
    [b"\x82\x01x", b"\xc2\x81keyyx", b"\x82\xfe\x00\x05keyyxxxxx", b"\x83\x80keyy"],
    ids=["unmasked", "reserved", "long", "unknown"],
)
async def test_what_breaks_the_rules_ends_the_connection(data: bytes) -> None:
    app = App()
    async with serving(app) as client:
        await client.send(BytesMessage(data=b"good"))
        await client.stream.send(data)
        with anyio.fail_after(30):
            await app.over.wait()
            while not client.gone:
                await client.read()
        assert app.frames == [b"good"]


async def test_a_reader_that_does_not_read_is_waited_for() -> None:
    app = App()
    async with serving(app) as client:
        await app.attached.wait()
        assert app.lane is not None
        sent = 0
        while app.lane.write([bytes(50_000)]):
            sent += 1
            await anyio.lowlevel.checkpoint()
        waited = anyio.Event()

        async def wait() -> None:
            assert app.lane is not None
            await app.lane.send(b"at the end")
            waited.set()

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not waited.is_set()
            came = 0
            while came < sent * 50_000 + len(b"at the end"):
                await client.read()
                came = sum(
                    len(e.data) for e in client.events if isinstance(e, BytesMessage)
                )
        assert waited.is_set()
    assert sent * 50_000 > UNSENT_BYTES_MAX
