"""A session of 100,000 messages through a relay, and what others notice of it.

It fails unless the second window has every message, and other rooms were served
meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import anyio
from pycrdt import Array, Doc

from crdtsync import schema
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import Ack, Hello, Part, Ping, Pong, SyncStep1, SyncStep2
from crdtsync.sync.parts import Assembly
from crdtsync.sync.wire import FRAME_BYTES_MAX, decode, encode, split
from tests.bench.corpus import whole
from tests.bench.rows import Row
from tests.relay.process import relay_process
from tests.relay.wire_client import LAYER_2, Replica, connect

MESSAGES = 100_000
STALL_S_MAX = 1.0
SYNC_S_MAX = 30.0


def run() -> list[Row]:
    """Measure it once."""
    return anyio.run(_run)


async def _run() -> list[Row]:
    update = whole(MESSAGES)
    gaps: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        async with (
            relay_process(Path(name)) as (port, _),
            connect(port, "busy") as other,
        ):
            await other.join()
            async with anyio.create_task_group() as group:
                group.start_soon(_watch, port, gaps)
                filled_s = await _fill(port, update)
                joined_s = await _join(port)
                group.cancel_scope.cancel()
    assert len(gaps) > 100, "nobody watched"
    size = len(update) / 1e6
    return [
        Row(
            f"first sync of {MESSAGES:,} messages ({size:.0f} MB) to a relay, durable",
            *(
                filled_s,
                "s",
                None,
                None,
                f"<= {SYNC_S_MAX:g} s",
                filled_s <= SYNC_S_MAX,
            ),
        ),
        Row(
            "a window joins it",
            *(
                joined_s,
                "s",
                None,
                None,
                f"<= {SYNC_S_MAX:g} s",
                joined_s <= SYNC_S_MAX,
            ),
        ),
        Row(
            "longest stall of another room meanwhile",
            *(
                max(gaps),
                "s",
                None,
                None,
                f"<= {STALL_S_MAX:g} s",
                max(gaps) <= STALL_S_MAX,
            ),
        ),
    ]


async def _watch(port: int, gaps: list[float]) -> None:
    """Ask the relay again and again how it is, in another room."""
    async with connect(port, "other", subprotocols=LAYER_2) as client:
        await client.join(layer_2=True)
        for number in range(1_000_000):
            asked = time.perf_counter()
            await client.send(Ping(number))
            await client.until(lambda: bool(client.take(Pong)))
            gaps.append(time.perf_counter() - asked)
            await anyio.sleep(0.01)


async def _greet(client: Replica) -> None:
    await client.send(window_hello(""))
    await client.until(lambda: bool(client.take(Hello)))


async def _fill(port: int, update: bytes) -> float:
    async with connect(port, "long", subprotocols=LAYER_2) as client:
        await _greet(client)
        started = time.perf_counter()
        for part in split(encode(SyncStep2(update))):
            await client.send_bytes(part)
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                group.start_soon(_beat, client)
                await client.until(lambda: Ack(1) in client.messages)
                group.cancel_scope.cancel()
        return time.perf_counter() - started


async def _beat(client: Replica) -> None:
    while True:
        await anyio.sleep(4)
        await client.send(Ping(0))


async def _join(port: int) -> float:
    """Take everything, apply it, and count the messages."""
    async with connect(port, "long", subprotocols=LAYER_2) as client:
        started = time.perf_counter()
        await _greet(client)
        await client.send(SyncStep1(b"\0"))
        parts, doc = Assembly(FRAME_BYTES_MAX), Doc[Array[object]]()
        while True:
            await client.read()
            for part in client.take(Part):
                assert isinstance(part, Part)
                if (frame := parts.add(part)) is not None:
                    for message in decode(frame):
                        assert isinstance(message, SyncStep2)
                        doc.apply_update(message.update)
                    taken = time.perf_counter() - started
                    messages = doc.get(schema.MESSAGES, type=Array)
                    assert len(messages) == MESSAGES
                    return taken
