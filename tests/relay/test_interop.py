"""Clients that know nothing of crdtsync share rooms with those that do (W: layer 1)."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.streams.text import TextReceiveStream
from pycrdt import Channel, Doc, Provider, Text

from tests.npm import node_folder
from tests.relay.wire_client import Replica, connect, relay

SOURCE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest) -> Path:
    """A folder with y-websocket, kept from one run to the next."""
    return node_folder(request, SOURCE)


class Frames:
    """A connection as pycrdt's Provider wants one."""

    def __init__(self, client: Replica) -> None:
        self._client = client
        self._frames: list[bytes] = []
        self.path = "room"

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> bytes:
        return await self.recv()

    async def send(self, message: bytes) -> None:
        await self._client.send_bytes(message)

    async def recv(self) -> bytes:
        while not self._client.frames:
            assert self._client.closed is None, self._client.closed
            await self._client.read()
        return self._client.frames.pop(0)


@dataclass
class Said:
    """The text that the clients in Node agree on, with everybody's last word."""

    text: str = ""
    done: anyio.Event = field(default_factory=anyio.Event)


async def _edit(port: int, name: str, seed: int, said: Said) -> None:
    """One of our clients: random edits, broken connections, then its last word."""
    chance = random.Random(seed)  # noqa: S311
    doc: Doc[Text] = Doc()
    for visit in range(3):
        async with connect(port) as client:
            client.use(doc)
            await client.join()
            for _ in range(15):
                await client.write(chance.choice(["b", "ü", "🙂", "uvw"]))
                with anyio.move_on_after(0.002):
                    await client.read()
                await client.follow()
            if visit == 2:
                await client.follow_until(lambda: "<node>" in str(client.text))
                await client.write(f"<py{name}>")
                await said.done.wait()
                # What others had written while they were apart may come late.
                with anyio.fail_after(20):
                    await client.follow_until(lambda: str(client.text) == said.text)


@pytest.mark.parametrize("client", ["y-websocket", "y-websocket-2"])
async def test_y_websocket_clients_converge_with_ours(
    node: Path, tmp_path: Path, client: str
) -> None:
    async with relay(tmp_path) as (port, _):
        said = Said()
        command = ["node", "clients.mjs", f"ws://127.0.0.1:{port}/ws", "room"]
        async with await anyio.open_process(
            [*command, "1", "300", "3", client], cwd=node, stderr=None
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            async with anyio.create_task_group() as group:
                for number, name in enumerate("abc"):
                    group.start_soon(_edit, port, name, number, said)
                with anyio.fail_after(40):
                    line = ""
                    async for text in TextReceiveStream(process.stdout):
                        line += text
                        if line.endswith("\n"):
                            break
                said.text = json.loads(line)
                said.done.set()
            await process.stdin.aclose()
        assert said.text.count("<py") == 3


async def test_pycrdts_own_provider_converges_with_ours(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _), connect(port) as ours:
        await ours.join()
        await ours.write("ours ")
        theirs: Doc[Text] = Doc()
        text = theirs.get("t", type=Text)
        async with connect(port) as client:
            channel: Channel = Frames(client)
            async with Provider(theirs, channel):
                with anyio.fail_after(10):
                    while str(text) != "ours ":
                        await anyio.lowlevel.checkpoint()
                    text += "theirs"
                    await ours.follow_until(lambda: str(ours.text) == "ours theirs")
