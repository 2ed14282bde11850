"""The queue under pressure: stories 1, 2, 12, 13, 14, 23 and 27."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.events import AssistantDelta, MessageAdded, TurnEnded
from crdtsync.host import run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import (
    ECHO,
    QUICK,
    answers,
    digest,
    level,
    shell,
    texts,
    until,
    window,
)

LAST_LINE = shell("tail -n 1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@asynccontextmanager
async def crowd(
    data: Path, agents: list[AgentSpec | None]
) -> AsyncIterator[list[Session]]:
    """A window for each of them, which runs the agent."""
    async with AsyncExitStack() as stack:
        found = []
        for number, spec in enumerate(agents):
            opening = open_session("x", data=data, name=f"p{number}", timing=QUICK)
            session = await stack.enter_async_context(opening)
            if spec is not None:
                await stack.enter_async_context(run_agent(session, spec))
            found.append(session)
        yield found


async def test_five_that_send_at_once_are_answered_one_by_one(data: Path) -> None:
    """Story 1: one turn per epoch, each prompt once, in the order of the queue."""
    async with crowd(data, [LAST_LINE, LAST_LINE, LAST_LINE, None, None]) as people:
        for number in range(6):
            sent: dict[str, str] = {}
            before = set(people[0].view.turns)

            async def send(me: Session, text: str, found: dict[str, str]) -> None:
                found[(await me.send(text)).id] = text

            async with anyio.create_task_group() as tasks:
                for each, session in enumerate(people):
                    tasks.start_soon(send, session, f"{number}.{each}", sent)
            with anyio.fail_after(50):
                for prompt in sent:
                    await people[0].wait_turn(prompt)
            view = people[0].view
            ran = [t for t in view.reading.order if t not in before]
            records = [view.turns[t] for t in ran]
            prompts = [r.claim.prompts for r in records if r.claim]
            assert sorted(p for each in prompts for p in each) == sorted(sent)
            epochs = [r.claim.epoch for r in view.turns.values() if r.claim]
            assert len(set(epochs)) == len(epochs)
            assert all(view.reading.classes[t] == "main" for t in ran)
            told = [texts_of(people[0], turn)[-1] for turn in ran]
            assert told == [sent[p] for (p,) in prompts]
        await level(*people)
        assert len({digest(session) for session in people}) == 1


def texts_of(session: Session, turn: str) -> list[str]:
    view = session.view
    return [view.text(m.id) for m in view.messages if m.turn == turn and m.streamed]


async def test_no_second_turn_begins_before_the_first_has_ended(data: Path) -> None:
    """Story 2: the same gate for windows that come, go, and only send."""
    async with crowd(data, [LAST_LINE, LAST_LINE]) as (ana, bob):
        with bob.events() as events:
            last = ""
            for number in range(4):
                name, data_of = f"w{number}", bob.place.data
                async with open_session(
                    "x", data=data_of, name=name, mode="writer", timing=QUICK
                ) as writer:
                    await writer.send(f"{number}")
                    last = (await ana.send(f"a{number}")).id
            with anyio.fail_after(50):
                await bob.wait_turn(last)
            await bob.flush()
            bob.close("read to here")
            steps = [
                1 if event.type == "turn.started" else -1
                async for event in events
                if event.type in {"turn.started", "turn.ended"}
            ]
    assert len(steps) == 16
    assert steps == [1, -1] * 8


async def test_a_message_of_the_first_millisecond_is_not_lost(data: Path) -> None:
    """Story 12: sent before anything else has happened, while others open."""
    async with anyio.create_task_group() as tasks:
        for number in range(5):

            async def rush(name: str) -> None:
                async with open_session("x", data=data, name=name, timing=QUICK) as me:
                    await me.send(f"first of {name}")

            tasks.start_soon(rush, f"p{number}")
    async with open_session("x", data=data, mode="reader") as reader:
        assert sorted(texts(reader.view, "user")) == [
            f"first of p{number}" for number in range(5)
        ]
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        for prompt in ana.view.pending:
            last = prompt.prompt
        async with run_agent(ana, LAST_LINE):
            with anyio.fail_after(50):
                await ana.wait_turn(last)
        assert sorted(answers(ana.view)) == sorted(texts(ana.view, "user"))


@pytest.mark.parametrize("seed", range(2))
async def test_the_queue_empties_in_order_whenever_turns_are_cancelled(
    data: Path, seed: int
) -> None:
    """Stories 13 and 23: what is stopped says nothing more, the next one runs."""
    choose = random.Random(seed)  # noqa: S311 - a seed, not a secret
    chatty = shell("tail -n 1; for i in 1 2 3 4 5 6; do sleep 0.05; echo tick; done")
    async with crowd(data, [chatty, None]) as (_, bob):
        with bob.events() as events:
            sent = [(await bob.send(f"{n}")).id for n in range(6)]
            cancelled = set()
            for prompt in sent[:5]:
                await until(bob, lambda view: view.running is not None)
                await anyio.sleep(choose.random() * 0.5)
                running = bob.view.running
                if running is not None and choose.random() < 0.8:
                    cancelled.add(await bob.cancel(running.id))
                with anyio.fail_after(30):
                    await bob.wait_turn(prompt)
            with anyio.fail_after(30):
                await bob.wait_turn(sent[-1])
            view = bob.view
            order = [view.turns[t] for t in view.reading.order]
            assert [t.claim.prompts for t in order if t.claim] == [(p,) for p in sent]
            for turn in order:
                if turn.stop_reason == "cancelled":
                    assert turn.id in cancelled
                else:
                    assert turn.stop_reason == "end_turn"
            assert cancelled
            over: set[str] = set()
            await bob.flush()
            bob.close("read to here")
            async for event in events:
                if isinstance(event.body, TurnEnded):
                    over.add(event.body.turn)
                elif isinstance(event.body, AssistantDelta):
                    assert event.body.turn not in over


async def test_one_update_that_comes_thrice_is_one_row(data: Path) -> None:
    """Story 14: out of order, too."""
    async with crowd(data, [None, None]) as (ana, bob):
        updates = []
        for number in range(3):
            sent = await ana.send(f"{number}", id=f"m{number}")
            rows = await ana.log.read(ana.id, sent.seq - 1, 1)
            assert rows is not None
            updates.append(rows[0].update)
        head = ana.head
        with bob.events() as events:
            await until(bob, lambda view: view.message_count == 3)
            for update in (*reversed(updates), *updates):
                with bob.replica.edit() as (edit, ticket):
                    edit.apply(update)
                assert await ticket.wait() == 0
            await bob.send("end", id="m3")
            seen = []
            with anyio.fail_after(10):
                async for event in events:
                    if isinstance(event.body, MessageAdded):
                        seen.append(event.body.message.id)
                        if seen[-1] == "m3":
                            break
        assert seen[-1] == "m3"
        assert len(seen) == len(set(seen))
        assert bob.head == head + 1
        assert texts(bob.view, "user") == ["0", "1", "2", "end"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_waited_at_a_killed_runner_is_run_by_another(data: Path) -> None:
    """Story 27: nothing of the queue is in the runner's memory."""
    async with open_session("x", data=data, name="zoe", timing=QUICK) as zoe:
        async with window(data, "ana", shell("exec sleep 60")) as ana:
            await ana.until("session.opened")
            sent = [(await zoe.send(f"{n}")).id for n in range(3)]
            await until(zoe, lambda view: view.running is not None)
            ana.process.kill()
            await ana.process.wait()
        async with run_agent(zoe, ECHO):
            with anyio.fail_after(40):
                for prompt in sent:
                    await zoe.wait_turn(prompt)
        states = [zoe.view.reading.states[t] for t in zoe.view.reading.order]
        assert states == ["abandoned", "ended", "ended"]
