"""Streams of events: what they tell, what a break costs, and who is sent away."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint
from crdtsync_relay.limits import Limits

from crdtsync.clock import SystemClock
from crdtsync.entities import Message
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.schema import JsonObject
from tests.export.sample import SESSION, rich_document
from tests.relay.http_relay import Told, bring, follow, served
from tests.relay.test_api import (
    MESSAGES,
    numbers,
    owner_of,
    running_document,
    token_for,
)
from tests.relay.wire_client import ask, relay

OPENED = "session.opened"


async def post(port: int, text: str, **more: bool) -> int:
    """Write a message; returns its row."""
    body: JsonObject = {"text": text, "participant": "ana", **more}
    status, sent = await ask(port, "POST", MESSAGES, "", body)
    assert status == 201, sent
    seq = sent["seq"]
    assert isinstance(seq, int)
    return seq


async def test_a_stream_begins_with_now_and_goes_on_with_what_comes(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        async with follow(port, SESSION) as stream:
            opened = await stream.next()
            assert (opened.type, opened.id) == ("session.opened", "1")
            assert opened.data["messages"] == 9
            seq = await post(port, "hello")
            message, queue = await stream.batch()
            assert (message.type, message.said) == ("message", "hello")
            assert message.body["actor"] == {
                "id": "ana",
                "name": "ana",
                "kind": "person",
            }
            assert (queue.type, queue.id) == ("queue", str(seq))
            assert {told.body["seq"] for told in (message, queue)} == {seq}


async def test_whoever_comes_back_misses_nothing_and_gets_nothing_twice(
    tmp_path: Path,
) -> None:
    rng = random.Random(7)  # noqa: S311 - breaks that can be repeated
    wanted = [f"message {number}" for number in range(60)]
    told: list[Told] = []
    last = ""
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())

        async def write() -> None:
            for text in wanted:
                await post(port, text)

        async with anyio.create_task_group() as group:
            breaks = 0
            while len(told) < 2 * len(wanted):
                async with follow(port, SESSION, last=last) as stream:
                    if not breaks:
                        await stream.next("session.opened")
                        last = stream.last
                        group.start_soon(write)
                    breaks += 1
                    for _ in range(rng.randrange(1, 6)):
                        if len(told) == 2 * len(wanted):
                            break
                        batch = await stream.batch()
                        told += [each for each in batch if each.type != OPENED]
                        last = stream.last
        assert breaks > 10
    assert [each.said for each in told if each.type == "message"] == wanted
    queues = [each.data["pending"] for each in told if each.type == "queue"]
    assert [len(queue) for queue in queues if isinstance(queue, list)] == [
        *range(2, 62)
    ]


async def test_a_relay_that_was_restarted_goes_on_where_the_reader_was(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        seq = await post(port, "one")
        await post(port, "two")
    async with (
        relay(tmp_path) as (port, _),
        follow(port, SESSION, since=str(seq)) as stream,
    ):
        assert (await stream.next("message")).said == "two"
        await post(port, "three")
        assert (await stream.next("message")).said == "three"


async def test_a_large_session_is_resumed_and_exported_like_any_other(
    tmp_path: Path,
) -> None:
    document = rich_document()
    with document.edit() as edit:
        for number in range(20):
            text = f"{number} {'long ' * 4000}"
            edit.add_message(Message(f"long-{number}", "note", "p-ana", "", text))
    with served(tmp_path) as at:
        await bring(at.port, SESSION, document)
        await post(at.port, "one")
        async with follow(at.port, SESSION, since="1") as stream:
            assert (await stream.next("message")).said == "one"
        path = f"/api/v1/sessions/{SESSION}/snapshot?format=json"
        status, found = await ask(at.port, "GET", path)
        messages = found["messages"]
        assert isinstance(messages, list)
        assert (status, len(messages)) == (200, 30)


async def test_a_gap_that_was_folded_is_a_reset(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        await post(port, "one")
        last = await post(port, "two")
        async with open_sqlite_log(tmp_path / "relay.db", clock=SystemClock()) as log:
            assert await log.compact(SESSION)
        for since, reason in ((1, "compacted"), (last + 5, "rewritten")):
            async with follow(port, SESSION, since=str(since)) as stream:
                opened, reset = await stream.batch()
                assert opened.id == ""
                assert (reset.type, reset.data["reason"]) == ("reset", reason)
                assert (reset.id, reset.data["messages"]) == (str(last), 11)
        async with follow(port, SESSION, since=str(last)) as stream:
            await post(port, "three")
            opened, message, _ = await stream.batch()
            assert message.said == "three"


async def test_deltas_come_for_who_wants_them(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        document = running_document()
        await bring(port, SESSION, document)
        seen: dict[bool, list[str]] = {False: [], True: []}
        async with (
            follow(port, SESSION) as plain,
            follow(port, SESSION, deltas=True) as everything,
        ):
            for stream in (plain, everything):
                await stream.next("session.opened")
            answer = Message("m-2", "assistant", "a", "", turn="turn-1")
            with document.edit() as edit:
                edit.add_message(answer)
            await bring(port, SESSION, document)
            with document.edit() as edit:
                edit.append_text("m-2", "Here you are")
            await bring(port, SESSION, document)
            seen[True].append((await everything.next()).type)
            await post(port, "over", note=True)
            for deltas, stream in ((False, plain), (True, everything)):
                while "message" not in seen[deltas]:
                    seen[deltas].append((await stream.next()).type)
        assert seen == {False: ["message"], True: ["assistant.delta", "message"]}


async def test_a_quiet_stream_beats(tmp_path: Path) -> None:
    limits = Limits(stream_beat_s=0.1)
    async with relay(tmp_path, limits=limits) as (port, _):
        await bring(port, SESSION, rich_document())
        async with follow(port, SESSION) as stream:
            await stream.next("session.opened")
            for _ in range(3):
                await stream.until_beat()


async def test_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, rich_document(), owner)
        eve = await token_for(port, owner, "eve", role="viewer")
        async with follow(port, SESSION, eve) as stream:
            await stream.next("session.opened")
            _, own = await ask(port, "GET", "/api/v1/token", eve)
            path = f"/api/v1/sessions/{SESSION}/tokens/{own['id']}"
            assert (await ask(port, "DELETE", path, owner))[0] == 204
            with anyio.fail_after(5):
                assert await stream.until_over() == []
        assert (await ask(port, "GET", "/api/v1/token", eve))[0] == 401


async def test_a_relay_that_stops_says_so_and_waits_for_nobody(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path) as (port, stop):
        await bring(port, SESSION, rich_document())
        async with follow(port, SESSION) as stream:
            await stream.next("session.opened")
            stop.set()
            (last,) = await stream.until_over()
            assert last.type == "session.closed"
            assert last.data["reason"] == "the relay restarts"


async def test_a_reader_that_takes_nothing_is_broken_off_and_others_go_on(
    tmp_path: Path,
) -> None:
    limits = Limits(stream_stalled_s=0.3, api_idle_s=0.1, idle_room_s=0.1)
    async with relay(tmp_path, limits=limits) as (port, _):
        await bring(port, SESSION, rich_document())
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port))
            slow.sendall(
                f"GET /api/v1/sessions/{SESSION}/events HTTP/1.1\r\n"
                f"host: 127.0.0.1:{port}\r\n\r\n".encode()
            )
            async with follow(port, SESSION) as stream:
                for number in range(40):
                    await post(port, f"{number} {'x' * 200_000}", note=True)
                    assert (await stream.next("message")).said.startswith(f"{number} ")
                last = stream.last
            # As long as it is served, it keeps the room.
            with anyio.fail_after(40):
                while "crdtsync_relay_rooms 0.0" not in await numbers(port):
                    await checkpoint()
        async with follow(port, SESSION, last=last) as stream:
            await stream.next("session.opened")
            await post(port, "back", note=True)
            assert (await stream.next()).said == "back"
