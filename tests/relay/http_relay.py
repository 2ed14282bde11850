"""A relay in a process of its own, and its streams of events, for tests over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import h11
from anyio.abc import SocketStream

from crdtsync.document import Document
from crdtsync.schema import JsonObject, as_object
from crdtsync.sync.messages import Ack, Update
from tests.relay.wire_client import LAYER_2, connect

WAIT_S = 40.0


@dataclass(frozen=True)
class Served:
    """A relay that runs.

    Attributes:
        owner: The operator's token; empty where nobody needs one.
    """

    port: int
    owner: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(data: Path, *flags: str) -> Iterator[Served]:
    """Run `crdtsync relay` on a free port."""
    program = Path(sys.executable).parent / "crdtsync"
    command = [str(program), "--data", str(data), "relay", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            token = data / "relay" / "owner-token"
            owner = token.read_text().strip() if token.exists() else ""
            yield Served(int(url.rpartition(":")[2]), owner)
        finally:
            process.terminate()
            process.wait(timeout=WAIT_S)


async def bring(port: int, session: str, document: Document, token: str = "") -> None:
    """Put a session on a relay, as a window would."""
    offer = (*LAYER_2, f"token.{token}") if token else LAYER_2
    async with connect(port, session, subprotocols=offer) as window:
        await window.join(layer_2=True)
        await window.send(Update(document.state()))
        with anyio.fail_after(WAIT_S):
            await window.until(lambda: Ack(2) in window.messages)


@dataclass
class Told:
    """One Server-Sent Event.

    Attributes:
        id: Of the stream; empty if the event has none.
    """

    type: str
    id: str
    body: JsonObject

    @property
    def data(self) -> JsonObject:
        return as_object(self.body["data"])

    @property
    def said(self) -> str:
        """The text of a message."""
        return str(as_object(self.data.get("message")).get("text", ""))


class Stream:
    """One stream of events. Made by `follow`.

    Attributes:
        status: Of the answer.
        last: The last `id`.
        beats: Comments so far.
    """

    def __init__(self, stream: SocketStream) -> None:
        self.status = 0
        self.last = ""
        self.beats = 0
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""
        self._told: deque[Told] = deque()

    async def ask(self, path: str, headers: list[tuple[str, str]]) -> None:
        request = h11.Request(
            method="GET", target=path, headers=[("Host", "127.0.0.1"), *headers]
        )
        for part in (request, h11.EndOfMessage()):
            await self._stream.send(self._http.send(part) or b"")
        while not self.status:
            await self._read()

    async def next(self, *types: str) -> Told:
        """Wait for the next event, of one of some types if any are given."""
        with anyio.fail_after(WAIT_S):
            while True:
                while not self._told:
                    await self._read()
                told = self._told.popleft()
                self.last = told.id or self.last
                if not types or told.type in types:
                    return told

    async def batch(self) -> list[Told]:
        """Wait for events up to the next one with an id: until then none counts."""
        found = [await self.next()]
        while not found[-1].id:
            found.append(await self.next())
        return found

    async def until_beat(self) -> None:
        beats = self.beats
        with anyio.fail_after(WAIT_S):
            while self.beats == beats:
                await self._read()

    async def until_over(self) -> list[Told]:
        """Read what is left until the relay ends the stream."""
        with anyio.fail_after(WAIT_S):
            while True:
                try:
                    await self._read()
                except Over:
                    return list(self._told)

    async def _read(self) -> None:
        event = self._http.next_event()
        while event is h11.NEED_DATA:
            try:
                self._http.receive_data(await self._stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
                raise Over from error
            event = self._http.next_event()
        match event:
            case h11.Response():
                self.status = event.status_code
            case h11.Data():
                self._text += event.data.decode()
                *blocks, self._text = self._text.split("\n\n")
                for block in blocks:
                    self._take(block)
            case _:
                raise Over

    def _take(self, block: str) -> None:
        said = dict(line.split(": ", 1) for line in block.split("\n"))
        self.beats += "" in said
        if "data" in said:
            body = as_object(json.loads(said["data"]))
            self._told.append(Told(said["event"], said.get("id", ""), body))


class Over(Exception):
    """The stream has ended."""


@asynccontextmanager
async def follow(
    port: int,
    session: str,
    token: str = "",
    *,
    since: str = "",
    last: str = "",
    deltas: bool = False,
) -> AsyncGenerator[Stream]:
    """Follow a session."""
    query = [f"since={since}"] if since else []
    query += ["deltas=true"] if deltas else []
    headers = [("Last-Event-ID", last)] if last else []
    headers += [("Authorization", f"Bearer {token}")] if token else []
    async with await anyio.connect_tcp("127.0.0.1", port) as tcp:
        stream = Stream(tcp)
        with anyio.fail_after(WAIT_S):
            path = f"/api/v1/sessions/{session}/events?{'&'.join(query)}"
            await stream.ask(path, headers)
        yield stream
