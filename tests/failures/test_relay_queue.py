"""The queue of a session that several machines share over a relay (2, 13, 18, 27)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.links.addresses import parse_link
from crdtsync.links.asking import ask_relay
from crdtsync.schema import JsonObject, as_text
from tests.host.machines import (
    WAIT_S,
    Relay,
    classes,
    equal,
    folders,
    machine,
    relay_at,
)
from tests.host.stage import answers, shell

OLD = 100
"""Prompts typed long ago on a machine that was away."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncGenerator[Relay]:
    async with relay_at(tmp_path / "relay") as relay:
        yield relay


def tracing(trace: Path) -> AgentSpec:
    """An agent that notes when it begins and ends, and answers with the last line."""
    return shell(f"echo begin >> {trace}; tail -n 1; echo end >> {trace}")


async def test_every_way_in_passes_the_same_gate(tmp_path: Path, relay: Relay) -> None:
    """Story 2: from both machines and over HTTP, at once."""
    here, there = await folders(tmp_path, 2)
    agent = tracing(tmp_path / "trace")
    async with (
        machine(here, relay, agent=agent) as ana,
        machine(there, relay, name="bob", agent=agent) as bob,
    ):
        sent: list[str] = []

        async def post() -> None:
            path = f"/api/v1/sessions/{ana.session.id}/messages"
            link = parse_link(f"http://127.0.0.1:{relay.port}")
            body: JsonObject = {"text": "over HTTP", "participant": "carol"}
            said = await ask_relay(link, "POST", path, body, token="")
            sent.append(as_text(said["id"]))

        async def send(text: str) -> None:
            each = ana if text == "from ana" else bob
            sent.append((await each.session.send(text)).id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            tasks.start_soon(send, "from ana")
            tasks.start_soon(send, "from bob")
        for prompt in sent:
            assert (await ana.ended(prompt)).stop_reason == "end_turn"
        await equal(ana, bob)
        assert sorted(answers(bob.view)) == ["from ana", "from bob", "over HTTP"]
        assert set(classes(ana).values()) == {"main"}
    lines = (await anyio.Path(tmp_path / "trace").read_text()).split()
    assert lines == ["begin", "end"] * 3


async def test_a_hundred_old_prompts_that_come_in_call_no_agent(
    tmp_path: Path, relay: Relay
) -> None:
    """Story 18."""
    here, there = await folders(tmp_path, 2)
    async with machine(there, relay, name="bob") as bob:
        bob.leave()
        for number in range(OLD):
            await bob.session.send(f"old {number}")
    agent = tracing(tmp_path / "trace")
    async with (
        machine(here, relay, agent=agent) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        await ana.until(lambda view: len(view.queue) == OLD)
        new = await ana.session.send("new")
        await ana.ended(new.id)
        await equal(ana, bob)
        assert len(ana.view.pending) == OLD
        assert all(waiting.held for waiting in ana.view.pending)
    lines = (await anyio.Path(tmp_path / "trace").read_text()).split()
    assert lines == ["begin", "end"]


async def test_the_queue_empties_in_order_when_another_machine_cancels(
    tmp_path: Path, relay: Relay
) -> None:
    """Story 13."""
    here, there = await folders(tmp_path, 2)
    agent = shell("tail -n 1; sleep 0.3; echo end")
    async with (
        machine(here, relay, agent=agent) as ana,
        machine(there, relay, name="bob") as bob,
    ):
        sent = [(await bob.session.send(f"{number}")).id for number in range(4)]
        for number in (0, 2):
            prompt = sent[number]
            await bob.until(lambda view, p=prompt: _runs(view, p))  # type: ignore[misc]
            await bob.session.cancel()
        turns = [await ana.ended(prompt) for prompt in sent]
        stops = [turn.stop_reason for turn in turns]
        assert stops == ["cancelled", "end_turn", "cancelled", "end_turn"]
        epochs = [turn.claim.epoch for turn in turns if turn.claim]
        assert epochs == sorted(epochs)


def _runs(view, prompt: str) -> bool:  # type: ignore[no-untyped-def]
    turn = view.running
    return turn is not None and turn.started and prompt in turn.claim.prompts


async def test_what_waited_at_a_runner_that_left_is_run_by_another_machine(
    tmp_path: Path, relay: Relay
) -> None:
    """Story 27."""
    here, there = await folders(tmp_path, 2)
    slow = shell("read line; echo begun; sleep 60")
    async with machine(there, relay, name="bob") as bob:
        async with machine(here, relay, agent=slow) as ana:
            first = await ana.session.send("first")
            waits = await bob.session.send("second")
            await bob.until(lambda view: _runs(view, first.id))
        assert waits.id in bob.view.queue
        async with machine(there, relay, name="eve", agent=shell("tail -n 1")) as eve:
            with anyio.fail_after(WAIT_S):
                turn = await eve.ended(waits.id)
            assert turn.stop_reason == "end_turn"
    assert answers(bob.view)[-1] == "second"
