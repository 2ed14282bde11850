"""Turns with real agents, files and sockets: how prompts become answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.entities import Message
from crdtsync.errors import DataError, LogUnwritable, OperationFailed
from crdtsync.events import Notice, TurnEnded, TurnStarted
from crdtsync.host import HostSettings, run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.agents.stage import END, Steps, is_running, scripted
from tests.host.stage import (
    ECHO,
    QUICK,
    JumpingClock,
    answers,
    read_until,
    shell,
    texts,
    until,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@asynccontextmanager
async def room(
    data: Path, agent: AgentSpec = ECHO, settings: HostSettings | None = None
) -> AsyncIterator[tuple[Session, Session]]:
    """Ana, whose window runs the agent, and bob."""
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, agent, settings),
    ):
        yield ana, bob


async def asked(session: Session, text: str) -> tuple[str | None, str | None]:
    """Send a prompt and wait for its turn; how it ended."""
    sent = await session.send(text)
    with anyio.fail_after(30):
        turn = await session.wait_turn(sent.id)
    return turn.stop_reason, turn.error


async def test_a_prompt_of_another_window_is_answered(data: Path) -> None:
    async with room(data) as (ana, bob):
        with bob.events() as events:
            sent = await bob.send("hello")
            seen = await read_until(events, "turn.ended")
        assert answers(bob.view) == ["hello"]
        assert bob.view.pending == ()
        assert bob.view.queue == {}

        types = [e.type for e in seen]
        assert types.index("turn.started") < types.index("assistant.delta")
        assert types.count("turn.started") == types.count("turn.ended") == 1
        started = next(e for e in seen if isinstance(e.body, TurnStarted))
        assert isinstance(started.body, TurnStarted)
        assert started.body.prompts == (sent.id,)
        assert started.actor is not None
        assert started.actor.name == "ana"
        ended = seen[-1].body
        assert isinstance(ended, TurnEnded)
        assert (ended.state, ended.reading) == ("ended", "main")
        assert ended.stop_reason == "end_turn"

        [answer] = [m for m in bob.view.messages if m.role == "assistant"]
        author = bob.view.participants[answer.author]
        assert (author.name, author.kind) == ("echo", "agent")
        await until(ana, lambda view: view == bob.view)


async def test_prompts_are_answered_in_order_each_once(data: Path) -> None:
    async with room(data, shell("tail -n 1")) as (_, bob):
        ids = [(await bob.send(f"{n}\n{n}")).id for n in range(5)]
        with anyio.fail_after(30):
            for each in ids:
                await bob.wait_turn(each)
        assert answers(bob.view) == ["0", "1", "2", "3", "4"]
        assert len(bob.view.turns) == 5
        assert all(c == "main" for c in bob.view.reading.classes.values())


async def test_prompts_that_waited_for_an_agent_are_run_when_one_comes(
    data: Path,
) -> None:
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        sent = await ana.send("hello")
        assert ana.agents() == []
        async with run_agent(ana, ECHO):
            with anyio.fail_after(30):
                await ana.wait_turn(sent.id)
            assert ana.agents() == ["echo"]
        assert answers(ana.view) == ["hello"]
        assert ana.agents() == []


async def test_others_see_which_agents_are_here(data: Path) -> None:
    async with room(data) as (_, bob):
        await bob.wait_for(lambda _: bob.agents() == ["echo"])
        await asked(bob, "hello")
        agent = bob.view.meta.agent
        assert (agent["name"], agent["cwd"]) == ("echo", os.getcwd())  # noqa: PTH109


async def test_the_agent_is_told_what_others_wrote_but_never_a_note(
    data: Path,
) -> None:
    async with room(data) as (ana, bob):
        await ana.send("the password is 1234", note=True)
        await bob.send("I prefer tabs", prompt=False)
        await bob.send("no tests fail", as_agent="scout")
        await asked(bob, "hello")
        [told] = answers(bob.view)
        assert "1234" not in told
        assert "bob (user):\n> I prefer tabs" in told
        assert "scout (agent):\n> no tests fail" in told
        assert told.endswith("\n\nhello")


async def test_several_prompts_become_one_turn_in_collect_mode(data: Path) -> None:
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
    ):
        first = await ana.send("use tabs")
        await bob.wait_for(lambda view: len(view.pending) == 1)
        second = await bob.send("and tests")
        await until(ana, lambda view: len(view.pending) == 2)
        async with run_agent(ana, ECHO, HostSettings(collect_max=20)):
            with anyio.fail_after(30):
                turn = await ana.wait_turn(first.id)
                assert (await ana.wait_turn(second.id)).id == turn.id
        assert answers(ana.view) == ["ana:\nuse tabs\n\nbob:\nand tests"]
        assert ana.view.queue == {}


async def test_prompts_of_one_person_are_collected_without_a_name(data: Path) -> None:
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        for text in ("one", "two"):
            last = await ana.send(text)
        async with run_agent(ana, ECHO, HostSettings(collect_max=20)):
            with anyio.fail_after(30):
                await ana.wait_turn(last.id)
        assert answers(ana.view) == ["one\n\ntwo"]


async def test_of_several_agents_one_runs_the_turn(data: Path) -> None:
    async with room(data) as (_, bob), run_agent(bob, ECHO):
        for number in range(6):
            assert await asked(bob, f"{number}") == ("end_turn", None)
        assert len(bob.view.turns) == 6
        assert len(answers(bob.view)) == 6


async def test_a_session_read_only_here_runs_no_agent(data: Path) -> None:
    async with (
        open_session("x", data=data, name="ana"),
        open_session("x", data=data, mode="reader") as reader,
    ):
        with pytest.raises(DataError):
            async with run_agent(reader, ECHO):
                pass


async def test_errors_of_the_block_come_out_as_they_are(data: Path) -> None:
    error = LogUnwritable("mine")
    with pytest.raises(LogUnwritable) as caught:
        async with room(data):
            raise error
    assert caught.value is error


# Agents that are missing, die, or talk nonsense.


async def test_a_missing_agent_ends_the_turn_with_what_to_do(data: Path) -> None:
    missing = AgentSpec("exec", "gone", ("no-such-program",), install="Get it there.")
    async with room(data, missing) as (_, bob):
        stop, error = await asked(bob, "hello")
        assert stop == "error"
        assert error is not None
        assert "no-such-program" in error
        assert "Get it there." in error


async def test_an_agent_that_fails_says_why_and_the_next_turn_works(
    data: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "failed"
    script = f"test -e {flag} && exec cat; touch {flag}; echo half; echo no >&2; exit 3"
    async with room(data, shell(script)) as (_, bob):
        stop, error = await asked(bob, "one")
        assert (stop, error) == ("error", "sh ended with exit code 3: no")
        assert answers(bob.view) == ["half\n"]
        assert (await asked(bob, "two"))[0] == "end_turn"
        assert answers(bob.view)[1].endswith("two")


async def test_a_flood_on_stderr_holds_nothing_up(data: Path) -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\0' x >&2; cat"
    async with room(data, shell(flood)) as (_, bob):
        assert await asked(bob, "hello") == ("end_turn", None)
        assert answers(bob.view) == ["hello"]


async def test_binary_output_becomes_text(data: Path) -> None:
    async with room(data, shell("printf 'a\\377\\000b'")) as (_, bob):
        assert await asked(bob, "hello") == ("end_turn", None)
        assert answers(bob.view) == ["a\ufffd\x00b"]


# Stopping.


async def test_a_cancelled_turn_stops_and_the_next_one_runs(
    data: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    script = f"echo $$ >> {pids}; read line; echo got $line; "
    script += "[ $line != wait ] || exec sleep 60"
    async with room(data, shell(script)) as (ana, bob):
        first = await bob.send("wait")
        second = await bob.send("go")
        await until(bob, lambda view: answers(view) == ["got wait\n"])
        turn = await bob.cancel()
        with anyio.fail_after(30):
            ended = await bob.wait_turn(first.id)
            length = len(answers(bob.view)[0])
            assert (ended.id, ended.stop_reason) == (turn, "cancelled")
            assert not is_running(int(pids.read_text().split()[0]))
            assert (await bob.wait_turn(second.id)).stop_reason == "end_turn"
        assert len(answers(bob.view)[0]) == length
        with pytest.raises(OperationFailed):
            await bob.cancel(turn)
        assert texts(ana.view, "system") == ["asked to stop the turn"]


async def test_a_late_cancel_does_not_hit_the_next_turn(data: Path) -> None:
    async with room(data, shell("read line; sleep 0.3; echo $line")) as (ana, bob):
        await asked(bob, "one")
        [first] = bob.view.turns
        second = await bob.send("two")
        await until(ana, lambda view: view.running is not None)
        late = Message(
            id=bob.new_id(),
            role="system",
            author=bob.me.id,
            at=bob.now(),
            text="stop",
            turn=first,
            extra={"action": "cancel"},
        )
        with bob.replica.edit() as (edit, _):
            edit.add_message(late)
        with anyio.fail_after(30):
            assert (await bob.wait_turn(second.id)).stop_reason == "end_turn"


async def test_a_message_that_looks_like_a_cancel_is_none(data: Path) -> None:
    async with room(data, shell("read line; sleep 0.3; echo $line")) as (ana, bob):
        sent = await bob.send("one")
        await until(ana, lambda view: view.running is not None)
        running = ana.view.running
        assert running is not None
        fake = Message(
            id=bob.new_id(),
            role="note",
            author=bob.me.id,
            at=bob.now(),
            text="stop",
            turn=running.id,
            extra={"action": "cancel"},
        )
        with bob.replica.edit() as (edit, _):
            edit.add_message(fake)
        with anyio.fail_after(30):
            assert (await bob.wait_turn(sent.id)).stop_reason == "end_turn"


async def test_a_window_that_closes_ends_its_turn_and_says_so(
    data: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    async with open_session("x", data=data, name="bob", timing=QUICK) as bob:
        async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
            async with run_agent(ana, shell(f"echo $$ > {pids}; echo on; sleep 60")):
                first = await bob.send("one")
                second = await bob.send("two")
                await until(bob, lambda view: answers(view) == ["on\n"])
                started = time.monotonic()
            assert time.monotonic() - started < 4
            assert not is_running(int(pids.read_text()))
        with anyio.fail_after(30):
            ended = await bob.wait_turn(first.id)
        assert ended.stop_reason == "cancelled"
        assert ended.error == "the window that ran the turn was closed"
        # What it had not begun is still waiting, and another runner runs it.
        assert [p.prompt for p in bob.view.pending] == [second.id]
        async with run_agent(bob, ECHO):
            with anyio.fail_after(30):
                assert (await bob.wait_turn(second.id)).stop_reason == "end_turn"


async def test_a_window_without_a_turn_leaves_at_once(data: Path) -> None:
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        started = time.monotonic()
        async with run_agent(ana, ECHO):
            pass
        assert time.monotonic() - started < 1


# Prompts that need a person (Q5).


async def test_old_prompts_wait_for_a_release(data: Path) -> None:
    clock = JumpingClock()
    async with open_session("x", data=data, name="ana", clock=clock) as ana:
        old = await ana.send("old")
        clock.advance(601)
        with ana.events() as events:
            async with run_agent(ana, ECHO):
                notice = (await read_until(events, "notice"))[-1].body
                assert isinstance(notice, Notice)
                assert notice.code == "queue.held"
                assert notice.text == "1 prompt is waiting. Run?"
                assert [p.held for p in ana.view.pending] == [True]
                # What is typed now runs, and does not wake the old one.
                new = await ana.send("new")
                with anyio.fail_after(30):
                    await ana.wait_turn(new.id)
                assert [p.prompt for p in ana.view.pending] == [old.id]
                assert await ana.prompts.release() == (old.id,)
                with anyio.fail_after(30):
                    await ana.wait_turn(old.id)
        assert len(answers(ana.view)) == 2


# What only agents that speak ACP do.


@asynccontextmanager
async def acp(
    data: Path, *turns: Steps, **methods: Steps
) -> AsyncIterator[tuple[Session, Session]]:
    async with room(data, scripted(*turns, **methods)) as found:
        yield found


asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@asyncio_only
async def test_a_process_serves_many_turns_and_is_told_the_news_only(
    data: Path,
) -> None:
    echo: Steps = [{"echo": None}, END]
    async with acp(data, echo) as (ana, bob):
        await asked(bob, "one")
        await ana.send("by the way", prompt=False)
        await asked(bob, "two")
        first, second = answers(bob.view)
        assert "shared-session" not in first
        assert "by the way" in second
        assert "one" not in second
        assert bob.view.meta.agent["session"] == "s1"


@asyncio_only
async def test_an_agent_that_dies_is_started_anew_and_told_all(data: Path) -> None:
    dies: Steps = [{"say": "half"}, {"stderr": {"text": "boom"}}, {"exit": 7}]
    async with acp(data, dies) as (_, bob):
        stop, error = await asked(bob, "one")
        assert stop == "error"
        assert error is not None
        assert "exit code 7: boom" in error
        assert answers(bob.view) == ["half"]
        stop, _ = await asked(bob, "two")
        assert stop == "error"
        assert answers(bob.view) == ["half", "half"]


@asyncio_only
async def test_garbage_of_an_agent_ends_in_a_clear_error(data: Path) -> None:
    garbage: Steps = [{"raw": "{{{\n" * 10}, {"exit": 1}]
    async with acp(data, garbage) as (_, bob):
        stop, error = await asked(bob, "one")
        assert stop == "error"
        assert error is not None
        assert "exit code 1" in error


@asyncio_only
async def test_an_agent_that_ignores_a_cancel_is_killed(data: Path) -> None:
    deaf = [{"ignore_signals": None}, {"grandchild": None}, {"hang": None}]
    async with acp(data, deaf) as (_, bob):
        sent = await bob.send("one")
        await until(bob, lambda view: bool(answers(view)))
        await bob.cancel()
        with anyio.fail_after(30):
            assert (await bob.wait_turn(sent.id)).stop_reason == "cancelled"
        assert not is_running(int(answers(bob.view)[0]))


@asyncio_only
async def test_a_turn_can_be_cancelled_while_its_agent_starts(data: Path) -> None:
    async with acp(data, initialize=[{"hang": None}]) as (_, bob):
        sent = await bob.send("one")
        await until(bob, lambda view: view.running is not None)
        started = time.monotonic()
        await bob.cancel()
        with anyio.fail_after(30):
            assert (await bob.wait_turn(sent.id)).stop_reason == "cancelled"
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_acp_agent_says_that_it_needs_asyncio(data: Path) -> None:
    async with acp(data, [END]) as (_, bob):
        stop, error = await asked(bob, "one")
        assert stop == "error"
        assert error is not None
        assert "asyncio" in error


@asyncio_only
async def test_plans_usage_thoughts_and_tools_are_in_the_document(data: Path) -> None:
    def update(what: str, **body: object) -> dict[str, object]:
        return {"update": {"sessionUpdate": what, **body}}

    def text(kind: str, said: str) -> dict[str, object]:
        return update(kind, content={"type": "text", "text": said})

    steps: list[dict[str, object]] = [
        text("agent_thought_chunk", "hm"),
        {"say": "before"},
        update(
            "tool_call",
            toolCallId="t1",
            title="Read",
            kind="read",
            rawInput={"path": "a"},
        ),
        {"say": "between"},
        update("tool_call", toolCallId="t2", title="Run", kind="execute"),
        update("tool_call_update", toolCallId="t1", status="completed", rawOutput="ok"),
        update(
            "plan", entries=[{"content": "p", "status": "pending", "priority": "low"}]
        ),
        update("usage_update", used=10, size=100),
        END,
    ]
    async with acp(data, steps) as (_, bob):
        await asked(bob, "one")
        view = bob.view
        [turn] = view.turns.values()
        roles = [(m.role, view.text(m.id)) for m in view.messages][1:]
        assert roles == [
            ("thought", "hm"),
            ("assistant", "before"),
            ("assistant", "between"),
        ]
        first, second = view.tools_of(turn.id)
        assert view.text(first.message) == "before"
        assert view.text(second.message) == "between"
        assert (first.title, first.kind, first.phase) == ("Read", "read", "completed")
        assert (first.input, first.output) == ({"path": "a"}, "ok")
        assert second.phase in ("failed", "cancelled")
        assert turn.plan == ({"text": "p", "status": "pending", "priority": "low"},)
        assert turn.usage is not None
        assert (turn.usage["used"], turn.usage["size"]) == (10, 100)


def test_a_window_without_a_turn_does_not_load_the_protocols_sdk() -> None:
    modules = "sys, crdtsync.session.opening, crdtsync.host"
    code = f"import {modules}; print('acp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
