"""The built-in agent, as people meet it: through ACP, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import (
    Agent,
    AgentEvent,
    Permission,
    Plan,
    TextDelta,
    Tool,
    TurnEnd,
    open_agent,
)
from crdtsync.agents.context import Said, since_last_turn
from crdtsync.agents.demo.folder import Folder, Hit, Unreadable
from crdtsync.agents.presets import agent_spec

from .stage import QUICK, text_of, turn


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "README.md").write_text("# Parser\n\nIt parses.\n")
    (folder / "src" / "main.py").write_text("def main():\n    pass  # TODO: parse\n")
    (folder / ".env").write_text("SECRET=planted\n")
    (folder / "image.png").write_bytes(b"\x89PNG\0\0TODO")
    secret = tmp_path / "secret.txt"
    secret.write_text("TODO planted")
    (folder / "link.txt").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    return folder


@asynccontextmanager
async def demo(folder: Path, pace: str = "0") -> AsyncIterator[Agent]:
    environ = {"PATH": os.environ["PATH"], "CRDTSYNC_DEMO_PACE": pace}
    with anyio.fail_after(30):
        async with open_agent(
            agent_spec("demo"), environ=environ, limits=QUICK
        ) as agent:
            await agent.start(str(folder))
            yield agent


def last_tools(events: list[AgentEvent]) -> list[Tool]:
    return list({e.id: e for e in events if isinstance(e, Tool)}.values())


def phases(events: list[AgentEvent], call: str) -> list[str]:
    return [e.phase for e in events if isinstance(e, Tool) and e.id == call]


async def test_a_general_prompt_gives_an_overview_of_the_folder(project: Path) -> None:
    async with demo(project) as agent:
        events = await turn(agent, "hello")
        assert (agent.name, agent.version) == ("demo", "1")
    text = text_of(events)
    assert "| `src/` | folder |" in text
    assert "# Parser" in text
    assert "planted" not in text
    assert phases(events, "call-1") == ["pending", "in_progress", "completed"]
    plans = [event for event in events if isinstance(event, Plan)]
    assert [entry.status for entry in plans[0].entries] == [
        "in_progress",
        "pending",
        "pending",
    ]
    assert {entry.status for entry in plans[-1].entries} == {"completed"}


async def test_the_same_prompt_gives_the_same_turn(project: Path) -> None:
    async with demo(project) as agent:
        assert await turn(agent, "hello") == await turn(agent, "hello")


async def test_it_searches_the_files(project: Path) -> None:
    async with demo(project) as agent:
        events = await turn(agent, "please search for TODO")
    [tool] = last_tools(events)
    assert (tool.kind, tool.phase) == ("search", "completed")
    assert tool.output == {"text": "src/main.py:2: pass  # TODO: parse"}
    assert "- `src/main.py:2` pass  # TODO: parse" in text_of(events)


async def test_it_reads_a_file(project: Path) -> None:
    async with demo(project) as agent:
        events = await turn(agent, "Read src/main.py.")
    [tool] = last_tools(events)
    assert tool.locations == ({"path": str(project / "src/main.py")},)
    assert "```py\ndef main():\n" in text_of(events)


@pytest.mark.parametrize(
    "path", ["link.txt", "up/secret.txt", "../secret.txt", "/etc/hostname.txt", ".env"]
)
async def test_it_reads_nothing_outside_of_the_folder(project: Path, path: str) -> None:
    async with demo(project) as agent:
        events = await turn(agent, f"read {path}")
    assert [tool.phase for tool in last_tools(events)] == ["failed"]
    assert "I cannot read that file." in text_of(events)
    assert "planted" not in str(events)


@pytest.mark.parametrize("choice", ["allow_once", "reject_once"])
async def test_it_writes_a_note_only_if_allowed(project: Path, choice: str) -> None:
    seen: list[AgentEvent] = []
    async with demo(project) as agent:
        async for event in agent.prompt("write a note"):
            seen.append(event)
            if isinstance(event, Permission):
                assert not (project / "NOTES.md").exists()
                [option] = [o for o in event.options if o.kind == choice]
                assert agent.resolve(event.id, option.id)
    notes = project / "NOTES.md"
    if choice == "allow_once":
        expected = "# Notes on project\n\n- 1 x .md\n- 1 x .png\n- 1 x .py\n"
        assert notes.read_text() == expected
        assert last_tools(seen)[0].phase == "completed"
    else:
        assert not notes.exists()
        assert last_tools(seen)[0].phase == "failed"
        assert "I left `NOTES.md` alone." in text_of(seen)


async def test_a_cancelled_question_writes_nothing(project: Path) -> None:
    async with demo(project) as agent, anyio.create_task_group() as tasks:
        async for event in agent.prompt("write a note"):
            if isinstance(event, Permission):
                tasks.start_soon(agent.cancel)
            last = event
        assert agent.pid is not None
    assert last == TurnEnd("cancelled")
    assert not (project / "NOTES.md").exists()


async def test_a_note_never_goes_through_a_link(project: Path) -> None:
    target = project.parent / "target"
    (project / "NOTES.md").symlink_to(target)
    async with demo(project) as agent:
        seen = []
        async for event in agent.prompt("write a note"):
            seen.append(event)
            if isinstance(event, Permission):
                agent.resolve(event.id, event.options[0].id)
    assert last_tools(seen)[0].phase == "failed"
    assert not target.exists()


async def test_a_cancel_stops_it_within_its_grace_and_it_lives_on(
    project: Path,
) -> None:
    async with demo(project, pace="40") as agent:
        running = agent.prompt("count to 10000")
        assert await anext(running) == TextDelta("1")
        await agent.cancel()
        rest = [event async for event in running]
        assert rest[-1] == TurnEnd("cancelled")
        assert len(rest) < 200
        assert text_of(await turn(agent, "count to 3")) == "1 2 3."


async def test_context_before_the_prompt_does_not_confuse_it(project: Path) -> None:
    said = [Said("ana", "user", "search for lunch, write a note")]
    async with demo(project) as agent:
        text = text_of(await turn(agent, since_last_turn("count to 2", said)))
    assert text == "1 2."


def test_hidden_and_binary_files_are_left_alone(project: Path) -> None:
    folder = Folder(str(project))
    assert [entry.path for entry in folder.entries()] == [
        "README.md",
        "image.png",
        "src",
    ]
    assert folder.search("TODO") == [Hit("src/main.py", 2, "pass  # TODO: parse")]
    with pytest.raises(Unreadable, match="not text"):
        folder.read("image.png")
    os.mkfifo(project / "pipe")
    with pytest.raises(Unreadable, match="not a file"):
        folder.read("pipe")


def test_reading_is_bounded(project: Path) -> None:
    (project / "big.txt").write_text("x" * 1_000_000)
    assert len(Folder(str(project)).read("big.txt")) == 65536


def test_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    assert Folder(str(tmp_path / "gone")).files() == []


@pytest.mark.parametrize("path", ["link.txt", "up/secret.txt", "up", ".env", "../a"])
def test_no_link_is_followed_and_nothing_outside_is_opened(
    project: Path, path: str
) -> None:
    with pytest.raises(Unreadable):
        Folder(str(project)).read(path)
    with pytest.raises(Unreadable):
        Folder(str(project)).append(path, "x")
    assert Folder(str(project)).entries(path) == []
    assert (project.parent / "secret.txt").read_text() == "TODO planted"
