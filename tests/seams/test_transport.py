"""What every transport does, in memory and over WebSocket; and what WebSocket adds."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, Listener, SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from crdtsync.errors import ConnectionFailed, UsageError
from crdtsync.links.addresses import Address
from crdtsync.links.connecting import connect_websocket
from crdtsync.links.transport import Faults, Transport, TransportClosed, memory_pair
from crdtsync.links.websocket import WebSocketTransport

TOKEN = "cs1_secret"  # noqa: S105 - of nobody

Pair = tuple[Transport, Transport]
Connect = Callable[[], AbstractAsyncContextManager[Pair]]


@dataclass
class Server:
    """A WebSocket server of one connection, and what it was asked."""

    port: int
    requests: list[Request] = field(default_factory=list)
    transports: list[WebSocketTransport] = field(default_factory=list)
    streams: list[ByteStream] = field(default_factory=list)
    connected: anyio.Event = field(default_factory=anyio.Event)
    reject: RejectConnection | None = None
    along: BytesMessage | CloseConnection | None = None
    frame_bytes_max: int = 1000

    async def serve(self, stream: ByteStream, done: anyio.Event) -> None:
        self.streams.append(stream)
        connection = WSConnection(ConnectionType.SERVER)
        while not self.requests:
            connection.receive_data(await stream.receive())
            self.requests += [
                event for event in connection.events() if isinstance(event, Request)
            ]
        if self.reject is not None:
            await stream.send(connection.send(self.reject))
            return
        answer = connection.send(AcceptConnection(subprotocol="crdtsync.v1"))
        if self.along is not None:
            answer += connection.send(self.along)
        await stream.send(answer)
        if isinstance(self.along, CloseConnection):
            return
        transport = WebSocketTransport(
            stream,
            connection,
            subprotocol="crdtsync.v1",
            frame_bytes_max=self.frame_bytes_max,
        )
        self.transports.append(transport)
        self.connected.set()
        await done.wait()


async def listen() -> tuple[Listener[SocketStream], int]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    return listener, port


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    listener, port = await listen()
    server = Server(port)
    done = anyio.Event()

    async def handle(stream: ByteStream) -> None:
        try:
            async with stream:
                await server.serve(stream, done)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            return

    wrapped = TLSListener(listener, context, False) if context else listener
    async with wrapped, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(wrapped.serve, handle))
        try:
            yield server
        finally:
            done.set()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def over_websocket() -> AsyncGenerator[Pair]:
    async with serving() as server:
        server.frame_bytes_max = 1 << 20
        address = Address(f"ws://127.0.0.1:{server.port}/ws/s")
        async with connect_websocket(address) as client:
            await server.connected.wait()
            yield client, server.transports[0]


@pytest.fixture(params=["memory", "websocket"])
def connect(request: pytest.FixtureRequest) -> Connect:
    return memory_pair if request.param == "memory" else over_websocket


# What every transport does.


async def test_frames_arrive_whole_and_in_order_both_ways(connect: Connect) -> None:
    async with connect() as (one, other):
        assert one.subprotocol == other.subprotocol == "crdtsync.v1"
        frames = [bytes([n]) * size for n, size in enumerate([1, 0, 300_000, 7])]
        for sender, receiver in ((one, other), (other, one)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_all, sender, frames)
                with anyio.fail_after(10):
                    assert [await receiver.receive() for _ in frames] == frames


async def send_all(transport: Transport, frames: list[bytes]) -> None:
    for frame in frames:
        await transport.send(frame)


async def test_both_ends_may_send_at_once(connect: Connect) -> None:
    frames = [bytes([n % 256]) * 20_000 for n in range(100)]

    async def exchange(transport: Transport) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_all, transport, frames)
            assert [await transport.receive() for _ in frames] == frames

    async with connect() as pair, anyio.create_task_group() as both:
        for end in pair:
            both.start_soon(exchange, end)


async def test_several_tasks_may_send(connect: Connect) -> None:
    async with connect() as (one, other):
        frames = [bytes([n]) * 5000 for n in range(50)]
        async with anyio.create_task_group() as tasks:
            for frame in frames:
                tasks.start_soon(one.send, frame)
            received = [await other.receive() for _ in frames]
        assert sorted(received) == frames


async def test_a_close_reaches_the_other_end_with_code_and_reason(
    connect: Connect,
) -> None:
    async with connect() as (one, other):
        await one.send(b"last")
        await one.close(4409, "naïve reader")
        with anyio.fail_after(10):
            assert await other.receive() == b"last"
            with pytest.raises(TransportClosed, match="naïve reader") as caught:
                await other.receive()
        assert (caught.value.code, caught.value.reason) == (4409, "naïve reader")


async def test_after_a_close_neither_end_sends_or_receives(connect: Connect) -> None:
    async with connect() as (one, other):
        await one.close(4403, "no")
        await one.close(1000, "again")
        with anyio.fail_after(10), pytest.raises(TransportClosed):
            await other.receive()
        for end in (one, other):
            for _ in range(2):
                with pytest.raises(TransportClosed) as caught:
                    await end.receive()
                assert caught.value.code == 4403
                with pytest.raises(ConnectionFailed):
                    await end.send(b"x")
        await other.close()


async def test_a_reader_that_never_reads_stops_the_writer(connect: Connect) -> None:
    sent = 0
    async with connect() as (one, _):
        with anyio.move_on_after(0.5):
            while sent < 2000:
                await one.send(bytes(100_000))
                sent += 1
    assert 0 < sent < 2000


async def test_a_cancelled_receive_loses_nothing(connect: Connect) -> None:
    async with connect() as (one, other):
        with anyio.move_on_after(0.01):
            await other.receive()
        await one.send(b"still")
        with anyio.fail_after(10):
            assert await other.receive() == b"still"


# Faults in memory.


async def test_a_cut_is_noticed_by_both_ends() -> None:
    faults = Faults()
    async with memory_pair(faults) as (one, other):
        await one.send(b"before")
        faults.cut()
        assert await other.receive() == b"before"
        for end in (one, other):
            with pytest.raises(TransportClosed) as caught:
                await end.receive()
            assert caught.value.code == 1006


async def test_a_stall_is_noticed_by_nobody() -> None:
    faults = Faults()
    async with memory_pair(faults) as (one, other):
        faults.stalled = True
        await one.send(b"lost")
        await one.close()
        with anyio.move_on_after(0.02) as scope:
            await other.receive()
        assert scope.cancelled_caught


# What only a WebSocket has.


async def test_a_token_travels_in_a_header_and_the_subprotocol_is_offered() -> None:
    async with serving() as server:
        address = Address(f"ws://127.0.0.1:{server.port}/ws/s?x=1", TOKEN)
        assert TOKEN not in repr(address)
        async with connect_websocket(address) as client:
            assert client.subprotocol == "crdtsync.v1"
            (request,) = server.requests
            assert request.target == "/ws/s?x=1"
            assert request.host == f"127.0.0.1:{server.port}"
            assert request.subprotocols == ["crdtsync.v1"]
            headers = {bytes(k).lower(): bytes(v) for k, v in request.extra_headers}
            assert headers[b"authorization"] == f"Bearer {TOKEN}".encode()


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 4401), (403, 4403), (404, 4404), (429, 4429), (503, 1012), (500, 1006)],
)
async def test_a_refused_handshake_says_why(status: int, code: int) -> None:
    async with serving() as server:
        server.reject = RejectConnection(
            status_code=status, headers=[(b"Retry-After", b"7")]
        )
        with pytest.raises(TransportClosed) as caught:
            async with connect_websocket(Address(f"ws://127.0.0.1:{server.port}/x")):
                pass
    assert (caught.value.code, caught.value.retry_after_s) == (code, 7.0)
    assert caught.value.reason == f"the relay answered with HTTP status {status}"


async def test_who_is_not_there_cannot_be_reached() -> None:
    listener, port = await listen()
    await listener.aclose()
    with pytest.raises(TransportClosed, match=r"127\.0\.0\.1 cannot be reached"):
        async with connect_websocket(Address(f"ws://127.0.0.1:{port}/x")):
            pass


@pytest.mark.parametrize(
    "url", ["http://host/", "wss:///ws/s", "host", "ws://user:pw@host/"]
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        async with connect_websocket(Address(url)):
            pass


async def test_who_speaks_no_websocket_is_said_to_be_no_relay() -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    listener, port = await listen()
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        with pytest.raises(TransportClosed, match="what answers there is no relay"):
            async with connect_websocket(Address(f"ws://127.0.0.1:{port}/x")):
                pass
        tasks.cancel_scope.cancel()


async def test_a_frame_that_comes_with_the_handshake_is_received() -> None:
    async with serving() as server:
        server.along = BytesMessage(data=b"hello")
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            with anyio.fail_after(10):
                assert await client.receive() == b"hello"


async def test_a_frame_that_is_too_large_closes_the_connection() -> None:
    async with serving() as server:
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            await server.connected.wait()
            await client.send(bytes(1001))
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await server.transports[0].receive()
            assert caught.value.code == 4413
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await client.receive()
            assert (caught.value.code, caught.value.reason) == (
                4413,
                "a frame has at most 1000 bytes",
            )


async def _talk(client: Transport) -> None:
    while True:
        await client.send(b"hello")


@pytest.mark.parametrize("speaks", [True, False])
async def test_who_is_turned_away_at_once_learns_why(*, speaks: bool) -> None:
    async with serving() as server:
        server.along = CloseConnection(code=4401, reason="no such token")
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await (_talk(client) if speaks else client.receive())
            assert (caught.value.code, caught.value.reason) == (4401, "no such token")


async def test_pings_are_answered_and_text_is_refused() -> None:
    async with serving() as server:
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            await server.connected.wait()
            there = server.transports[0]
            connection = there._connection  # noqa: SLF001 - to say what it never says
            await server.streams[0].send(connection.send(Ping(payload=b"p")))
            await there.send(b"after the ping")
            with anyio.fail_after(10):
                assert await client.receive() == b"after the ping"
            await server.streams[0].send(connection.send(TextMessage(data="text")))
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await client.receive()
            assert caught.value.code == 4400


async def test_a_connection_that_breaks_is_over() -> None:
    async with serving() as server:
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            await server.connected.wait()
            await server.streams[0].aclose()
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await client.receive()
            assert caught.value.code == 1006


async def test_bytes_that_are_no_websocket_frames_end_the_connection() -> None:
    async with serving() as server:
        address = Address(f"ws://127.0.0.1:{server.port}/x")
        async with connect_websocket(address) as client:
            await server.connected.wait()
            await server.streams[0].send(b"\xff\xff\xff\xff\xff")
            with anyio.fail_after(10), pytest.raises(TransportClosed) as caught:
                await client.receive()
            assert caught.value.code == 1002


def make_certificate(folder: Path) -> tuple[Path, str]:
    """Make a self-signed certificate with its key; returns its SHA-256 too."""
    path, der = folder / "both.pem", folder / "cert.der"
    key = folder / "key.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=window", "-keyout", str(key), "-out", str(path)]
    try:
        subprocess.run(
            ["openssl", *make.split(), *names], check=True, capture_output=True
        )
        subprocess.run(
            ["openssl", "x509", "-in", path, "-outform", "der", "-out", der],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path, sha256(der.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def serving_tls(path: Path) -> AsyncGenerator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with serving(context) as server:
        yield server


async def test_a_pinned_certificate_needs_nobody_to_vouch_for_it(
    certificate: tuple[Path, str],
) -> None:
    path, pin = certificate
    async with serving_tls(path) as server:
        url = f"wss://127.0.0.1:{server.port}/x"
        async with connect_websocket(Address(url, pin=pin.upper())) as client:
            await server.connected.wait()
            await client.send(b"hello")
            with anyio.fail_after(10):
                assert await server.transports[0].receive() == b"hello"


@pytest.mark.parametrize("pin", ["", "00" * 32])
async def test_another_certificate_is_refused_before_anything_is_sent(
    certificate: tuple[Path, str], pin: str
) -> None:
    async with serving_tls(certificate[0]) as server:
        url = f"wss://127.0.0.1:{server.port}/x"
        with pytest.raises(TransportClosed, match="certificate") as caught:
            async with connect_websocket(Address(url, TOKEN, pin)):
                pass
        assert caught.value.code == (4403 if pin else 1006)
        assert server.requests == []


async def test_the_first_address_that_answers_as_it_should_is_taken(
    certificate: tuple[Path, str], other_certificate: tuple[Path, str]
) -> None:
    nobody, dead = await listen()
    await nobody.aclose()
    async with (
        serving_tls(other_certificate[0]) as stranger,
        serving_tls(certificate[0]) as server,
    ):
        first, *also = (
            f"wss://127.0.0.1:{port}/x" for port in (dead, stranger.port, server.port)
        )
        address = Address(first, TOKEN, certificate[1], tuple(also))
        async with connect_websocket(address) as client:
            await server.connected.wait()
            await client.send(b"hello")
            with anyio.fail_after(10):
                assert await server.transports[0].receive() == b"hello"
        assert server.requests[0].host == f"127.0.0.1:{server.port}"
        assert stranger.requests == []


async def test_strangers_are_final_only_if_all_addresses_are_theirs(
    other_certificate: tuple[Path, str], certificate: tuple[Path, str]
) -> None:
    nobody, dead = await listen()
    await nobody.aclose()
    async with serving_tls(other_certificate[0]) as stranger:
        url = f"wss://127.0.0.1:{stranger.port}/x"
        for also, code in (((f"wss://127.0.0.1:{dead}/x",), 1006), ((url,), 4403)):
            with pytest.raises(TransportClosed) as caught:
                async with connect_websocket(Address(url, TOKEN, certificate[1], also)):
                    pass
            assert caught.value.code == code
        assert stranger.requests == []
