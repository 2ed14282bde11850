"""What strangers and accidents do to a relay: a code, a reason, others notice nothing.

Malformed, oversized and slow peers are in `test_server`, more of loading in `test_hub`.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import anyio
from anyio.abc import SocketStream
from crdtsync_relay.limits import FRAMES_BURST_MAX
from wsproto.utilities import LocalProtocolError

from crdtsync.sync.closing import CloseCode
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import Ack, Evict, Hello, SyncStep1, SyncStep2
from tests.relay.process import relay_process
from tests.relay.test_room import live
from tests.relay.wire_client import LAYER_2, Replica, connect, relay

GOODBYE_S = 40.0


async def still_works(writer: Replica, reader: Replica, word: str) -> None:
    """What one writes arrives at the other."""
    await writer.write(word)
    with anyio.fail_after(GOODBYE_S):
        await reader.follow_until(lambda: word in str(reader.text))


async def test_a_flood_ends_its_own_connection_and_says_when_to_come_back(
    tmp_path: Path,
) -> None:
    async with (
        relay(tmp_path, tokens=False) as (port, _),
        connect(port, "loud", subprotocols=LAYER_2) as bad,
        connect(port) as ada,
        connect(port) as bob,
    ):
        await ada.join()
        await bob.join()
        await bad.send(window_hello(""))
        batches = FRAMES_BURST_MAX // 20

        async def flood() -> None:
            # Until the relay closes.
            with suppress(LocalProtocolError, anyio.BrokenResourceError):
                for _ in range(batches):
                    await bad.send_joined(b"\x03", 100)

        with anyio.fail_after(GOODBYE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(flood)
                code, reason = await bad.until_closed()
                group.cancel_scope.cancel()
        assert (code, reason) == (
            CloseCode.RATE_LIMITED,
            "too much in too short a time",
        )
        (evict,) = bad.take(Evict)
        assert isinstance(evict, Evict)
        assert evict.reconnect
        assert evict.retry_after_ms >= 2000
        await still_works(ada, bob, "calm")


async def test_a_client_from_the_future_is_told_so_or_understood(
    tmp_path: Path,
) -> None:
    hello = window_hello("")
    alien = Hello(protocol=9, oldest=9)
    newer = Hello(protocol=9, oldest=1, features=hello.features | {"telepathy"})
    async with relay(tmp_path) as (port, _):
        async with connect(port, subprotocols=LAYER_2) as client:
            await client.send(alien)
            code, reason = await client.until_closed()
            assert code == CloseCode.VERSION
            assert "has to be updated" in reason
        async with connect(port, subprotocols=LAYER_2) as client:
            await client.send(newer)
            # A message type of a later version.
            await client.send_bytes(b"\xc8\x01\x03abc")
            await client.send(SyncStep1(b"\0"))
            await client.until(lambda: bool(client.take(SyncStep2)))


async def test_a_connection_that_says_nothing_is_ended(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        with anyio.fail_after(GOODBYE_S):
            async with anyio.create_task_group() as group:
                for said in (b"", b"GET /ws/room HTTP/1.1\r\nhost: a", b"\x16\x03\x01"):
                    stream = await anyio.connect_tcp("127.0.0.1", port)
                    await stream.send(said)
                    group.start_soon(_until_ended, stream)


async def _until_ended(stream: SocketStream) -> None:
    async with stream:
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


async def test_a_damaged_session_is_an_error_and_others_are_served(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path) as (port, _):
        for room in ("broken", "sound"):
            async with connect(port, room, subprotocols=LAYER_2) as ada:
                await ada.join(layer_2=True)
                await ada.write("kept")
                await ada.until(lambda: Ack(2) in ada.messages)
    with sqlite3.connect(tmp_path / "relay.db") as connection:
        for table in ("updates", "snapshots"):
            connection.execute(
                f"UPDATE {table} SET bytes = x'0102' WHERE doc ="  # noqa: S608
                " (SELECT id FROM docs WHERE doc = 'broken')"
            )
    connection.close()
    async with relay(tmp_path) as (port, _):
        async with connect(port, "broken", subprotocols=LAYER_2) as client:
            code, reason = await client.until_closed()
            assert code == CloseCode.LOAD_ERROR
            assert reason == "the session cannot be loaded"
        async with connect(port, "sound", subprotocols=LAYER_2) as client:
            await client.join(layer_2=True)
            assert str(client.text) == "kept"


async def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_there(
    tmp_path: Path,
) -> None:
    words = "x" * 50_000
    async with (
        relay_process(tmp_path, "file_bytes=1500000") as (port, _),
        connect(port, "full", subprotocols=LAYER_2) as ada,
    ):
        await ada.join(layer_2=True)
        acked = 0
        with anyio.fail_after(GOODBYE_S):
            while ada.closed is None:
                await ada.write(words)
                await ada.read()
                counts = [m.count for m in ada.take(Ack) if isinstance(m, Ack)]
                acked = max([acked, *counts])
        assert ada.closed == (CloseCode.LOAD_ERROR, "the relay cannot write")
        assert acked > 1
        (evict,) = ada.take(Evict)
        assert isinstance(evict, Evict)
        assert evict.reconnect
        # The relay lives on, and reads to everybody what it has.
        async with connect(port, "full", subprotocols=LAYER_2) as bob:
            await bob.join(layer_2=True)
            assert len(bob.text) >= (acked - 1) * len(words)
    async with relay(tmp_path) as (port, _):
        async with connect(port, "full", subprotocols=LAYER_2) as again:
            again.use(ada.doc)
            await again.join(layer_2=True)
            await again.until(lambda: bool(again.take(Ack)))
        async with connect(port, "full", subprotocols=LAYER_2) as bob:
            await bob.join(layer_2=True)
            assert str(bob.text) == str(ada.text)


def test_after_a_jump_of_the_clock_everybody_is_asked_back() -> None:
    scene = live(1, 2, layer_2=True)
    scene.now += 3600
    scene.room.tick(now=scene.now)
    scene.work()
    for peer in (1, 2):
        assert scene.closed[peer].code == CloseCode.SILENT
        evicts = [m for m in scene.heard(peer) if isinstance(m, Evict)]
        assert [evict.reconnect for evict in evicts] == [True]
    scene.join(3, layer_2=True)
    scene.sync(3)
    scene.flush()
    assert 3 not in scene.closed
