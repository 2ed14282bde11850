"""Permission questions: who may answer, what an answer is bound to, who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from crdtsync.agents.policy import Policy
from crdtsync.entities import Approval
from crdtsync.errors import OperationFailed
from crdtsync.host import HostSettings, run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.agents.stage import END, OPTIONS, scripted
from tests.host.stage import QUICK, answers, until


@pytest.fixture
def anyio_backend() -> str:
    """The protocol's SDK runs on asyncio only."""
    return "asyncio"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def asks(call: str = "c1", kind: str = "edit", **extra: object) -> dict[str, Any]:
    told = {"toolCallId": call, "title": "Write a", "kind": kind, **extra}
    told.setdefault("rawInput", {"path": "a", "size": 3})
    return {"ask": {"sessionId": "s1", "toolCall": told, "options": OPTIONS}}


@asynccontextmanager
async def room(
    data: Path, *steps: dict[str, Any], settings: HostSettings | None = None
) -> AsyncIterator[tuple[Session, Session, str]]:
    """Ana runs an agent that asks; bob has sent the prompt."""
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, scripted([*steps, END]), settings),
    ):
        sent = await bob.send("go")
        yield ana, bob, sent.id


async def question(session: Session) -> Approval:
    await until(session, lambda view: bool(view.open_approvals()))
    return session.view.open_approvals()[0]


async def over(session: Session, prompt: str) -> str:
    """Wait for the turn's end; what the agent was told."""
    with anyio.fail_after(30):
        turn = await session.wait_turn(prompt)
    assert turn.stop_reason == "end_turn"
    return " ".join(answers(session.view))


YES = '{"outcome": "selected", "optionId": "y"}'
NO = '{"outcome": "selected", "optionId": "n"}'


@pytest.mark.parametrize(("allow", "told"), [(True, YES), (False, NO)])
async def test_a_person_answers_and_everybody_sees_who(
    data: Path, allow: bool, told: str
) -> None:
    async with room(data, asks()) as (ana, bob, sent):
        asked = await question(bob)
        assert (asked.number, asked.title) == (1, "Write a")
        assert asked.input == {"path": "a", "size": 3}
        assert [o.id for o in asked.options] == ["y", "n"]
        await bob.vote(1, allow=allow)
        assert await over(bob, sent) == told
        for session in (ana, bob):
            closed = session.view.approvals[asked.id]
            assert closed.decision == ("y" if allow else "n")
            assert closed.decided_by == bob.me.id


async def test_questions_are_numbered_and_answered_one_by_one(data: Path) -> None:
    async with room(data, asks("c1"), asks("c2")) as (_, bob, sent):
        await question(bob)
        await bob.vote(1, allow=True)
        await until(bob, lambda view: view.approval_by_number(2) is not None)
        await bob.vote(2, allow=False)
        assert await over(bob, sent) == f"{YES}{NO}"


async def test_of_a_yes_and_a_no_at_once_the_no_decides_everywhere(
    data: Path,
) -> None:
    for _ in range(3):
        async with room(data, asks()) as (ana, bob, sent):
            asked = await question(bob)
            await question(ana)
            with ana.replica.edit() as (edit, _ticket):
                edit.vote(asked.id, ana.me.id, "y")
                edit.vote(asked.id, bob.me.id, "n")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_try_vote, ana, asked.id)
            told = await over(bob, sent)
            await until(ana, lambda view: view == bob.view)
            decided = bob.view.approvals[asked.id]
            assert decided.decision == "n"
            assert told.endswith(NO)


async def _try_vote(session: Session, approval: str) -> None:
    try:
        await session.vote(approval, allow=True)
    except OperationFailed:
        return


async def test_an_agent_cannot_vote(data: Path) -> None:
    async with room(data, asks()) as (_, bob, sent):
        asked = await question(bob)
        await bob.send("let me", as_agent="scout")
        scout = bob.agent_participant("scout")
        with bob.replica.edit() as (edit, ticket):
            edit.vote(asked.id, scout.id, "y")
            edit.vote(asked.id, "nobody", "y")
            edit.vote(asked.id, bob.me.id, "made up")
        await ticket.wait()
        await bob.vote(1, allow=False)
        assert await over(bob, sent) == NO


@pytest.mark.parametrize(
    "swap",
    [
        {"title": "harmless"},
        {"input": {"path": "b"}},
        {"input_hash": "0" * 32},
        {"options": [{"id": "y", "label": "No", "kind": "reject_once"}]},
    ],
)
async def test_an_answer_to_a_swapped_question_counts_for_nothing(
    data: Path, swap: dict[str, Any]
) -> None:
    settings = HostSettings(expires_s=1.5)
    async with room(data, asks(), settings=settings) as (_, bob, sent):
        asked = await question(bob)
        original = bob.replica.document.json("approvals")[asked.id]
        assert isinstance(original, dict)
        with bob.replica.edit() as (edit, _):
            edit.ask(asked.id, {**original, **swap})
        with bob.replica.edit() as (edit, ticket):
            edit.vote(asked.id, bob.me.id, "y")
        await ticket.wait()
        assert await over(bob, sent) == NO
        assert bob.view.approvals[asked.id].decision == "expired"


async def test_a_vote_on_a_question_that_somebody_else_closed_counts_for_nothing(
    data: Path,
) -> None:
    settings = HostSettings(expires_s=1.5)
    async with room(data, asks(), settings=settings) as (_, bob, sent):
        asked = await question(bob)
        with bob.replica.edit() as (edit, ticket):
            edit.decide(asked.id, "y", bob.me.id)
            edit.vote(asked.id, bob.me.id, "y")
        await ticket.wait()
        assert await over(bob, sent) == NO


async def test_nobody_answers_and_the_question_expires_with_no(data: Path) -> None:
    settings = HostSettings(expires_s=0.3)
    async with room(data, asks(), settings=settings) as (ana, bob, sent):
        asked = await question(bob)
        assert await over(bob, sent) == NO
        closed = bob.view.approvals[asked.id]
        assert (closed.decision, closed.decided_by) == ("expired", "")
        with pytest.raises(OperationFailed, match="is closed: expired"):
            await bob.vote(1, allow=True)
        with bob.replica.edit() as (edit, ticket):
            edit.vote(asked.id, bob.me.id, "y")
        await ticket.wait()
        await until(ana, lambda view: view == bob.view)
        assert ana.view.approvals[asked.id].decision == "expired"


@pytest.mark.parametrize(
    ("policy", "kind", "told"),
    [("yolo", "edit", YES), ("deny-all", "read", NO), ("allow-reads", "read", YES)],
)
async def test_a_policy_answers_at_once_and_is_named(
    data: Path, tmp_path: Path, policy: Policy, kind: str, told: str
) -> None:
    settings = HostSettings(policy=policy, cwd=tmp_path)
    path = str(tmp_path / "a")
    step = asks(kind=kind, rawInput={"path": path}, locations=[{"path": path}])
    async with room(data, step, settings=settings) as (_, bob, sent):
        assert await over(bob, sent) == told
        [closed] = bob.view.approvals.values()
        assert closed.decided_by == f"policy {policy}"


async def test_allow_reads_asks_people_before_a_change(data: Path) -> None:
    settings = HostSettings(policy="allow-reads")
    async with room(data, asks(kind="edit"), settings=settings) as (_, bob, sent):
        await question(bob)
        await bob.vote(1, allow=True)
        assert await over(bob, sent) == YES


async def test_a_question_of_a_cancelled_turn_is_closed(data: Path) -> None:
    async with room(data, asks(), {"hang": None}) as (_, bob, sent):
        asked = await question(bob)
        await bob.cancel()
        with anyio.fail_after(30):
            assert (await bob.wait_turn(sent)).stop_reason == "cancelled"
        assert bob.view.approvals[asked.id].decision == "cancelled"
        assert bob.view.open_approvals() == []
        with pytest.raises(OperationFailed):
            await bob.vote(1, allow=True)


async def test_somebody_who_comes_later_can_answer(data: Path) -> None:
    async with room(data, asks()) as (_, bob, sent):
        await question(bob)
        async with open_session("x", data=data, name="zoe", mode="writer") as zoe:
            assert [a.number for a in zoe.view.open_approvals()] == [1]
            await zoe.vote(1, allow=True)
            zoe_id = zoe.me.id
        assert await over(bob, sent) == YES
        assert (
            bob.view.approvals[f"{next(iter(bob.view.turns))}.p1"].decided_by == zoe_id
        )


async def test_numbers_of_any_size_do_not_unbind_an_answer(data: Path) -> None:
    odd = {"big": 2**70, "whole": 1.0, "half": 0.5, "list": [1, None, {"a": -0.0}]}
    async with room(data, asks(rawInput=odd)) as (_, bob, sent):
        asked = await question(bob)
        assert replace(asked, votes={}).open
        await bob.vote(1, allow=True)
        assert await over(bob, sent) == YES
