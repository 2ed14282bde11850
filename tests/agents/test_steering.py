"""Steering a session: interrupting prompts, and messages of agents and their loops."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.entities import Message, Participant
from crdtsync.errors import AccessDenied, UsageError
from crdtsync.host import HostSettings, run_agent
from crdtsync.host.loops import LoopGuard, depth_of
from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns.queue import rank_last
from crdtsync.view import SessionView
from tests.host.stage import QUICK, answers, shell, texts, until

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For tests that start the program, which takes long and knows no backend."""

PROGRAMS = str(Path(sys.executable).parent)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@asynccontextmanager
async def hosted(
    data: Path, agent: AgentSpec, *, name: str = "x"
) -> AsyncIterator[Session]:
    """A window that runs an agent whose tools find the program and a config."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(data.parent), "USER": "ana"}
    async with (
        open_session(name, data=data, name="ana", timing=QUICK) as session,
        run_agent(session, agent, HostSettings(environ=environ)),
    ):
        yield session


def roles(view: SessionView) -> list[str]:
    return [m.role for m in view.messages]


def held(view: SessionView) -> bool:
    return any(waiting.held for waiting in view.pending)


# Interrupting.

SLEEPER = "line=$(tail -n 1); echo start $line; case $line in slow) sleep 60;; esac"


async def test_an_interrupt_stops_the_turn_and_is_next(data: Path) -> None:
    async with hosted(data, shell(SLEEPER)) as ana:
        slow = await ana.send("slow")
        await until(ana, lambda view: answers(view) == ["start slow\n"])
        waiting = await ana.send("waiting")
        urgent = await ana.send("urgent", steer="interrupt")
        assert urgent.position == 1
        with anyio.fail_after(30):
            assert (await ana.wait_turn(slow.id)).stop_reason == "cancelled"
            assert (await ana.wait_turn(urgent.id)).stop_reason == "end_turn"
            assert (await ana.wait_turn(waiting.id)).stop_reason == "end_turn"
        assert answers(ana.view) == [
            "start slow\n",
            "start urgent\n",
            "start waiting\n",
        ]


async def test_prompt_and_cancel_are_one_change_bound_to_the_turn(data: Path) -> None:
    async with hosted(data, shell(SLEEPER)) as ana:
        await ana.send("slow")
        await until(ana, lambda view: view.running is not None)
        assert ana.view.running is not None
        turn = ana.view.running.id
        urgent = await ana.send("urgent", steer="interrupt")
        _, prompt, cancel = (m for m in ana.view.messages if not m.streamed)
        assert (prompt.id, cancel.turn) == (urgent.id, turn)
        assert cancel.extra == {"action": "cancel"}
        rows = await ana.log.read(ana.id, urgent.seq - 1, 1)
        assert rows is not None
        assert b"urgent" in rows[0].update
        assert cancel.id.encode() in rows[0].update


async def test_without_a_turn_an_interrupt_only_comes_first(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        await ana.send("one")
        await ana.send("two")
        assert (await ana.send("urgent", steer="interrupt")).position == 1
        assert (await ana.send("more urgent", steer="interrupt")).position == 1
        assert roles(ana.view) == ["user"] * 4


async def test_only_a_prompt_of_a_person_interrupts(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        for options in ({"note": True}, {"prompt": False}, {"as_agent": "scout"}):
            with pytest.raises(UsageError, match="only a prompt of a person"):
                await ana.send("stop", steer="interrupt", **options)
        assert ana.view.messages == []


# Messages of agents.


async def test_a_message_of_an_agent_is_a_prompt_only_if_it_asks(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        told = await ana.send("the build is green", as_agent="ci")
        asks = await ana.send("fix the build", as_agent="ci", prompt=True)
        assert (told.position, asks.position) == (None, 1)
        assert roles(ana.view) == ["agent", "agent"]
        author = ana.view.participants[ana.view.messages[0].author]
        assert (author.name, author.kind) == ("ci", "agent")
        assert [depth_of(ana.view, m) for m in ana.view.messages] == [1, 1]


@asyncio_only
async def test_a_script_of_the_agent_posts_to_its_own_session(data: Path) -> None:
    script = 'cat >/dev/null; crdtsync send "$CRDTSYNC_SESSION" "from $CRDTSYNC_TURN"'
    async with hosted(data, shell(script)) as ana:
        sent = await ana.send("go")
        with anyio.fail_after(30):
            turn = await ana.wait_turn(sent.id)
        assert (turn.stop_reason, turn.error) == ("end_turn", None)
        assert texts(ana.view, "agent") == [f"from {turn.id}"]
        [message] = [m for m in ana.view.messages if m.role == "agent"]
        assert (message.turn, message.extra) == (turn.id, {"depth": 1})
        assert ana.view.name_of(message.author) == "sh"
        assert ana.view.pending == ()
        people = [p.name for p in ana.view.participants.values() if p.kind == "person"]
        assert people == ["ana"]


async def test_an_agent_neither_approves_nor_releases(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        with ana.replica.edit() as (edit, _):
            options = [{"id": "y", "label": "Yes", "kind": "allow_once"}]
            question = {"number": 1, "turn": "t", "title": "rm", "options": options}
            edit.set_turn("t", {"started": True})
            edit.ask("t.p1", question)  # type: ignore[arg-type]
        monkeypatch.setenv("CRDTSYNC_AS_AGENT", "scout")
        with pytest.raises(AccessDenied):
            await ana.vote(1, allow=True)
        with pytest.raises(AccessDenied):
            await ana.prompts.release()
        assert ana.view.approvals["t.p1"].votes == {}


@asyncio_only
async def test_a_turn_does_not_wait_for_itself(data: Path) -> None:
    script = 'cat >/dev/null; crdtsync send "$CRDTSYNC_SESSION" --prompt --wait hello'
    async with hosted(data, shell(script)) as ana:
        sent = await ana.send("go")
        with anyio.fail_after(30):
            turn = await ana.wait_turn(sent.id)
        assert turn.error is not None
        assert "cannot wait for the next turn of its own session" in turn.error
        assert roles(ana.view) == ["user"]


# Loops.

AGAIN = 'cat >/dev/null; crdtsync send "$CRDTSYNC_SESSION" --as-agent ping --prompt go'


@asyncio_only
async def test_an_agent_that_prompts_itself_is_held_visibly(data: Path) -> None:
    async with hosted(data, shell(AGAIN)) as ana:
        await ana.send("go")
        await until(ana, held)
        await until(ana, lambda view: view.running is None)
        assert len(ana.view.turns) == 4, "one for the person, three for agents"
        assert [p.held for p in ana.view.pending] == [True]
        [told] = texts(ana.view, "system")
        assert told == (
            "held a prompt of ping: agents have prompted each other 3 times in a row. "
            "/queue run lets it go"
        )


@asyncio_only
async def test_two_agents_that_prompt_each_other_across_sessions_stop(
    data: Path,
) -> None:
    def to(name: str, other: str) -> AgentSpec:
        script = f"cat >/dev/null; crdtsync send {other} --prompt go"
        return AgentSpec("exec", name, ("sh", "-c", script))

    async with (
        hosted(data, to("ping", "pong-room"), name="ping-room") as ping,
        hosted(data, to("pong", "ping-room"), name="pong-room") as pong,
    ):
        # As if they had prompted each other twice already.
        with ping.replica.edit() as (edit, _):
            author = ping.agent_participant("pong")
            ping.introduce(edit, author)
            extra: JsonObject = {"depth": 2}
            message = Message("m", "agent", author.id, ping.now(), "go", extra=extra)
            edit.add_message(message)
            edit.enqueue("m", rank_last(()))
        await until(ping, held)
        assert (len(ping.view.turns), len(pong.view.turns)) == (1, 1)
        assert "held a prompt of pong" in texts(ping.view, "system")[0]


async def test_a_lying_header_does_not_make_a_loop_shorter(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        scout = ana.agent_participant("scout")
        with ana.replica.edit() as (edit, _):
            edit.add_participant(scout)
            _chain(edit, ana, scout, length=5)
        depths = [depth_of(ana.view, m) for m in ana.view.messages]
        assert depths[:4] == [0, 1, 2, 3]
        assert min(depths[4:]) > 3


def _chain(edit, ana: Session, scout: Participant, *, length: int) -> None:  # type: ignore[no-untyped-def]
    """Each prompt comes from the turn of the one before, and says it is the first."""
    asked = Message(id="m0", role="user", author=ana.me.id, at=ana.now(), text="go")
    edit.add_message(asked)
    for number in range(1, length + 1):
        claim = {
            "epoch": number,
            "arb": "a",
            "grant": "local",
            "runner": "r",
            "machine": "m",
            "agent": "scout",
            "prompts": [f"m{number - 1}"],
            "after": {},
            "closes": {},
        }
        edit.set_turn(f"t{number}", {"claim": claim, "started": True})
        edit.add_message(
            Message(
                id=f"m{number}",
                role="agent",
                author=scout.id,
                at=ana.now(),
                text="go",
                turn=f"t{number}",
                extra={"depth": 1},
            )
        )


async def test_a_seventh_prompt_of_agents_within_a_minute_waits(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        guard = LoopGuard()
        sent = [await ana.send("go", as_agent="ci", prompt=True) for _ in range(7)]
        await ana.send("a person may always ask")
        assert guard.look(ana.view, 100.0) == {sent[6].id}
        assert "more than 6 prompts within a minute" in guard.why(sent[6].id)
        assert guard.why(sent[5].id) == ""

        later = await ana.send("go", as_agent="ci", prompt=True)
        assert guard.look(ana.view, 161.0) == {sent[6].id}, "judged once"
        assert guard.why(later.id) == ""
        with ana.replica.edit() as (edit, _):
            edit.set_queue(sent[6].id, {"held": True, "released_by": ana.me.id})
        assert guard.look(ana.view, 162.0) == set()


@asyncio_only
async def test_a_burst_of_an_agent_runs_six_times_and_waits(data: Path) -> None:
    async with hosted(data, shell("cat")) as ana:
        async with open_session("x", data=data, name="bob", timing=QUICK) as bob:
            with bob.replica.edit() as (edit, ticket):
                author = bob.agent_participant("ci")
                bob.introduce(edit, author)
                for number in range(8):
                    message = Message(
                        f"m{number}", "agent", author.id, bob.now(), f"{number}"
                    )
                    edit.add_message(message)
                    edit.enqueue(message.id, rank_last(bob.view.queue.values()))
            await ticket.wait()
        await until(ana, lambda v: len(v.turns) == 6 and v.running is None)
        await until(ana, held)
        assert [p.held for p in ana.view.pending] == [True, True]
        assert len(texts(ana.view, "system")) == 2

        assert len(await ana.prompts.release()) == 2
        await until(ana, lambda v: len(v.turns) == 8 and v.running is None)
        assert ana.view.pending == ()
