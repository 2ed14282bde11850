"""Turns of several machines under one relay: one at a time, waits, apart, takeover."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from crdtsync.host import HostSettings
from crdtsync.schema import as_object
from crdtsync.sync.leasing import LeaseRequest
from crdtsync.turns.arbiter import Granted
from crdtsync.turns.claim import EPOCH_MAX, Claim, TurnRecord
from crdtsync.turns.signals import Lost
from tests.agents.stage import END, OPTIONS, scripted
from tests.host.machines import (
    WAIT_S,
    Machine,
    Relay,
    classes,
    equal,
    folders,
    machine,
    relay_at,
)
from tests.host.stage import answers, shell

LAST = shell("tail -n 1")
"""Answers with the last line of what it is told."""
ALLOW = HostSettings(offline="allow")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncGenerator[Relay]:
    async with relay_at(tmp_path / "relay") as relay:
        yield relay


async def test_a_turn_is_granted_by_the_relay_that_the_owner_linked(
    tmp_path: Path, relay: Relay
) -> None:
    here, there = await folders(tmp_path, 2)
    async with (
        machine(here, relay, agent=LAST) as ana,
        machine(there, relay, name="bob", agent=LAST) as bob,
    ):
        sent = await bob.session.send("hello")
        turn = await ana.ended(sent.id)
        assert turn.claim is not None
        assert turn.stop_reason == "end_turn"
        assert turn.claim.grant == "relay"
        arbiter = ana.view.meta.arbiter
        assert turn.claim.arb == arbiter == ana.join().relay
        await equal(ana, bob)
        assert answers(bob.view) == ["hello"]
        # Nobody holds anything any more.
        again = await ana.session.send("again")
        assert (await bob.ended(again.id)).claim.epoch > turn.claim.epoch  # type: ignore[union-attr]


async def test_five_machines_that_ask_at_once_take_turns(
    tmp_path: Path, relay: Relay
) -> None:
    trace = tmp_path / "trace"
    agent = shell(f"echo begin >> {trace}; tail -n 1; sleep 0.1; echo end >> {trace}")
    async with AsyncExitStack() as stack:
        machines = [
            await stack.enter_async_context(
                machine(folder, relay, name=name, agent=agent)
            )
            for name, folder in zip(
                ("ana", "bob", "cleo", "dan", "eve"),
                await folders(tmp_path, 5),
                strict=True,
            )
        ]
        sent = []
        async with anyio.create_task_group() as tasks:
            for n, each in enumerate(machines):

                async def send(n: int = n, each=each) -> None:  # type: ignore[no-untyped-def]
                    sent.append((await each.session.send(f"x\n{n}")).id)

                tasks.start_soon(send)
        for prompt in sent:
            turn = await machines[0].ended(prompt)
            assert turn.stop_reason == "end_turn"
        await equal(*machines)
    assert sorted(answers(machines[0].view)) == ["0", "1", "2", "3", "4"]
    lines = (await anyio.Path(trace).read_text()).split()
    assert lines == ["begin", "end"] * 5
    claims = [t.claim for t in machines[0].view.turns.values() if t.started]
    assert {c.grant for c in claims if c} == {"relay"}
    assert len({c.epoch for c in claims if c}) == 5
    assert set(classes(machines[0]).values()) == {"main"}


async def test_a_prompt_that_another_machine_runs_can_be_cancelled_here(
    tmp_path: Path, relay: Relay
) -> None:
    """Story 23: the agent is gone once the turn has ended, and the queue goes on."""
    here, there = await folders(tmp_path, 2)
    slow = shell("read line; echo begun $$; sleep 60")
    async with (
        machine(here, relay, agent=slow) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        sent = await bob.session.send("one")
        await bob.until(lambda view: bool(answers(view)))
        pid = int(answers(bob.view)[0].split()[1])
        await bob.session.cancel()
        assert (await bob.ended(sent.id)).stop_reason == "cancelled"
        assert not await anyio.Path(f"/proc/{pid}").exists()
        await equal(ana, bob)


async def test_a_question_of_the_agent_is_answered_from_another_machine(
    tmp_path: Path, relay: Relay
) -> None:
    here, there = await folders(tmp_path, 2)
    call = {"toolCallId": "c1", "title": "Write a", "kind": "edit"}
    asks = {"ask": {"sessionId": "s1", "toolCall": call, "options": OPTIONS}}
    async with (
        machine(here, relay, agent=scripted([asks, END])) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        sent = await bob.session.send("go")
        await bob.until(lambda view: bool(view.open_approvals()))
        await bob.session.vote(1, allow=True)
        assert (await bob.ended(sent.id)).stop_reason == "end_turn"
        await equal(ana, bob)
        [asked] = ana.view.approvals.values()
        assert (asked.decision, asked.decided_by) == ("y", bob.session.me.id)


# Without the relay.


async def test_what_ran_apart_is_shown_side_by_side_everywhere(
    tmp_path: Path, relay: Relay
) -> None:
    here, there, third = await folders(tmp_path, 3)
    async with (
        machine(here, relay, agent=LAST) as ana,
        machine(there, relay, name="bob", agent=LAST, settings=ALLOW) as bob,
        machine(third, relay, name="cleo") as cleo,
    ):
        await ana.ended((await ana.session.send("before")).id)
        await equal(ana, bob, cleo)
        bob.leave()
        apart = [(await bob.session.send(f"apart {n}")).id for n in range(2)]
        for prompt in apart:
            turn = await bob.ended(prompt)
            assert turn.claim is not None
            assert turn.claim.grant == "offline"
        await ana.ended((await ana.session.send("at the relay")).id)
        await bob.connect()
        await ana.ended((await cleo.session.send("after")).id)
        await equal(ana, bob, cleo)
        for each in (ana, bob, cleo):
            assert classes(each) == {
                "before": "main",
                "at the relay": "main",
                "apart 0": "parallel",
                "apart 1": "parallel",
                "after": "main",
            }
        assert {answers(m.view).count("apart 0") for m in (ana, bob, cleo)} == {1}
    async with machine(there, relay, name="bob", connected=False) as again:
        assert classes(again)["apart 0"] == "parallel"
        assert classes(again)["after"] == "main"


async def test_turns_wait_for_the_relay_unless_somebody_says_otherwise(
    tmp_path: Path, relay: Relay
) -> None:
    [here] = await folders(tmp_path, 1)
    async with machine(here, relay, agent=LAST) as ana:
        await ana.ended((await ana.session.send("before")).id)
        ana.leave()
        sent = await ana.session.send("waits")
        await ana.told("lease.relay_away")
        assert len(ana.view.turns) == 1
        # Typed just now, in this very window: nobody has to release it.
        await ana.connect()
        turn = await ana.ended(sent.id)
        assert turn.claim is not None
        assert turn.claim.grant == "relay"


async def test_a_person_who_is_asked_lets_turns_run_apart(
    tmp_path: Path, relay: Relay
) -> None:
    [here] = await folders(tmp_path, 1)
    ask = HostSettings(offline="ask")
    async with machine(here, relay, agent=LAST, settings=ask) as ana:
        await ana.ended((await ana.session.send("before")).id)
        ana.leave()
        sent = await ana.session.send("apart")
        await ana.told("lease.ask_apart")
        assert len(ana.view.turns) == 1
        assert ana.host is not None
        ana.host.run_apart()
        turn = await ana.ended(sent.id)
        assert turn.claim is not None
        assert turn.claim.grant == "offline"


async def test_prompts_typed_apart_run_nowhere_else_before_somebody_says_so(
    tmp_path: Path, relay: Relay
) -> None:
    """L7, by Q3: nobody is at that machine any more when its prompt arrives."""
    here, there = await folders(tmp_path, 2)
    async with machine(here, relay, agent=LAST) as ana:
        async with machine(there, relay, name="bob") as bob:
            await equal(ana, bob)
            bob.leave()
            sent = await bob.session.send("old thoughts")
        async with machine(there, relay, name="bob") as bob:
            await ana.until(lambda view: sent.id in view.queue)
            done = await ana.session.send("new")
            await ana.ended(done.id)
            [waiting] = ana.view.pending
            assert (waiting.prompt, waiting.held) == (sent.id, True)
            # Two people release it at once.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ana.session.prompts.release)
                tasks.start_soon(bob.session.prompts.release)
            await ana.ended(sent.id)
            await equal(ana, bob)
    assert sorted(answers(ana.view)) == ["new", "old thoughts"]


async def lose(folder: Path, relay: Relay, lost: Lost) -> TurnRecord:
    """Cut a machine off in mid-turn, and back after the turn's end."""
    agent = shell("read line; echo begun; sleep 4; echo done")
    settings = HostSettings(lost=lost)
    async with machine(folder, relay, agent=agent, settings=settings) as one:
        await one.until(lambda view: bool(view.meta.arbiter))
        turn = await running(one, "go")
        one.leave()
        await one.until(lambda view: view.turns[turn].ended)
        await one.connect()
        with anyio.fail_after(WAIT_S):
            await one.join().wait_synced()
        return one.view.turns[turn]


async def test_a_turn_whose_relay_is_lost_is_stopped_or_finished(
    tmp_path: Path, relay: Relay
) -> None:
    turns: dict[Lost, TurnRecord] = {}

    async def run(lost: Lost) -> None:
        [folder] = await folders(tmp_path / lost, 1)
        turns[lost] = await lose(folder, relay, lost)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "abort")
        tasks.start_soon(run, "finish")
    assert turns["abort"].stop_reason == "lost_lease"
    assert turns["abort"].detached_at is None
    assert turns["finish"].stop_reason == "end_turn"
    assert turns["finish"].detached_at is not None


# Taking over.


async def running(one: Machine, prompt: str) -> str:
    """Send a prompt and wait until its turn runs; returns the turn's id."""
    sent = await one.session.send(prompt)
    await one.until(
        lambda view: any(
            sent.id in t.claim.prompts
            for t in view.turns.values()
            if t.claim and t.started
        )
    )
    return one.view.reading.alternatives(sent.id)[0]


async def test_an_owner_takes_the_next_turn_over_from_a_living_holder(
    tmp_path: Path, relay: Relay
) -> None:
    here, there = await folders(tmp_path, 2)
    ticking = shell("read line; while sleep 0.05; do echo tick; done")
    async with (
        machine(here, relay, agent=ticking) as ana,
        machine(there, relay, name="bob", agent=LAST) as bob,
    ):
        first = await running(ana, "endless")
        sent = await bob.session.send("mine")
        await bob.until(lambda view: len(view.turns) == 1)
        assert bob.host is not None
        bob.host.take_over()
        turn = await bob.ended(sent.id)
        assert turn.stop_reason == "end_turn"
        await ana.until(lambda view: view.turns[first].ended)
        await equal(ana, bob)
        assert ana.view.turns[first].stop_reason == "lost_lease"
        reading = bob.view.reading
        assert reading.states[first] == "finished_after_takeover"
        assert reading.main == (first, turn.id)
        # What came after the takeover is there and marked.
        assert reading.item(first, 0, 10**6) == "late"


async def test_forged_epochs_leave_the_session_usable(
    tmp_path: Path, relay: Relay
) -> None:
    here, there = await folders(tmp_path, 2)
    async with (
        machine(here, relay, agent=LAST) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        await ana.ended((await ana.session.send("before")).id)
        forged = Claim(EPOCH_MAX, "x", "relay", "x", "x", "x", ())
        with bob.session.replica.edit() as (edit, _):
            edit.set_turn("forged", {"claim": as_object(forged.to_json())})
        runner = "bob_0123456789ab"
        asked = LeaseRequest(0, "acquire", runner, 1, EPOCH_MAX)
        granted = await bob.join().ask_lease(asked)
        while not isinstance(granted, Granted):
            # Ana gives the lease back just after she has written the end.
            asked = replace(asked, attempt=asked.attempt + 1)
            granted = await bob.join().ask_lease(asked)
        released = LeaseRequest(0, "release", runner, asked.attempt, granted.epoch)
        assert await bob.join().ask_lease(released) is True
        await ana.until(lambda view: "forged" in view.turns)
        for text in ("one", "two"):
            turn = await ana.ended((await ana.session.send(text)).id)
            assert turn.claim is not None
            assert turn.claim.epoch < EPOCH_MAX // 2
        await equal(ana, bob)
        assert classes(ana)["two"] == "main"
