"""What happens to a turn, and to its questions, when the lease or the disk is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import Permission, PermissionOption, PermissionResolved, Tool
from crdtsync.catalog import Catalog
from crdtsync.errors import LogUnwritable
from crdtsync.host import HostSettings, run_agent
from crdtsync.host.asking import Asking
from crdtsync.host.records import Records
from crdtsync.log import Holding
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns import effects as fx
from crdtsync.turns import signals as sg
from crdtsync.turns.arbiter import Granted
from crdtsync.turns.claim import Claim, Cut
from tests.host.stage import QUICK, answers, shell, until

GONE = Holding(epoch=99, attempt=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Session]:
    async with open_session("x", data=data, name="ana", timing=QUICK) as session:
        await session.flush()
        yield session


async def test_a_turn_that_loses_its_lease_is_stopped_and_marked(data: Path) -> None:
    agent = shell("echo one; sleep 0.7; echo two; exec sleep 60")
    async with opened(data) as ana, run_agent(ana, agent) as host:
        sent = await ana.send("go")
        await until(ana, lambda view: answers(view) == ["one\n"])
        holding = host.runner.holding
        assert holding is not None
        assert await ana.log.release(ana.id, holding.epoch, holding.attempt)
        with anyio.fail_after(30):
            turn = await ana.wait_turn(sent.id)
        assert turn.stop_reason == "lost_lease"
        await ana.flush()
    async with open_session("x", data=data, mode="reader") as late:
        assert late.view.turns[turn.id].ended
        assert late.view.running is None


def claim(runner: str, *prompts: str) -> Claim:
    return Claim(1, "a", "local", runner, "m", "demo", prompts, {}, {})


async def test_parts_that_the_door_refuses_are_told_and_logged_with_the_void(
    data: Path,
) -> None:
    async with opened(data) as ana:
        prompt = (await ana.send("go")).id
        records = Records(ana, ana.agent_participant("demo"))
        part = fx.WriteClaim("t1", claim("r", prompt), GONE)
        assert await records.write_part(part) == sg.Refused("claim", "t1")
        assert ana.replica.unsaved == 1
        await records.write_plain(fx.WriteVoid("t1"))
        assert ana.replica.unsaved == 0
        # The prompt is pending again.
        assert [p.prompt for p in ana.view.pending] == [prompt]


async def test_a_start_that_the_door_refuses_gives_the_prompt_back(data: Path) -> None:
    async with opened(data) as ana:
        prompt = (await ana.send("go")).id
        records = Records(ana, ana.agent_participant("demo"))
        granted = await ana.log.acquire(ana.id, "r", 1, 0, alone=True)
        assert isinstance(granted, Granted)
        held = Holding(granted.epoch, 1)
        part = fx.WriteClaim("t1", claim("r", prompt), held)
        assert await records.write_part(part) == sg.Written("claim", "t1")
        assert not ana.view.pending
        await ana.log.release(ana.id, granted.epoch, 1)
        started = fx.WriteStarted("t1", (prompt,), held)
        assert await records.write_part(started) == sg.Refused("started", "t1")
        await records.write_plain(fx.WriteVoid("t1"))
        assert [p.prompt for p in ana.view.pending] == [prompt]


async def test_a_turn_that_goes_on_without_a_lease_says_from_where(data: Path) -> None:
    async with opened(data) as ana:
        records = Records(ana, ana.agent_participant("demo"))
        with ana.replica.edit() as (edit, _):
            edit.set_turn("t1", {"claim": None, "started": True})
        await records.write_plain(fx.WriteDetached("t1"))
        assert ana.view.turns["t1"].detached_at == Cut(0, 0)
        ended = fx.WriteEnded("t1", "end_turn", None, "odd", {"used": 1})
        assert await records.write_part(ended) == sg.Written("ended", "t1")
        turn = ana.view.turns["t1"]
        assert (turn.stop_reason, turn.error, turn.usage) == (
            "end_turn",
            "odd",
            {"used": 1},
        )


class Asked:
    """An agent that notes how it was answered."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str | None]] = []
        self._answered = anyio.Event()

    def resolve(self, permission_id: str, option_id: str | None) -> bool:
        self.answers.append((permission_id, option_id))
        self._answered.set()
        return True

    async def answered_by(self, questions: Asking) -> None:
        """Attend to the questions until one is answered."""
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(questions.attend)
                await self._answered.wait()
                tasks.cancel_scope.cancel()


PERMISSION = Permission(
    "p1",
    Tool("c1", title="Write"),
    (
        PermissionOption("y", "Yes", "allow_once"),
        PermissionOption("n", "No", "reject_once"),
    ),
)


def asking(
    session: Session, agent: Asked, holding: Holding | None, expires_s: float = 600
) -> Asking:
    return Asking(
        session,
        "t1",
        agent,  # type: ignore[arg-type]
        HostSettings(expires_s=expires_s),
        cwd="/",
        holding=lambda: holding,
    )


async def test_without_the_lease_no_answer_reaches_the_agent(data: Path) -> None:
    async with opened(data) as ana:
        agent = Asked()
        questions = asking(ana, agent, GONE)
        await questions.ask(PERMISSION)
        with ana.replica.edit() as (edit, _):
            ana.introduce(edit, ana.me)
            edit.vote("t1.p1", ana.me.id, "y")
        await agent.answered_by(questions)
        assert agent.answers == [("p1", None)]


async def test_what_cannot_be_asked_is_answered_with_no(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(data) as ana:
        monkeypatch.setattr("crdtsync.session.replica.UNSAVED_UPDATES_MAX", 0)
        agent = Asked()
        await asking(ana, agent, None).ask(PERMISSION)
        assert agent.answers == [("p1", "n")]


async def test_a_yes_that_is_not_on_disk_is_not_given(data: Path) -> None:
    async with opened(data) as ana:
        agent = Asked()
        questions = asking(ana, agent, None)
        await questions.ask(PERMISSION)
        await ana.flush()
        path = Catalog(data).path(ana.id)
        path.rename(path.with_name("away"))
        with ana.replica.edit() as (edit, _):
            edit.vote("t1.p1", ana.me.id, "y")
        await agent.answered_by(questions)
        assert agent.answers == [("p1", "n")]
        path.with_name("away").rename(path)


async def test_a_question_is_settled_once(data: Path) -> None:
    async with opened(data) as ana:
        agent = Asked()
        questions = asking(ana, agent, None)
        await questions.ask(PERMISSION)
        questions.closed(PermissionResolved("p1", None))
        questions.closed(PermissionResolved("p1", "y"))
        questions.closed(PermissionResolved("unknown", "y"))
        assert ana.view.approvals["t1.p1"].decision == "cancelled"
        assert agent.answers == []


async def test_an_agent_on_a_disk_that_refuses_waits_for_it(data: Path) -> None:
    async with opened(data) as ana, run_agent(ana, shell("echo done")):
        path = Catalog(data).path(ana.id)
        away = path.rename(path.with_name("away"))
        with pytest.raises(LogUnwritable):
            await ana.send("go")
        await anyio.sleep(1)
        assert ana.view.turns == {}
        away.rename(path)
        [waiting] = ana.view.pending
        with anyio.fail_after(30):
            turn = await ana.wait_turn(waiting.prompt)
        assert turn.stop_reason == "end_turn"
