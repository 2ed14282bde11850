"""All rooms of a relay: made once, unloaded when left, failed in the open."""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil
import pytest
from crdtsync_relay.access import open_access
from crdtsync_relay.attendance import Attendance, TurnedAway
from crdtsync_relay.hub import Hub, open_hub
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.limits import Limits

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.messages import SyncStep1, SyncStep2, Update
from crdtsync.sync.wire import decode, encode
from tests.relay.dialogue import Writer

ROOMS = int(os.environ.get("CRDTSYNC_RELAY_ROOMS", "300"))
"""Rooms that are opened and closed; set it to 10,000 to be sure."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def hub_in(
    folder: Path, *, limits: Limits | None = None, read_only: bool = False
) -> AsyncGenerator[Hub]:
    clock, path = SystemClock(), folder / "relay.db"
    async with (
        open_sqlite_log(path, clock=clock, read_only=read_only) as log,
        open_access(path, clock=clock) as access,
        open_hub(
            log, Kinds(access, clock), clock=clock, limits=limits or Limits()
        ) as hub,
    ):
        yield hub


@asynccontextmanager
async def guest(
    hub: Hub, room: str = "room", *, layer_2: bool = False
) -> AsyncGenerator[Attendance]:
    async with hub.attend(
        room, writes=True, layer_2=layer_2, stamp=None, budget=hub.budget("me")
    ) as attendance:
        yield attendance


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds
            await anyio.sleep(0.005)


async def read(attendance: Attendance, writer: Writer, text: str) -> None:
    """Take what comes until a text is there."""
    with anyio.fail_after(10):
        while text not in str(writer.text):
            frame = await attendance.outbox.take()
            assert frame is not None
            writer.take(decode(frame))


async def test_a_hundred_simultaneous_first_joins_make_one_load(
    tmp_path: Path,
) -> None:
    heard = []

    async def join(hub: Hub) -> None:
        async with guest(hub) as attendance:
            frame = await attendance.outbox.take()
            assert frame is not None
            heard.append(decode(frame)[0])
            await until(lambda: len(heard) == 100)

    async with hub_in(tmp_path) as hub, anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(join, hub)
        await until(lambda: len(heard) == 100)
        assert hub.tally.loads == 1
        assert all(isinstance(message, SyncStep1) for message in heard)


async def test_a_room_that_is_left_is_unloaded_and_found_again(tmp_path: Path) -> None:
    async with hub_in(tmp_path, limits=Limits(idle_room_s=0.05)) as hub:
        async with guest(hub) as attendance:
            attendance.receive(encode(SyncStep2(Writer(7).write("kept"))))
            await until(lambda: hub.tally.commits == 1)
        await until(lambda: hub.rooms == 0)
        async with guest(hub) as attendance:
            attendance.receive(encode(SyncStep1(b"\0")))
            await read(attendance, Writer(8), "kept")


async def test_a_damaged_log_is_a_load_error_and_no_empty_room(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as hub, guest(hub) as attendance:
        attendance.receive(encode(SyncStep2(Writer(7).write("kept"))))
        await until(lambda: hub.tally.commits == 1)
    with sqlite3.connect(tmp_path / "relay.db") as connection:
        connection.execute("UPDATE updates SET bytes = x'0102030405'")
    connection.close()
    async with hub_in(tmp_path) as hub:
        async with guest(hub) as attendance:
            await until(lambda: attendance.outbox.closing is not None)
            assert attendance.outbox.closing is not None
            assert attendance.outbox.closing[0] == CloseCode.LOAD_ERROR
        await until(lambda: hub.rooms == 0)
        assert hub.tally.load_failures == 1


async def test_a_log_that_takes_nothing_ends_its_rooms_and_not_the_relay(
    tmp_path: Path,
) -> None:
    async with hub_in(tmp_path) as hub, guest(hub, "kept") as attendance:
        attendance.receive(encode(SyncStep2(Writer(7).write("kept"))))
        await until(lambda: hub.tally.commits == 1)
    async with hub_in(tmp_path, read_only=True) as hub:
        for room in ("kept", "new"):
            async with guest(hub, room) as attendance:
                attendance.receive(encode(SyncStep2(Writer(8).write("more"))))
                await until(lambda: attendance.outbox.closing is not None)
                assert attendance.outbox.closing is not None
                assert attendance.outbox.closing[0] == CloseCode.LOAD_ERROR
        await until(lambda: hub.rooms == 0)
        async with guest(hub, "kept") as attendance:
            attendance.receive(encode(SyncStep1(b"\0")))
            await read(attendance, Writer(9), "kept")


async def test_a_full_relay_unloads_the_oldest_idle_room(tmp_path: Path) -> None:
    async with hub_in(tmp_path, limits=Limits(rooms_max=2)) as hub, guest(hub, "a"):
        async with guest(hub, "b") as second:
            await second.outbox.take()
            with pytest.raises(TurnedAway) as turned:
                async with guest(hub, "c"):
                    pass
            assert turned.value.code == CloseCode.RATE_LIMITED
        await until(lambda: hub.peers == 1)
        async with guest(hub, "c"):
            assert hub.rooms == 2


async def test_draining_commits_evicts_and_turns_newcomers_away(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as hub, anyio.create_task_group() as group:
        async with guest(hub) as attendance:
            attendance.receive(encode(SyncStep2(Writer(7).write("last"))))
            group.start_soon(hub.drain)
            await until(lambda: attendance.outbox.closing is not None)
            assert attendance.outbox.closing == (1012, "the relay restarts")
            assert hub.tally.updates_logged == 1
            with pytest.raises(TurnedAway):
                async with guest(hub):
                    pass
        await until(lambda: hub.rooms == 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_rooms_opened_and_closed_leave_nothing_behind(
    tmp_path: Path,
) -> None:
    process = psutil.Process(os.getpid())
    frame = encode(Update(Writer(7).write("x" * 1000)))

    async def visit(hub: Hub, number: int) -> None:
        async with guest(hub, f"room-{number}") as attendance:
            attendance.receive(frame)
            await attendance.outbox.take()

    async def visit_all(hub: Hub, first: int, count: int) -> int:
        for number in range(first, first + count):
            await visit(hub, number)
        await until(lambda: hub.rooms == 0)
        gc.collect()
        return int(process.memory_info().rss)

    async with hub_in(tmp_path, limits=Limits(idle_room_s=0.0)) as hub:
        before = await visit_all(hub, 0, ROOMS // 2)
        after = await visit_all(hub, ROOMS // 2, ROOMS // 2)
    assert after < before * 1.05
