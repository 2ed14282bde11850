"""One stream of events to many readers, of whom none can hold up the others."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

from crdtsync.events import Reset, SessionEvent, TypingChanged
from crdtsync.limits import EVENTS_WAITING_MAX
from crdtsync.session.broadcast import Broadcast

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def event(seq: int) -> SessionEvent:
    return SessionEvent(seq, NOON, "s", None, TypingChanged("w", typing=True))


def reset() -> SessionEvent:
    return SessionEvent(-1, NOON, "s", None, Reset("slow", 0))


async def test_every_reader_gets_all_events_in_order() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([event(0)]) as one, broadcast.reader([]) as other:
        broadcast.publish([event(1), event(2)])
        broadcast.close(event(3))

        assert [e.seq async for e in one] == [0, 1, 2, 3]
        assert [e.seq async for e in other] == [1, 2, 3]


async def test_what_is_skipped_is_what_waited() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([event(0)]) as reader:
        broadcast.publish([event(1), event(2)])
        assert (await anext(reader)).seq == 0
        reader.skip()
        broadcast.publish([event(3)])
        assert (await anext(reader)).seq == 3


async def test_what_waits_is_taken_without_waiting() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([event(0)]) as reader:
        broadcast.publish([event(1)])
        assert [reader.take(), reader.take()] == [event(0), event(1)]
        assert reader.take() is None
        broadcast.publish([event(2)])
        assert reader.take() == event(2)


async def test_a_reader_waits_for_what_comes() -> None:
    broadcast = Broadcast(reset)
    seen: list[int] = []

    async def read() -> None:
        with broadcast.reader([event(0)]) as reader:
            async for each in reader:
                seen.append(each.seq)
                read_on.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            read_on = anyio.Event()
            tasks.start_soon(read)
            await read_on.wait()
            read_on = anyio.Event()
            broadcast.publish([event(1)])
            await read_on.wait()
            broadcast.close(event(2))

    assert seen == [0, 1, 2]


async def test_a_slow_reader_is_told_to_begin_anew_and_others_miss_nothing() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([]) as slow, broadcast.reader([]) as quick:
        for seq in range(EVENTS_WAITING_MAX + 1):
            broadcast.publish([event(seq)])
            assert (await anext(quick)).seq == seq
        broadcast.publish([event(EVENTS_WAITING_MAX + 1)])
        broadcast.close(event(EVENTS_WAITING_MAX + 2))

        seen = [e async for e in slow]

    assert [type(e.body) for e in seen] == [Reset, TypingChanged, TypingChanged]
    assert [e.seq for e in seen[1:]] == [EVENTS_WAITING_MAX + 1, EVENTS_WAITING_MAX + 2]


async def test_the_last_event_reaches_even_a_reader_that_is_full() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([]) as full:
        broadcast.publish([event(seq) for seq in range(EVENTS_WAITING_MAX)])
        broadcast.close(event(77))

        seqs = [e.seq async for e in full]

    assert seqs[-1] == 77
    assert len(seqs) == EVENTS_WAITING_MAX + 1


async def test_a_reader_that_comes_too_late_does_not_wait_for_ever() -> None:
    broadcast = Broadcast(reset)
    broadcast.close(event(0))

    with anyio.fail_after(5), broadcast.reader([event(1)]) as reader:
        assert [e.seq async for e in reader] == [1]


async def test_who_has_left_costs_nothing_more() -> None:
    broadcast = Broadcast(reset)
    with broadcast.reader([]) as reader:
        pass
    broadcast.publish([event(0)])

    assert not reader.waiting
