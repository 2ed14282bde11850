"""Windows that come late, often, or many at once: stories 5, 7, 11, 17 and 28."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from crdtsync.catalog import Catalog
from crdtsync.host import HostSettings, run_agent
from crdtsync.log import Row
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.agents.stage import END, OPTIONS, scripted
from tests.host.stage import ECHO, QUICK, answers, digest, level, until, window


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def update(what: str, **body: object) -> dict[str, Any]:
    return {"update": {"sessionUpdate": what, **body}}


ASK = {
    "ask": {
        "sessionId": "s1",
        "toolCall": {"toolCallId": "c1", "title": "Write a", "kind": "edit"},
        "options": OPTIONS,
    }
}
LIVELY = scripted(
    [
        {"say": "one "},
        update("tool_call", toolCallId="c0", title="Read", kind="read"),
        update("tool_call_update", toolCallId="c0", status="in_progress"),
        {"say": "two "},
        update("tool_call_update", toolCallId="c0", status="completed", rawOutput="ok"),
        ASK,
        {"say": "three"},
        END,
    ]
)


async def test_ten_windows_attach_and_nobody_is_dropped(data: Path) -> None:
    """Story 5."""
    async with AsyncExitStack() as stack:
        windows = []
        for number in range(10):
            opening = open_session("x", data=data, name=f"p{number}", timing=QUICK)
            windows.append(await stack.enter_async_context(opening))
        for session in windows:
            with anyio.fail_after(20):
                await session.wait_for(lambda _, s=session: len(s.presence) == 10)  # type: ignore[misc]
        await stack.enter_async_context(run_agent(windows[0], ECHO))
        for session in windows:
            sent = await session.send(session.me.name)
            with anyio.fail_after(30):
                await session.wait_turn(sent.id)
        await level(*windows)
        assert len({digest(session) for session in windows}) == 1
        assert all(len(session.presence) == 10 for session in windows)
        assert len(windows[9].view.messages) == 20


async def test_two_windows_in_two_processes_share_one_session(data: Path) -> None:
    async with window(data, "ana", ECHO) as ana, window(data, "bob") as bob:
        await ana.until("session.opened")
        await bob.until("session.opened")
        sent = await bob.tell(send="hello")
        turn = await bob.tell(wait=sent["id"])
        assert turn["stop"] == "end_turn"
        state = await bob.tell(state=True, people=2)
        assert state["messages"] == [["user", "hello"], ["assistant", "hello"]]
        assert state["people"] == ["ana", "bob"]
        other = await ana.tell(state=True, head=state["head"])
        assert other["digest"] == state["digest"]
        types = [event["type"] for event in bob.events if event["type"] != "answer"]
        assert types[0] == "session.opened"
        assert types.count("message") == types.count("turn.ended") == 1
        agent = [e["data"] for e in bob.events if e["type"] == "turn.started"]
        assert [started["agent"] for started in agent] == ["echo"]


async def test_whoever_joins_at_any_moment_of_a_turn_sees_the_same(
    data: Path, tmp_path: Path
) -> None:
    """Story 11: the state of a window that was there from the start, at every row."""
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, LIVELY),
    ):
        sent = await bob.send("go")
        joined = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer, bob)
            seen = -1
            while bob.view.turns.get(_turn(bob)) is None or not _over(bob):
                await bob.wait_for(lambda _, s=seen: bob.head > s)  # type: ignore[misc]
                seen = bob.head
                async with open_session(
                    "x", data=data, mode="reader", timing=QUICK
                ) as late:
                    if late.head == bob.head:
                        joined += 1
                        assert late.view == bob.view
                        assert late.view.open_approvals() == bob.view.open_approvals()
                        running, same = late.view.running, bob.view.running
                        assert running == same
        assert joined >= 4
        with anyio.fail_after(30):
            await bob.wait_turn(sent.id)
        assert " ".join(answers(bob.view)).startswith("one  two ")
        await _replay(bob, tmp_path)


def _turn(session: Session) -> str:
    return next(iter(session.view.turns), "")


def _over(session: Session) -> bool:
    return session.view.turns[_turn(session)].ended


async def _answer(session: Session) -> None:
    await until(session, lambda view: bool(view.open_approvals()))
    await anyio.sleep(0.3)
    await session.vote(1, allow=True)


async def _replay(session: Session, path: Path) -> None:
    """Every row one by one gives the same as all at once, for who joins in between."""
    rows = await session.log.read(session.id, 0, 1000)
    assert rows is not None
    assert [row.seq for row in rows] == list(range(1, session.head + 1))
    for upto in range(0, len(rows), 3):
        await _joined_at(session, rows, upto, path)


async def _joined_at(session: Session, rows: list[Row], upto: int, path: Path) -> None:
    data = path / f"at{upto}"
    entry = Catalog(data).add(session.id, "x", "2026-11-20T12:00:00Z")
    clock = session.place.clock
    async with open_sqlite_log(entry.path, clock=clock) as log:
        await log.create(session.id)
        first = [row.update for row in rows[: upto + 1]]
        await log.append(session.id, first, origin="w", after=0)
        async with open_session("x", data=data, mode="reader") as late:
            rest = [row.update for row in rows[upto + 1 :]]
            if rest:
                await log.append(session.id, rest, origin="w", after=len(first))
                await late.replica.catch_up()
            assert late.view == session.view
            assert digest(late) == digest(session)


async def test_fifty_reopenings_are_one_session_with_one_content(data: Path) -> None:
    """Stories 7 and 17."""
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        async with run_agent(ana, ECHO):
            sent = await ana.send("hello")
            with anyio.fail_after(30):
                await ana.wait_turn(sent.id)
        content = digest(ana)
    for number in range(50):
        mode = "writer" if number % 2 else "member"
        async with open_session(
            ("x", None, ana.id)[number % 3],
            data=data,
            name="ana",
            mode=mode,  # type: ignore[arg-type]
        ) as again:
            assert digest(again) == content
            assert again.id == ana.id
    assert [e.name for e in Catalog(data).entries()] == ["x"]
    entry = Catalog(data).find("x")
    assert (entry.title, entry.messages, entry.people) == ("x", 2, ("ana",))


async def test_folder_and_agent_are_the_same_for_everybody(
    data: Path, tmp_path: Path
) -> None:
    """Story 28."""
    settings = HostSettings(cwd=tmp_path)
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, LIVELY, settings),
    ):
        await bob.send("go")
        await until(bob, lambda view: view.running is not None)
        await until(bob, lambda view: bool(view.meta.agent))
        await level(ana, bob)
        async with open_session("x", data=data, mode="reader") as late:
            told = [dict(s.view.meta.agent) for s in (ana, bob, late)]
        assert told[0] == told[1] == told[2]
        assert told[0]["cwd"] == str(tmp_path)
        assert told[0]["name"] == "scripted"
