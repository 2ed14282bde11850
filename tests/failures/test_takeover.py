"""A runner that dies or stands still, in processes of their own (stories 3, 4, 27)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from crdtsync.session.opening import open_session
from tests.host.stage import (
    ECHO,
    QUICK,
    Window,
    answers,
    digest,
    shell,
    until,
    window,
)

TAKEOVER_S = QUICK.ttl_s + QUICK.heartbeat_s + 5 * 0.8
"""T-5, with a delay of 0.8 s: others work on this machine too."""

SLOW = shell("read line; echo begun $$; sleep 60")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def agent_pid(view: Window) -> int:
    """Wait for the first words of the slow agent, which are its process id."""
    told = await view.until("assistant.delta")
    return int(told["data"]["text"].split()[1])


def end_group(pid: int) -> None:
    """A killed window leaves its agent behind."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def test_a_killed_runner_is_replaced_and_its_prompt_is_not_run_again(
    data: Path,
) -> None:
    async with (
        open_session("x", data=data, name="zoe", timing=QUICK) as zoe,
        window(data, "ana", SLOW) as ana,
    ):
        await ana.until("session.opened")
        first = await zoe.send("one")
        agent = await agent_pid(ana)
        second = await zoe.send("two")
        async with window(data, "bob", ECHO) as bob:
            await bob.until("session.opened")
            os.kill(ana.pid, signal.SIGKILL)
            killed = time.monotonic()
            end_group(agent)
            with anyio.fail_after(TAKEOVER_S + 20):
                ended = await zoe.wait_turn(second.id)
            assert time.monotonic() - killed < TAKEOVER_S
            assert ended.stop_reason == "end_turn"
            interrupted = await zoe.wait_turn(first.id)
            assert zoe.view.reading.states[interrupted.id] == "abandoned"
            assert len(zoe.view.turns) == 2
            assert zoe.view.reading.main == (interrupted.id, ended.id)
            # The half answer stays, and the next agent knows it.
            assert answers(zoe.view)[0] == f"begun {agent}\n"
            assert f"> begun {agent}" in answers(zoe.view)[1]
            state = await bob.tell(state=True)
            assert [t[:2] for t in state["turns"]] == [
                ["main", "abandoned"],
                ["main", "ended"],
            ]
            ends = [e["data"] for e in bob.events if e["type"] == "turn.ended"]
            assert [e["state"] for e in ends] == ["abandoned", "ended"]


async def test_a_killed_runner_between_turns_leaves_nothing_behind(
    data: Path,
) -> None:
    async with open_session("x", data=data, name="zoe", timing=QUICK) as zoe:
        async with window(data, "ana", ECHO) as ana:
            await ana.until("session.opened")
            first = await zoe.send("one")
            with anyio.fail_after(30):
                await zoe.wait_turn(first.id)
            os.kill(ana.pid, signal.SIGKILL)
            await ana.process.wait()
        second = await zoe.send("two")
        async with window(data, "bob", ECHO) as bob:
            await bob.until("session.opened")
            with anyio.fail_after(TAKEOVER_S + 10):
                assert (await zoe.wait_turn(second.id)).stop_reason == "end_turn"


async def test_a_stopped_runner_that_wakes_up_writes_nothing_into_the_main_line(
    data: Path,
) -> None:
    ticking = shell("read line; echo begun $$; while sleep 0.05; do echo tick; done")
    async with (
        open_session("x", data=data, name="zoe", timing=QUICK) as zoe,
        window(data, "ana", ticking) as ana,
    ):
        await ana.until("session.opened")
        first = await zoe.send("one")
        agent = await agent_pid(ana)
        second = await zoe.send("two")
        async with window(data, "bob", ECHO) as bob:
            await bob.until("session.opened")
            # Its agent goes on meanwhile, and fills the pipe.
            os.kill(ana.pid, signal.SIGSTOP)
            with anyio.fail_after(TAKEOVER_S + 20):
                ended = await zoe.wait_turn(second.id)
            stale = await zoe.wait_turn(first.id)
            assert zoe.view.reading.states[stale.id] == "abandoned"
            before = answers(zoe.view)[0]
            os.kill(ana.pid, signal.SIGCONT)
            await until(zoe, lambda view: view.turns[stale.id].ended)
            assert zoe.view.turns[stale.id].stop_reason == "lost_lease"
            assert zoe.view.reading.states[stale.id] == "finished_after_takeover"
            # What came after the takeover is all there, and marked.
            after = answers(zoe.view)[0]
            assert after.startswith(before)
            reading = zoe.view.reading
            size = len(before.encode())
            assert reading.item(stale.id, 0, size - 1) == "main"
            if len(after) > len(before):
                assert reading.item(stale.id, 0, len(after.encode()) - 1) == "late"
            assert reading.main == (stale.id, ended.id)
            note = await zoe.send("all there?", note=True)
            states = [await w.tell(state=True, head=note.seq) for w in (ana, bob)]
            assert {state["digest"] for state in states} == {digest(zoe)}
        end_group(agent)


async def test_a_short_pause_of_the_runner_changes_nothing(data: Path) -> None:
    script = shell("read line; echo begun $$; sleep 2; echo done")
    async with (
        open_session("x", data=data, name="zoe", timing=QUICK) as zoe,
        window(data, "ana", script) as ana,
        window(data, "bob", script) as bob,
    ):
        await ana.until("session.opened")
        await bob.until("session.opened")
        sent = await zoe.send("one")
        await until(zoe, lambda view: bool(answers(view)))
        running = zoe.view.running
        assert running is not None
        assert running.claim is not None
        runner = ana if "ana" in running.claim.runner else bob
        os.kill(runner.pid, signal.SIGSTOP)
        await anyio.sleep(1)
        os.kill(runner.pid, signal.SIGCONT)
        with anyio.fail_after(30):
            turn = await zoe.wait_turn(sent.id)
        assert (turn.stop_reason, len(zoe.view.turns)) == ("end_turn", 1)
        assert answers(zoe.view)[0].endswith("done\n")
        assert zoe.view.reading.states[turn.id] == "ended"
