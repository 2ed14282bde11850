"""Events between an agent and its reader, on both event loops."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from crdtsync.agents import TextDelta, TurnEnd
from crdtsync.agents.turn import Turn


async def test_a_full_turn_has_no_room_until_an_event_is_taken() -> None:
    turn = Turn(events_max=2)
    turn.put([TextDelta("a"), TextDelta("b")])
    order: list[str] = []

    async def fill() -> None:
        await turn.room()
        order.append("room")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            order.append("take")
            assert await turn.next() == TextDelta("a")
    assert order == ["take", "room"]


async def test_a_cancelled_turn_holds_nobody_back_and_keeps_its_bound() -> None:
    turn = Turn(events_max=2)
    turn.put([TextDelta("a"), TextDelta("b")])
    turn.cancel()
    with anyio.fail_after(5):
        await turn.room()
    turn.put([TextDelta("c")])
    turn.finish("cancelled")
    turn.finish("error", "only the first end counts")
    turn.put([TextDelta("d")])
    assert [await turn.next() for _ in range(3)] == [
        TextDelta("a"),
        TextDelta("b"),
        TurnEnd("cancelled"),
    ]
