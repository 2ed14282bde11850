"""What connections and rooms take of a relay's memory, and whether they give it back.

Each figure counts only if the relay's own numbers say that the work was done.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio
import psutil
from anyio.abc import TaskGroup
from crdtsync_relay.access import open_access
from crdtsync_relay.kinds import Kinds

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import Ack, Ping, SyncStep1, SyncStep2
from tests.bench.rows import Row
from tests.relay.dialogue import Writer
from tests.relay.process import relay_process
from tests.relay.wire_client import LAYER_2, Replica, ask, connect

CONNECTIONS = 1_000
ROOMS = 1_000
OPENED = 10_000
WARM = 2_000
AT_ONCE = 16
AT_ONCE_ROOMS = 500

CONNECTION_KB_MAX = 50.0
ROOM_KB_MAX = 60.0
LEFT_MAX = 0.05

BEAT_S = 4.0

TEXT = "one prompt and one answer of an ordinary length " * 20


@dataclass
class Measured:
    """A relay that runs, and how much it takes."""

    port: int
    process: psutil.Process

    @property
    def rss_kb(self) -> float:
        return float(self.process.memory_info().rss) / 1024

    async def number(self, name: str) -> float:
        """One of its own numbers."""
        text = str((await ask(self.port, "GET", "/metrics"))[1]["text"])
        found = re.search(rf"^crdtsync_relay_{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    async def until(self, name: str, value: float) -> None:
        """Wait until one of its numbers is so."""
        with anyio.fail_after(120):
            while await self.number(name) != value:  # noqa: ASYNC110 - of a process
                await anyio.sleep(0.1)


def run() -> list[Row]:
    """Measure all of it, one relay after the other."""
    return anyio.run(_run)


async def _run() -> list[Row]:
    return [
        await _connections(),
        await _idle_rooms(),
        await _opened_and_closed(damaged=False),
        await _opened_and_closed(damaged=True),
    ]


@asynccontextmanager
async def _relay(folder: str, *words: str) -> AsyncGenerator[Measured]:
    async with relay_process(Path(folder), *words, stderr=subprocess.DEVNULL) as (
        port,
        process,
    ):
        yield Measured(port, psutil.Process(process.pid))


async def _connections() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            _relay(folder) as relay,
            AsyncExitStack() as stack,
            anyio.create_task_group() as group,
        ):
            clients = await _connect(relay, stack, group, 100)
            before = relay.rss_kb
            clients += await _connect(relay, stack, group, CONNECTIONS)
            await relay.until("peers", len(clients))
            each = (relay.rss_kb - before) / CONNECTIONS
            group.cancel_scope.cancel()
    return _row("memory of an idle connection", each, CONNECTION_KB_MAX)


async def _connect(
    relay: Measured, stack: AsyncExitStack, group: TaskGroup, count: int
) -> list[Replica]:
    """Bring windows into rooms of ten, let them synchronise, and keep them alive."""
    clients: list[Replica] = []
    for number in range(count):
        client = await stack.enter_async_context(
            connect(relay.port, f"room-{number // 10}", subprotocols=LAYER_2)
        )
        await client.send(window_hello(""), SyncStep1(b"\0"), SyncStep2(b"\0\0"))
        while not client.messages:
            await client.read()
        group.start_soon(_beat, client)
        clients.append(client)
    return clients


async def _beat(client: Replica) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(client.until_closed)
        while True:
            await client.send(Ping(0))
            await anyio.sleep(BEAT_S)


async def _idle_rooms() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with _relay(folder, "idle_room_s=3600") as relay:
            await _visit(relay.port, range(100))
            before = relay.rss_kb
            await _visit(relay.port, range(100, 100 + ROOMS))
            await relay.until("peers", 0)
            assert await relay.number("rooms") == 100 + ROOMS
            each = (relay.rss_kb - before) / ROOMS
    return _row("memory of an idle room", each, ROOM_KB_MAX)


async def _opened_and_closed(*, damaged: bool) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        if damaged:
            await _damaged(Path(folder) / "relay.db")
        async with _relay(
            folder, "idle_room_s=0", f"rooms_max={AT_ONCE_ROOMS}"
        ) as relay:
            await _visit(relay.port, range(WARM), damaged=damaged)
            await relay.until("rooms", 0)
            before = relay.rss_kb
            await _visit(relay.port, range(WARM, WARM + OPENED), damaged=damaged)
            await relay.until("rooms", 0)
            after = relay.rss_kb
            done = await relay.number(
                "load_failures_total" if damaged else "loads_total"
            )
            assert done == WARM + OPENED, done
    what = "that could not be loaded" if damaged else "opened and closed"
    return Row(
        f"relay after {OPENED:,} rooms {what}",
        value=after / 1024,
        unit="MB",
        floor=before / 1024,
        ratio=after / before,
        limit=f"<= {1 + LEFT_MAX:g}x",
        ok=after <= before * (1 + LEFT_MAX),
    )


async def _damaged(path: Path) -> None:
    """Store rooms whose only row is no update."""
    clock = SystemClock()
    async with (
        open_sqlite_log(path, clock=clock) as log,
        open_access(path, clock=clock) as access,
    ):
        kinds = Kinds(access, clock)

        async def store(numbers: range) -> None:
            for number in numbers:
                room = f"room-{number}"
                await kinds.note(room, False)
                await log.create(room)
                await log.append(room, [b"\1\2\3"], origin="bench", after=0)

        async with anyio.create_task_group() as group:
            for first in range(AT_ONCE):
                group.start_soon(store, range(first, WARM + OPENED, AT_ONCE))


async def _visit(port: int, rooms: Iterable[int], *, damaged: bool = False) -> None:
    """Open rooms, write something, and leave; several at a time."""
    waiting = iter(rooms)

    async def visit_some() -> None:
        for number in waiting:
            await _write(port, f"room-{number}", damaged=damaged)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(visit_some)


@cache
def _update() -> bytes:
    return Writer(7).write(TEXT)


async def _write(port: int, room: str, *, damaged: bool) -> None:
    items = () if damaged else LAYER_2
    async with connect(port, room, subprotocols=items) as client:
        if damaged:
            code, _ = await client.until_closed()
            assert code == CloseCode.LOAD_ERROR, code
            return
        # Waiting for the disk keeps rooms from piling up before it.
        await client.send(window_hello(""), SyncStep2(_update()), SyncStep1(b"\0"))
        await client.until(lambda: bool(client.take(Ack)))


def _row(name: str, each_kb: float, most_kb: float) -> Row:
    return Row(
        name, each_kb, "KB", None, None, f"<= {most_kb:g} KB", each_kb <= most_kb
    )
