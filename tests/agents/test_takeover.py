"""Going on with a session: by the agent's own memory, or by the history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import AgentSpec
from crdtsync.host import HostSettings, run_agent
from crdtsync.host.resuming import resumable
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import ECHO, QUICK, answers, until

from .stage import END, Steps, scripted, started


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


ABLE: Steps = [
    {"respond": {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}}
]
OLD = {
    "sessionUpdate": "agent_message_chunk",
    "content": {"type": "text", "text": "an answer of the past"},
}


def fresh(name: str = "s1") -> AgentSpec:
    """An agent that can load sessions and says what it is told."""
    new: Steps = [{"respond": {"sessionId": name}}]
    load: Steps = [{"update": OLD}, {"respond": {}}]
    echo: Steps = [{"repeat": True}, END]
    return scripted(echo, initialize=ABLE, session__new=new, session__load=load)


@asynccontextmanager
async def hosted(
    data: Path, agent: AgentSpec, *, person: str = "ana", cwd: Path | None = None
) -> AsyncIterator[Session]:
    async with (
        open_session("x", data=data, name=person, timing=QUICK) as session,
        run_agent(session, agent, HostSettings(cwd=cwd)),
    ):
        yield session


async def asked(session: Session, text: str) -> str:
    """Send a prompt; returns what the agent was told."""
    sent = await session.send(text)
    with anyio.fail_after(30):
        turn = await session.wait_turn(sent.id)
    assert (turn.stop_reason, turn.error) == ("end_turn", None)
    return answers(session.view)[-1]


async def test_an_agent_says_whether_it_has_loaded_a_session() -> None:
    able = scripted(initialize=ABLE, session__load=[{"respond": {}}])
    async with started(able, resume="s7") as agent:
        assert (agent.resumed, agent.session_id) == (True, "s7")
    forgot = [{"error": {"code": -32002, "message": "no such session"}}]
    async with started(
        scripted(initialize=ABLE, session__load=forgot), resume="s7"
    ) as agent:
        assert (agent.resumed, agent.session_id) == (False, "s1")
    async with started(scripted(), resume="s7") as agent:
        assert (agent.resumed, agent.session_id) == (False, "s1")


async def test_a_resumed_agent_is_told_only_what_it_has_not_seen(data: Path) -> None:
    async with hosted(data, fresh()) as ana:
        assert await asked(ana, "first") == "first"
        assert ana.view.meta.agent["session"] == "s1"
        assert ana.view.meta.agent["machine"] == ana.place.identity.machine
        await ana.send("the tests are red", prompt=False)
        await ana.send("between us", note=True)
    async with hosted(data, fresh()) as ana:
        told = await asked(ana, "second")
        assert "Others wrote this" in told
        assert "the tests are red" in told
        assert "between us" not in told
        assert "first" not in told
        assert told.endswith("\n\nsecond")
        assert answers(ana.view) == ["first", told], "no answer comes twice"


async def test_a_folder_or_an_agent_of_its_own_has_no_memory(
    data: Path, tmp_path: Path
) -> None:
    async with hosted(data, fresh()) as ana:
        await asked(ana, "first")
    other = tmp_path / "other"
    other.mkdir()
    async with hosted(data, fresh("s2"), cwd=other) as ana:
        told = await asked(ana, "second")
        assert "session so far" in told
        assert "> first" in told
        assert ana.view.meta.agent["session"] == "s2"


async def test_another_agent_in_between_is_told_everything(data: Path) -> None:
    async with hosted(data, fresh()) as ana:
        await asked(ana, "first")
    async with hosted(data, ECHO) as ana:
        told = await asked(ana, "second")
        assert "session so far" in told
        assert "> first" in told
    async with hosted(data, fresh("s3")) as ana:
        told = await asked(ana, "third")
        assert "session so far" in told
        assert "> second" in told


async def test_a_session_that_another_window_uses_is_not_loaded(data: Path) -> None:
    async with hosted(data, fresh()) as ana:
        await asked(ana, "first")
        async with open_session("x", data=data, name="bob", timing=QUICK) as bob:
            await until(bob, lambda _: bob.agents() == ["scripted"])
            cwd = str(Path.cwd())
            assert resumable(bob, fresh(), cwd) is None
            assert resumable(ana, fresh(), cwd) == "s1"
        await until(ana, lambda _: len(ana.presence) == 1)
    async with open_session("x", data=data, name="bob", timing=QUICK) as bob:
        assert resumable(bob, fresh(), cwd) == "s1"
        assert resumable(bob, ECHO, cwd) is None


async def test_an_agent_starts_while_somebody_types(data: Path) -> None:
    made = data.parent / "started"
    spec = AgentSpec("acp", "x", ("sh", "-c", f"echo x >> {made}; exec sleep 60"))
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, spec),
    ):
        await until(bob, lambda _: bob.agents() == ["x"])
        assert not made.exists()
        bob.company.note_input(typing=True)
        with anyio.fail_after(10):
            while not made.exists():
                await anyio.wait_all_tasks_blocked()


async def test_an_agent_that_was_started_early_runs_the_turn(data: Path) -> None:
    async with hosted(data, fresh()) as ana:
        ana.company.note_input(typing=True)
        assert await asked(ana, "first") == "first"
        ana.company.note_input(typing=True)
        assert await asked(ana, "second") == "second"


async def test_what_fails_early_is_told_by_the_turn(data: Path) -> None:
    async with hosted(data, AgentSpec("acp", "x", ("sh", "-c", "exit 3"))) as ana:
        for _ in range(2):
            ana.company.note_input(typing=True)
            await anyio.wait_all_tasks_blocked()
            sent = await ana.send("go")
            with anyio.fail_after(30):
                turn = await ana.wait_turn(sent.id)
            assert turn.stop_reason == "error"
            assert "exit code 3" in (turn.error or "")
