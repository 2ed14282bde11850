"""Sessions linked through relays: states, faults, holding, presence, leases."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import anyio
import pytest

from crdtsync.document import Document
from crdtsync.errors import ConnectionFailed, LogDamaged, LogUnwritable
from crdtsync.events import ConnectionChanged, SessionEvent
from crdtsync.links.backoff import Backoff
from crdtsync.links.bounded import ByteQueue
from crdtsync.links.ending import ending_of_error
from crdtsync.links.feed import Feed
from crdtsync.links.link import open_links
from crdtsync.links.status import LinkStatus
from crdtsync.links.transport import TransportClosed
from crdtsync.session.opening import open_session
from crdtsync.sync.admission.rules import PARKED_UPDATES_MAX
from crdtsync.sync.closing import NackCode
from crdtsync.sync.leasing import Freed, LeaseRequest, answer_to_json
from crdtsync.turns.arbiter import Granted
from tests.host.stage import QUICK, digest
from tests.linked import Linked, Relay, copy_session, linked, make_session, relaying
from tests.sync.dialogue import keys, pair, say, talk

HANG = bytes.fromhex("010101000401016104f09f988000")
"""Well formed, but no session holds it: a string in a list that is read as an array."""


both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
"""Sessions take their time to open: only what differs runs on both."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def relay() -> AsyncGenerator[Relay]:
    async with relaying() as relay:
        yield relay


@pytest.fixture
async def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    await make_session(folder)
    return folder


@pytest.fixture
async def there(here: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    await copy_session(here, folder)
    return folder


async def settle(*ends: Linked) -> None:
    """Wait until all sessions are equal."""
    with anyio.fail_after(40):
        while len({digest(end.session) for end in ends}) > 1:  # noqa: ASYNC110
            await anyio.sleep(0.02)


# Going there and back.


@both
async def test_what_one_writes_the_other_reads(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana, linked(there, relay, name="bob") as bob:
        await ana.reach("live")
        await bob.reach("live")
        await ana.session.send("hello bob", note=True)
        await bob.until(lambda: "hello bob" in bob.texts())
        await bob.session.send("hello ana", note=True)
        await ana.until(lambda: "hello ana" in ana.texts())
        await settle(ana, bob)
        await ana.synced()
        await bob.synced()
    assert len(keys(relay.document)) == 2


async def test_what_was_written_before_the_link_goes_there_too(
    here: Path, there: Path, relay: Relay
) -> None:
    async with open_session("s", data=here, name="ana", timing=QUICK) as session:
        await session.send("written alone", note=True)
    async with linked(here, relay) as ana:
        await ana.synced()
    async with linked(there, relay, name="bob") as bob:
        await bob.until(lambda: "written alone" in bob.texts())


async def test_what_comes_from_a_relay_is_on_disk_here(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana, linked(there, relay, name="bob") as bob:
        await ana.session.send("kept", note=True)
        await bob.until(lambda: "kept" in bob.texts())
    async with open_session("s", data=there, name="bob", timing=QUICK) as session:
        assert [session.view.text(m.id) for m in session.view.messages] == ["kept"]


@both
async def test_a_window_without_a_link_is_carried_by_one_that_has_one(
    here: Path, there: Path, relay: Relay
) -> None:
    async with (
        linked(here, relay) as ana,
        linked(there, relay, name="bob") as bob,
        open_session("s", data=here, name="ana", timing=QUICK) as second,
    ):
        await bob.reach("live")
        await ana.reach("live")
        await second.send("from the second window", note=True)
        await bob.until(lambda: "from the second window" in bob.texts())
        await bob.session.send("for both", note=True)
        with anyio.fail_after(40):
            await second.wait_for(lambda view: view.message_count == 2)


async def test_nothing_is_sent_back_to_where_it_came_from(
    here: Path, there: Path, relay: Relay
) -> None:
    async with (
        linked(here, relay) as ana,
        linked(here, relay) as again,
        linked(there, relay, name="bob") as bob,
    ):
        for end in (ana, again, bob):
            await end.reach("live")
            await end.synced()
        before = [seat.peer.counts for seat in relay.seats]
        assert len(before) == 3
        sent = [seat.received_bytes for seat in relay.seats]
        await bob.session.send("x" * 5000, note=True)
        for end in (ana, again):
            await end.until(lambda end=end: len(end.texts()) == 1)  # type: ignore[misc]
            await end.synced()
        grown = [
            seat.received_bytes - size
            for seat, size in zip(relay.seats, sent, strict=True)
        ]
        assert max(grown[:2]) < 3000
        assert grown[2] > 5000


async def test_two_relays_carry_what_only_one_was_told(
    here: Path, there: Path, relay: Relay
) -> None:
    async with relaying() as second:
        second.name = "wss://second/ws/s"
        async with linked(here, relay) as ana, linked(there, second, name="bob") as bob:
            bridge = ana.links.join(second.name, second.dial)
            with anyio.fail_after(40):
                await bridge.wait_for("live")
            await bob.reach("live")
            await bob.session.send("over two relays", note=True)
            await ana.until(lambda: "over two relays" in ana.texts())
            await ana.synced()
            with anyio.fail_after(40):
                while len(keys(relay.document)) < 1:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            assert ana.links.join(relay.name, relay.dial) is ana.link
            ana.links.leave(second.name)
            assert [link.name for link in ana.links] == [relay.name]


# Breaking and mending.


@both
async def test_a_cut_is_mended_and_both_sides_merge(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana, linked(there, relay, name="bob") as bob:
        for round_ in range(3):
            await ana.reach("live")
            await bob.reach("live")
            relay.cut()
            await ana.session.send(f"a{round_}", note=True)
            await bob.session.send(f"b{round_}", note=True)
            ana.link.retry()
            bob.link.retry()
            await ana.until(lambda r=round_: f"b{r}" in ana.texts())  # type: ignore[misc]
            await bob.until(lambda r=round_: f"a{r}" in bob.texts())  # type: ignore[misc]
        await settle(ana, bob)
        assert len(ana.texts()) == 6


async def test_an_emptied_relay_is_filled_again(here: Path, relay: Relay) -> None:
    async with linked(here, relay) as ana:
        await ana.session.send("remember", note=True)
        await ana.synced()
        relay.empty()
        await ana.session.send("and this", note=True)
        ana.link.retry()
        await ana.reach("offline")
        await ana.reach("live")
        await ana.synced()
        assert len(keys(relay.document)) == 2


@both
async def test_a_connection_that_swallows_everything_is_noticed_in_two_beats(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        relay.stall()
        began = anyio.current_time()
        await ana.reach("offline")
        assert anyio.current_time() - began < 3 * QUICK.beat_s
        assert ana.link.status.reason == "nothing was heard for two beats"
        await ana.reach("live")


async def test_bytes_after_a_break_are_in_proportion_to_what_was_missed(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        for number in range(100):
            await ana.session.send(f"{number} " + "x" * 500, note=True)
        await ana.synced()
        relay.cut()
        await ana.session.send("missed", note=True)
        ana.link.retry()
        await ana.reach("offline")
        await ana.reach("live")
        await ana.synced()
        (seat,) = relay.seats
        assert seat.received_bytes < 3000
        assert seat.sent_bytes < 2000


async def test_unsynced_counts_what_the_relay_has_not_confirmed(
    here: Path, relay: Relay
) -> None:
    relay.refuses = TransportClosed(1006, "the cable is out")
    async with linked(here, relay) as ana:
        await ana.reach("offline")
        assert ana.link.status.reason == "the cable is out"
        assert ana.link.unsynced is None
        relay.refuses = None
        ana.link.retry()
        await ana.synced()
        relay.refuses = TransportClosed(1006, "again")
        relay.cut()
        await ana.reach("offline")
        for number in range(3):
            await ana.session.send(str(number), note=True)
        assert ana.link.unsynced == 3
        relay.refuses = None
        ana.link.retry()
        await ana.synced()
        assert ana.link.unsynced == 0


@both
async def test_states_are_told_as_events(here: Path, relay: Relay) -> None:
    async with open_session("s", data=here, name="ana", timing=QUICK) as session:
        told: list[tuple[str, str]] = []

        async def listen(events: AsyncIterator[SessionEvent]) -> None:
            async for event in events:
                if isinstance(event.body, ConnectionChanged):
                    assert event.body.link == relay.name
                    told.append((event.body.state, event.body.reason))

        async with anyio.create_task_group() as tasks:
            with session.events() as events:
                tasks.start_soon(listen, events)
                async with open_links(session) as links:
                    link = links.join(relay.name, relay.dial)
                    with anyio.fail_after(40):
                        await link.wait_for("live")
                        relay.refuses = TransportClosed(4403, "kicked")
                        relay.cut()
                        await link.wait_for("refused")
                        with anyio.move_on_after(0.2):
                            await link.wait_for("live")
                        dialled = relay.dialled
                        relay.refuses = None
                        link.retry()
                        await link.wait_for("live")
                tasks.cancel_scope.cancel()
        assert told[:4] == [
            ("syncing", ""),
            ("live", ""),
            ("offline", "the connection broke"),
            ("refused", "kicked"),
        ]
        assert ("live", "") in told[4:]
        assert dialled == 2


async def test_a_relay_that_restarts_says_when_to_come_back(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        (seat,) = relay.seats
        began = anyio.current_time()
        seat.peer.evict(1012, "the relay restarts", 0.0, retry_after_s=0.5)
        seat.drain()
        await anyio.wait_all_tasks_blocked()
        await seat.transport.close(1012, "the relay restarts")
        await ana.reach("offline")
        await ana.reach("live")
        assert anyio.current_time() - began >= 0.5


async def test_who_is_sent_away_for_good_does_not_come_back(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        (seat,) = relay.seats
        seat.peer.evict(4409, "no more", 0.0, retry_after_s=None)
        seat.drain()
        await anyio.wait_all_tasks_blocked()
        await seat.transport.close(4409, "no more")
        await ana.reach("refused")
        assert ana.link.status.reason == "no more"


# Refusals in words.


async def test_another_document_under_the_address_is_refused(
    here: Path, relay: Relay
) -> None:
    relay.document_id = "another"
    async with linked(here, relay) as ana:
        await ana.reach("refused")
        assert "not another" in ana.link.status.reason
    assert keys(relay.document) == []


async def test_a_viewer_reads_and_sends_nothing(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.session.send("look", note=True)
        await ana.synced()
        relay.role = "viewer"
        async with linked(there, relay, name="bob") as bob:
            await bob.reach("read-only")
            assert bob.link.status.reason == "you can look at this session, not write"
            await bob.until(lambda: "look" in bob.texts())
            await bob.session.send("mine alone", note=True)
            await ana.session.send("look again", note=True)
            await bob.until(lambda: "look again" in bob.texts())
            assert "mine alone" not in ana.texts()
            assert len(keys(relay.document)) == 2


@both
async def test_an_unsafe_update_is_not_applied_and_ends_the_link(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        await ana.session.send("before", note=True)
        relay.say(HANG.replace(b"\x61\x04", b"\x61\x04"))
        relay.say(bytes.fromhex("0101010004010800") + b"messages")
        await ana.reach("refused")
        assert ana.link.status.reason.startswith("an update is not safe to apply (T")
        await ana.session.send("after", note=True)
        assert ana.texts() == ["before", "after"]


async def test_updates_that_wait_for_what_never_came_make_the_link_ask_anew(
    here: Path, relay: Relay
) -> None:
    author = Document()
    first = say(author, "m0", "first")
    early = [say(author, f"m{n}", str(n)) for n in range(1, PARKED_UPDATES_MAX + 2)]
    async with linked(here, relay) as ana:
        await ana.reach("live")
        relay.document.apply([first, *early])
        for update in early:
            relay.say(update)
        await ana.until(lambda: len(ana.texts()) == len(early) + 1)
        assert ana.link.state == "live"
        assert relay.dialled == 1


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (NackCode.READ_ONLY, "read-only", "no"),
        (
            NackCode.INVALID,
            "refused",
            "the relay does not take what was written here: no",
        ),
        (NackCode.RATE_LIMITED, "offline", "no"),
    ],
)
async def test_a_refused_update_is_said_in_words(
    here: Path, relay: Relay, code: NackCode, state: str, reason: str
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        relay.nack = code
        await ana.session.send("not taken", note=True)
        await ana.reach(state)
        assert ana.link.status.reason == reason


@both
async def test_a_session_that_is_too_large_for_the_relay_is_said_to_be(
    here: Path, relay: Relay
) -> None:
    relay.frame_bytes = 1 << 20
    async with linked(here, relay) as ana:
        await ana.reach("live")
        for _ in range(2):
            await ana.session.send("x" * 900_000, note=True)
        await ana.synced()
        relay.empty()
        await ana.reach("refused")
        assert ana.link.status.reason.startswith(
            "the session is too large for the relay: 1 MiB are to be sent"
        )


async def test_rows_that_were_folded_meanwhile_are_passed_on_as_one(
    here: Path,
) -> None:
    async with open_session("s", data=here, name="ana", timing=QUICK) as session:
        relay, window = pair()
        for end in (relay, window):
            end.peer.open(0.0)
        talk(relay, window)
        window.peer.answer(session.replica.document.state(), 0.0)
        feed = Feed(session, window.peer, LinkStatus(session, "r"), "w@r")
        feed.answered(session.head)
        told = session.replica.document.state()
        for number in range(3):
            await session.send(str(number), note=True)
        assert len(await feed.next_rows()) == 3
        assert await session.log.compact(session.id)
        (row,) = await feed.next_rows()
        assert row.seq == session.head
        feed.send(row, 0.0)
        other = Document.load([told, row.update])
        assert other.headers() == session.replica.document.headers()
        feed.send(row, 0.0)
        assert window.peer.sent == 2


# Layer 1 relays.


async def test_a_plain_yjs_server_will_do(
    here: Path, there: Path, relay: Relay
) -> None:
    relay.subprotocol = ""
    async with linked(here, relay) as ana, linked(there, relay, name="bob") as bob:
        await ana.reach("live")
        await bob.reach("live")
        await ana.session.send("plain", note=True)
        await bob.until(lambda: "plain" in bob.texts())


# Prompts that were typed apart (Q3, Q4).


async def test_a_prompt_that_the_relay_lacks_is_held_before_it_is_sent(
    here: Path, there: Path, relay: Relay
) -> None:
    """W-25"""
    async with open_session("s", data=here, name="ana", timing=QUICK) as session:
        old = (await session.send("typed apart")).id
    async with linked(here, relay) as ana, linked(there, relay, name="bob") as bob:
        await ana.synced()
        assert ana.session.view.queue[old].held
        await bob.until(lambda: old in bob.session.view.queue)
        assert bob.session.view.queue[old].held
        live = (await ana.session.send("typed live")).id
        await bob.until(lambda: live in bob.session.view.queue)
        assert not bob.session.view.queue[live].held


async def test_a_prompt_just_typed_here_is_not_held(here: Path, relay: Relay) -> None:
    """W-25"""
    relay.refuses = TransportClosed(1006, "not yet")
    async with linked(here, relay) as ana:
        await ana.reach("offline")
        # The intake follows what is typed from the first connection on.
        relay.refuses = None
        ana.link.retry()
        await ana.reach("live")
        relay.refuses = TransportClosed(1006, "gone")
        relay.cut()
        await ana.reach("offline")
        prompt = (await ana.session.send("quickly")).id
        relay.refuses = None
        ana.link.retry()
        await ana.reach("live")
        await ana.synced()
        assert not ana.session.view.queue[prompt].held


async def test_prompts_from_who_holds_none_are_held_here(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        prompt = (await ana.session.send("typed at the relay")).id
        await ana.synced()
        assert not ana.session.view.queue[prompt].held
        relay.features = frozenset({"parts"})
        async with linked(there, relay, name="bob") as bob:
            await bob.until(lambda: prompt in bob.session.view.queue)
            assert bob.session.view.queue[prompt].held


# Presence and leases.


@both
async def test_people_see_each_other_over_a_relay(
    here: Path, there: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        async with linked(there, relay, name="bob") as bob:
            await ana.until(lambda: names(ana) == ["ana", "bob"])
            await bob.until(lambda: names(bob) == ["ana", "bob"])
            bob.session.company.note_input(typing=True)
            await ana.until(
                lambda: any(p.typing for p in ana.session.presence if p.name == "bob")
            )
        await ana.until(lambda: names(ana) == ["ana"])


def names(end: Linked) -> list[str]:
    return [person.name for person in end.session.presence]


@both
async def test_the_arbiter_is_asked_in_order_with_the_updates(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        with pytest.raises(ConnectionFailed, match="not live"):
            await ana.link.ask_lease(request())
        await ana.reach("live")
        with anyio.fail_after(40):
            answer = await ana.link.ask_lease(request())
        assert answer == Granted("arb", 8, 15.0, None)
        assert [body["id"] for body in relay.leases] == [1]
        relay.answers = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails, ana)
            await anyio.wait_all_tasks_blocked()
            relay.cut()


async def test_who_waits_for_the_lease_is_told_when_it_is_free(
    here: Path, relay: Relay
) -> None:
    async with linked(here, relay) as ana:
        await ana.reach("live")
        freed = anyio.Event()

        async def wait() -> None:
            await ana.link.wait_freed()
            freed.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            (seat,) = relay.seats
            seat.peer.send_lease(answer_to_json(0, Freed()), 0.0)
            seat.drain()
            with anyio.fail_after(40):
                await freed.wait()


def request() -> LeaseRequest:
    return LeaseRequest(0, "acquire", "ana-1_0123456789ab", 1, 7)


async def fails(end: Linked) -> None:
    with anyio.fail_after(40), pytest.raises(ConnectionFailed, match="ended before"):
        await end.link.ask_lease(request())


# Parts.


def test_a_document_that_is_half_changed_is_not_connected_again() -> None:
    damaged = ending_of_error(LogDamaged("an update cannot be applied"))
    assert not damaged.reconnect
    assert damaged.reason == (
        "the session has to be opened anew: an update cannot be applied"
    )
    assert ending_of_error(LogUnwritable("the disk is full")).reconnect


def test_pauses_grow_are_spread_and_have_an_end() -> None:
    most = [
        max(Backoff(random.Random(seed)).next_s() for seed in range(50))  # noqa: S311
    ]
    assert most[0] <= 0.5
    backoff = Backoff(random.Random(1))  # noqa: S311 - repeatable
    pauses = [backoff.next_s() for _ in range(200)]
    assert max(pauses) <= 30.0
    assert max(pauses[20:]) > 25.0
    assert min(pauses) < 1.0


def test_only_a_steady_connection_makes_the_pause_short_again() -> None:
    def longest(live_s: float) -> float:
        found = 0.0
        for seed in range(50):
            backoff = Backoff(random.Random(seed))  # noqa: S311 - repeatable
            for _ in range(10):
                backoff.next_s()
            found = max(found, backoff.next_s(live_s=live_s))
        return found

    assert longest(9.9) > 10.0
    assert longest(10.0) <= 0.5
    backoff = Backoff(random.Random(1))  # noqa: S311 - repeatable
    assert 7.0 <= backoff.next_s(retry_after_s=7.0) <= 7.5


async def test_a_queue_has_no_room_beyond_its_bytes() -> None:
    queue: ByteQueue[str] = ByteQueue(10)
    queue.put("a", 4)
    await queue.room()
    queue.put("b", 6)
    with anyio.move_on_after(0.02) as scope:
        await queue.room()
    assert scope.cancelled_caught
    assert await queue.get() == "a"
    await queue.room()
    assert (len(queue), queue.bytes) == (1, 6)


async def test_rows_that_others_sent_before_they_were_read_here_are_synced(
    here: Path,
) -> None:
    async with open_session("s", data=here, name="ana") as session:
        status = LinkStatus(session, "wss://relay")
        assert status.unsynced is None
        status.safe(session.head + 1)
        assert status.unsynced == 0
