"""A WebSocket client as small as can be, over anyio; and a relay on a free port."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import SocketStream
from crdtsync_relay.limits import Limits
from crdtsync_relay.server import Listening, run_relay
from crdtsync_relay.settings import Settings
from pycrdt import Doc, Text
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
)

from crdtsync.schema import JsonObject, JsonValue, as_object
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import Hello, Message, Part, SyncStep1, SyncStep2, Update
from crdtsync.sync.parts import Assembly
from crdtsync.sync.wire import FRAME_BYTES_MAX, SUBPROTOCOL, decode, encode


class Client:
    """One connection. Made by `connect`."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.closed: tuple[int, str] | None = None
        self.subprotocol: str | None = None
        self.messages: list[Message] = []
        self.rejected = 0
        self.partial = bytearray()
        self.sending = anyio.Lock()
        self.frames: list[bytes] = []

    async def send(self, *messages: Message) -> None:
        await self.send_bytes(encode(*messages))

    async def send_bytes(self, frame: bytes) -> None:
        async with self.sending:
            await self.stream.send(self.ws.send(BytesMessage(data=frame)))

    async def send_joined(self, frame: bytes, count: int) -> None:
        """Send a frame again and again, in one piece."""
        async with self.sending:
            sent = [self.ws.send(BytesMessage(data=frame)) for _ in range(count)]
            await self.stream.send(b"".join(sent))

    async def read(self) -> None:
        """Read what comes next; sets `closed` when it is the end."""
        try:
            data = await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self.closed = self.closed or (1006, "")
            return
        self.ws.receive_data(data)
        await self._handle()

    async def _handle(self) -> None:
        for event in self.ws.events():
            match event:
                case AcceptConnection():
                    self.subprotocol = event.subprotocol
                case RejectConnection():
                    self.rejected = event.status_code
                    self.closed = (1006, "rejected")
                case BytesMessage():
                    self.partial += event.data
                    if event.message_finished:
                        self.frames.append(bytes(self.partial))
                        self.messages += decode(self.frames[-1])
                        self.partial.clear()
                case Ping():
                    await self.stream.send(self.ws.send(event.response()))
                case CloseConnection():
                    self.closed = (event.code, event.reason or "")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until something is so."""
        while not condition():
            assert self.closed is None, self.closed
            await self.read()

    async def until_closed(self) -> tuple[int, str]:
        """Read until the relay closes; returns code and reason."""
        while self.closed is None:
            await self.read()
        return self.closed

    def take(self, kind: type[Message]) -> list[Message]:
        """Take the messages of a kind that have come."""
        found = [m for m in self.messages if isinstance(m, kind)]
        self.messages = [m for m in self.messages if not isinstance(m, kind)]
        return found


_FOLLOWED = (SyncStep1, SyncStep2, Update)


class Replica(Client):
    """A client with a document that it keeps in step."""

    def __init__(self, stream: SocketStream) -> None:
        super().__init__(stream)
        self.parts = Assembly(FRAME_BYTES_MAX)
        self.doc: Doc[Text] = Doc()
        self.text = self.doc.get("t", type=Text)

    def use(self, doc: Doc[Text]) -> None:
        """Keep another document in step."""
        self.doc = doc
        self.text = doc.get("t", type=Text)

    async def join(self, *, layer_2: bool = False) -> None:
        """Synchronise both ways."""
        if layer_2:
            await self.send(window_hello(""))
            await self.until(lambda: bool(self.take(Hello)))
        await self.send(SyncStep1(self.doc.get_state()))
        await self.follow_until(lambda: self._synced)

    _synced = False

    async def follow_until(self, condition: Callable[[], bool]) -> None:
        """Apply what comes until something is so."""
        while not condition():
            assert self.closed is None, self.closed
            await self.read()
            await self.follow()

    async def follow(self) -> None:
        """Apply what has come."""
        kept: list[Message] = []
        taken, self.messages = self.messages, []
        for message in taken:
            match message:
                case SyncStep1(state):
                    await self.send(SyncStep2(self.doc.get_update(state)))
                case SyncStep2(update):
                    self.doc.apply_update(update)
                    self._synced = True
                case Update(update):
                    self.doc.apply_update(update)
                case Part():
                    if (frame := self.parts.add(message)) is not None:
                        self.messages += decode(frame)
                case _:
                    kept.append(message)
        self.messages = kept + self.messages
        if any(isinstance(m, _FOLLOWED) for m in self.messages):
            await self.follow()

    async def write(self, text: str) -> None:
        """Append to the text and send it."""
        before = self.doc.get_state()
        self.text += text
        await self.send(Update(self.doc.get_update(before)))


@asynccontextmanager
async def connect(
    port: int,
    room: str = "room",
    *,
    subprotocols: Sequence[str] = (),
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> AsyncGenerator[Replica]:
    """Open a connection to a relay on this machine."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = Replica(stream)
        request = Request(
            host=f"127.0.0.1:{port}",
            target=f"/ws/{room}",
            subprotocols=list(subprotocols),
            extra_headers=list(headers),
        )
        await stream.send(client.ws.send(request))
        await client.read()
        yield client


@asynccontextmanager
async def relay(
    data: Path, *, limits: Limits | None = None, tokens: bool = False
) -> AsyncGenerator[tuple[int, anyio.Event]]:
    """Run a relay on a free port of this machine; drained at the end, or when set."""
    settings = Settings(data, port=0, tokens=tokens, limits=limits or Limits())
    told: list[Listening] = []
    stop, started = anyio.Event(), anyio.Event()

    def tell(listening: Listening) -> None:
        told.append(listening)
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run_relay, settings, tell, stop)
        await started.wait()
        try:
            yield int(told[0].url.rpartition(":")[2]), stop
        finally:
            stop.set()


async def ask(
    port: int,
    method: str,
    path: str,
    token: str = "",
    body: Mapping[str, JsonValue] | None = None,
) -> tuple[int, JsonObject]:
    """Make one HTTP request; returns the status and the JSON or text of the answer."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        f"content-length: {len(data)}",
        "connection: close",
        *([f"authorization: Bearer {token}"] if token else ()),
    ]
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send("\r\n".join([*lines, "", ""]).encode() + data)
        answer = b"".join([chunk async for chunk in stream])
    head, _, text = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if text.startswith(b"{"):
        return status, as_object(json.loads(text))
    return status, {"text": text.decode()}


LAYER_2 = (SUBPROTOCOL,)
