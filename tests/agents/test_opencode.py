"""A real agent, opencode, with a scripted model: what the document shows of it.

Opt in with `-m agents`: it is installed once from its package registry, into the cache
of the tests. While it runs it reaches nothing but loopback.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from crdtsync.agents.presets import agent_spec
from crdtsync.entities import Approval
from crdtsync.host import HostSettings, run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns.claim import TurnRecord
from crdtsync.view import SessionView
from tests.host.stage import answers, texts

from .model_server import Model, model_server

INSTALL_S = 300
PACKAGES = ("opencode-ai", "opencode-linux-x64")
STEP_S = 60

pytestmark = [pytest.mark.agents, pytest.mark.timeout(INSTALL_S + 120)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def programs(pytestconfig: pytest.Config) -> Path:
    """The folder with the installed program."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the package is for Linux on x86-64")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = pytestconfig.cache.mkdir("opencode")
    found = folder / "node_modules" / "opencode-linux-x64" / "bin"
    if not (found / "opencode").exists():
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run([*command, *PACKAGES], cwd=folder, check=True, timeout=INSTALL_S)
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    (made / "README.md").write_text("# greet\n")
    return made


@pytest.fixture
def model(work: Path) -> Iterator[Model]:
    with model_server(work) as served:
        yield served


@pytest.fixture
def environ(tmp_path: Path, programs: Path, model: Model) -> dict[str, str]:
    """A clean home, with the set-up that docs/howto/agents.md tells."""
    home = tmp_path / "home"
    config = home / ".config" / "opencode" / "opencode.json"
    config.parent.mkdir(parents=True)
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": model.url, "apiKey": "none"},
        "models": {"test": {"name": "Test", "limit": {"context": 9000, "output": 900}}},
    }
    settings: dict[str, Any] = {
        "model": "local/test",
        "small_model": "local/test",
        "provider": {"local": provider},
        "permission": {"edit": "ask", "bash": "ask"},
        "share": "disabled",
        "autoupdate": False,
    }
    config.write_text(json.dumps(settings))
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(home),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENAI_API_KEY": "planted, but not used",
        "GITHUB_TOKEN": "planted, and never seen",
    }


@asynccontextmanager
async def room(
    data: Path, work: Path, environ: dict[str, str]
) -> AsyncIterator[tuple[Session, Session]]:
    """Ana, whose window runs the agent, and bob."""
    settings = HostSettings(cwd=work, environ=environ)
    async with (
        open_session("x", data=data, name="ana") as ana,
        open_session("x", data=data, name="bob") as bob,
        run_agent(ana, agent_spec("opencode"), settings),
    ):
        yield ana, bob


async def over(session: Session, prompt: str) -> TurnRecord:
    with anyio.fail_after(STEP_S):
        return await session.wait_turn(prompt)


async def asked(session: Session, text: str) -> TurnRecord:
    return await over(session, (await session.send(text)).id)


async def question(session: Session) -> Approval:
    with anyio.fail_after(STEP_S):
        await session.wait_for(lambda view: bool(view.open_approvals()))
    return session.view.open_approvals()[0]


async def until(session: Session, condition: Callable[[SessionView], bool]) -> None:
    with anyio.fail_after(STEP_S):
        await session.wait_for(condition)


async def test_a_whole_session_with_a_real_agent(
    tmp_path: Path, work: Path, model: Model, environ: dict[str, str]
) -> None:
    data = tmp_path / "data"
    async with room(data, work, environ) as (ana, bob):
        await _an_answer(bob, model)
        await _an_allowed_command(ana, bob)
        await _an_allowed_file(bob, work)
        await _a_refused_file(bob, work)
        await _a_cancel(bob, model)
        await _an_answer_afterwards(bob)
        await until(ana, lambda view: view == bob.view)
        session = str(bob.view.meta.agent["session"])
    await _a_session_that_goes_on(data, work, environ, session, model)


async def _an_answer(bob: Session, model: Model) -> None:
    turn = await asked(bob, "hello there")
    assert (turn.stop_reason, turn.error) == ("end_turn", None)
    assert answers(bob.view) == ["You said: hello there "]
    assert turn.usage is not None
    assert (turn.usage["input"], turn.usage["output"]) == (11, 7)
    agent = bob.view.meta.agent
    assert (agent["name"], agent["program"]) == ("opencode", "OpenCode")
    assert agent["version"]
    assert str(agent["session"]).startswith("ses_")
    assert "planted" not in json.dumps(model.requests)


async def _an_allowed_command(ana: Session, bob: Session) -> None:
    sent = await ana.send("run echo $CRDTSYNC_SESSION $GITHUB_TOKEN")
    asks = await question(bob)
    assert asks.title == "echo $CRDTSYNC_SESSION $GITHUB_TOKEN"
    assert [o.kind for o in asks.options] == [
        "allow_once",
        "allow_always",
        "reject_once",
    ]
    await bob.vote(asks.number, allow=True)
    turn = await over(bob, sent.id)
    assert turn.stop_reason == "end_turn"
    [tool] = bob.view.tools_of(turn.id)
    assert (tool.kind, tool.phase, tool.exit_code) == ("execute", "completed", 0)
    assert tool.output == f"{bob.id}\n", "its tools know the session, and no secret"
    decided = bob.view.approvals[asks.id]
    assert (decided.decision, decided.decided_by) == ("once", bob.me.id)
    assert decided.tool == tool.key


async def _an_allowed_file(bob: Session, work: Path) -> None:
    sent = await bob.send("write a.txt")
    asks = await question(bob)
    assert not (work / "a.txt").exists(), "it waits for the answer"
    await bob.vote(asks.number, allow=True)
    turn = await over(bob, sent.id)
    assert (work / "a.txt").read_text() == "written\n"
    [tool] = bob.view.tools_of(turn.id)
    assert (tool.kind, tool.phase) == ("edit", "completed")
    assert tool.locations == ({"path": str(work / "a.txt")},)
    kinds = [block["type"] for block in tool.content if isinstance(block, dict)]
    assert "diff" in kinds
    assert answers(bob.view)[-1].startswith("The tool said: Wrote file")


async def _a_refused_file(bob: Session, work: Path) -> None:
    sent = await bob.send("write b.txt")
    asks = await question(bob)
    await bob.vote(asks.number, allow=False, why="not that one")
    turn = await over(bob, sent.id)
    assert turn.ended
    assert not (work / "b.txt").exists()
    [tool] = bob.view.tools_of(turn.id)
    assert tool.phase in {"failed", "cancelled"}
    assert bob.view.approvals[asks.id].decision == "reject"
    assert texts(bob.view, "note") == [f"Reject ({asks.number}): not that one"]


async def _a_cancel(bob: Session, model: Model) -> None:
    sent = await bob.send("slow")
    await until(bob, lambda view: answers(view)[-1].startswith("0 1 2"))
    await bob.cancel()
    turn = await over(bob, sent.id)
    assert turn.stop_reason == "cancelled"
    assert await anyio.to_thread.run_sync(model.cut_off.wait, 10), "it really stops"


async def _an_answer_afterwards(bob: Session) -> None:
    turn = await asked(bob, "still there")
    assert turn.stop_reason == "end_turn"
    assert answers(bob.view)[-1] == "You said: still there "


async def _a_session_that_goes_on(
    data: Path, work: Path, environ: dict[str, str], session: str, model: Model
) -> None:
    """A new process loads the agent's session and is told only what is new."""
    before = len(model.requests)
    async with room(data, work, environ) as (ana, bob):
        await ana.send("the tests are red", prompt=False)
        turn = await asked(bob, "go on")
        assert turn.stop_reason == "end_turn"
        assert bob.view.meta.agent["session"] == session
        assert answers(bob.view)[-1] == "You said: go on "
        assert answers(bob.view).count("You said: hello there ") == 1
    request = next(r for r in model.requests[before:] if r.get("tools"))
    told = json.dumps(request["messages"][-1])
    assert "the tests are red" in told
    assert "hello there" not in told
    assert "hello there" in json.dumps(request["messages"]), "it remembers by itself"
