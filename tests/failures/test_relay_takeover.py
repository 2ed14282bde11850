"""Runners and relays that die or stand still in mid-turn (stories 3, 4, 23, 29)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator
from itertools import groupby
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.host import run_agent
from crdtsync.turns.timing import Timing
from tests.failures.test_takeover import TAKEOVER_S, agent_pid, end_group
from tests.host.machines import (
    WAIT_S,
    Relay,
    classes,
    equal,
    folders,
    machine,
    relay_at,
)
from tests.host.stage import answers, digest, shell, window

SLOW = shell("read line; echo begun $$; sleep 60")
LAST = shell("tail -n 1")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncGenerator[Relay]:
    async with relay_at(tmp_path / "relay") as relay:
        yield relay


def until_there(file: Path, trace: Path, name: str) -> AgentSpec:
    """An agent that leaves traces until a file is there."""
    trail = f"echo {name} >> {trace}; sleep 0.02"
    return shell(f"read line; echo begun; until [ -e {file} ]; do {trail}; done")


async def touch(file: Path) -> None:
    await anyio.Path(file).touch()


async def traces(trace: Path) -> list[str]:
    """Who was at work, without repetitions: twice is once too often."""
    lines = (await anyio.Path(trace).read_text()).split()
    return [name for name, _ in groupby(lines)]


async def test_a_killed_runner_of_one_machine_is_replaced_on_another(
    tmp_path: Path, relay: Relay
) -> None:
    here, there, third = await folders(tmp_path, 3)
    async with (
        machine(here, relay, name="ana") as zoe,
        machine(there, relay, name="bob", agent=LAST, connected=False) as bob,
    ):
        url = relay.url(zoe.session.id)
        async with window(third, "eve", SLOW, session="s", relay=url) as eve:
            await eve.until("connection", state="live")
            first = await zoe.session.send("one")
            agent = await agent_pid(eve)
            await bob.connect()
            second = await zoe.session.send("two")
            await bob.until(lambda view: second.id in view.queue)
            os.kill(eve.pid, signal.SIGKILL)
            killed = time.monotonic()
            end_group(agent)
            turn = await zoe.ended(second.id)
            assert time.monotonic() - killed < TAKEOVER_S
        assert turn.stop_reason == "end_turn"
        interrupted = await zoe.ended(first.id)
        await equal(zoe, bob)
        reading = zoe.view.reading
        assert reading.states[interrupted.id] == "abandoned"
        assert reading.main == (interrupted.id, turn.id)


async def test_a_stopped_runner_that_wakes_up_is_late_everywhere(
    tmp_path: Path, relay: Relay
) -> None:
    here, there, third = await folders(tmp_path, 3)
    ticking = shell("read line; echo begun $$; while sleep 0.05; do echo tick; done")
    async with (
        machine(here, relay, name="ana") as zoe,
        machine(there, relay, name="bob", agent=LAST, connected=False) as bob,
    ):
        url = relay.url(zoe.session.id)
        async with window(third, "eve", ticking, session="s", relay=url) as eve:
            await eve.until("connection", state="live")
            first = await zoe.session.send("one")
            agent = await agent_pid(eve)
            await bob.connect()
            second = await zoe.session.send("two")
            os.kill(eve.pid, signal.SIGSTOP)
            ended = await zoe.ended(second.id)
            stale = await zoe.ended(first.id)
            assert zoe.view.reading.states[stale.id] == "abandoned"
            os.kill(eve.pid, signal.SIGCONT)
            await zoe.until(lambda view: view.turns[stale.id].ended)
            assert zoe.view.turns[stale.id].stop_reason == "lost_lease"
            reading = zoe.view.reading
            assert reading.states[stale.id] == "finished_after_takeover"
            assert reading.main == (stale.id, ended.id)
            assert reading.item(stale.id, 0, 10**6) == "late"
            with anyio.fail_after(WAIT_S):
                while (await eve.tell(state=True))["digest"] != digest(zoe.session):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        end_group(agent)
        await equal(zoe, bob)


async def test_a_turn_goes_on_while_its_relay_is_killed_and_comes_back(
    tmp_path: Path,
) -> None:
    here, there = await folders(tmp_path, 2)
    file, trace = tmp_path / "go", tmp_path / "trace"
    timing = Timing(beat_s=1.0)
    agents = [until_there(file, trace, name) for name in ("ana", "bob")]
    async with (
        relay_at(tmp_path / "relay", timing=timing) as relay,
        machine(here, relay, agent=agents[0], timing=timing) as ana,
    ):
        first = await ana.session.send("one")
        await ana.until(lambda view: bool(answers(view)))
        async with machine(
            there, relay, name="bob", agent=agents[1], timing=timing
        ) as bob:
            second = await bob.session.send("two")
            await relay.kill()
            await relay.start()
            await ana.connect()
            await bob.connect()
            await touch(file)
            for prompt in (first.id, second.id):
                turn = await ana.ended(prompt)
                assert turn.stop_reason == "end_turn"
                assert turn.claim is not None
                assert turn.claim.grant == "relay"
            await equal(ana, bob)
        assert classes(ana) == {"one": "main", "two": "main"}
    assert await traces(trace) in (["ana"], ["ana", "bob"])


async def test_a_relay_that_is_emptied_in_mid_turn_lets_nobody_run_beside_it(
    tmp_path: Path, relay: Relay
) -> None:
    """X5: the new relay cannot know of the turn, and grants nothing for a ttl."""
    here, there = await folders(tmp_path, 2)
    file, trace = tmp_path / "go", tmp_path / "trace"
    done = shell(f"echo bob >> {trace}; tail -n 1")
    async with (
        machine(here, relay, agent=until_there(file, trace, "ana")) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        first = await ana.session.send("one")
        await bob.until(lambda view: bool(answers(view)))
        old = ana.view.meta.arbiter
        await relay.empty()
        await bob.connect()
        async with run_agent(bob.session, done):
            # The owner's window names the new relay under the old address.
            await bob.until(lambda view: view.meta.arbiter not in {"", old})
            second = await bob.session.send("two")
            assert (await bob.ended(first.id)).stop_reason == "lost_lease"
            await touch(file)
            turn = await bob.ended(second.id)
            assert turn.claim is not None
            assert turn.claim.arb == bob.view.meta.arbiter != old
            await equal(ana, bob)
            assert sorted(classes(ana)) == ["one", "two"]
    assert await traces(trace) in (["ana"], ["ana", "bob"])
