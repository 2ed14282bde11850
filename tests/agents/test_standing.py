"""What everybody sees of an agent that does things without asking, and who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.facts import now_lines, status_json, status_lines

from crdtsync.agents.policy import Policy
from crdtsync.entities import Approval
from crdtsync.events import Notice, SessionEvent
from crdtsync.host import HostSettings, run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import ECHO, QUICK, until

from .stage import END, OPTIONS, scripted

YOLO = "ana runs echo with yolo: everything it asks for is allowed without asking"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def policy_told(events: AsyncIterator[SessionEvent]) -> str:
    with anyio.fail_after(10):
        async for event in events:
            if isinstance(event.body, Notice) and event.body.code == "agent.policy":
                return event.body.text
    raise AssertionError("closed")


async def test_a_policy_is_told_to_those_who_are_here_and_who_come(data: Path) -> None:
    settings = HostSettings(policy="yolo")
    async with (
        open_session("x", data=data, name="ana") as ana,
        open_session("x", data=data, name="bob") as bob,
    ):
        await until(bob, lambda _: len(bob.presence) == 2)
        with ana.events() as at_ana, bob.events() as at_bob:
            async with run_agent(ana, ECHO, settings):
                assert await policy_told(at_ana) == YOLO
                assert await policy_told(at_bob) == YOLO
                async with open_session("x", data=data, name="eve") as eve:
                    await until(eve, lambda _: eve.agents() == ["echo"])
                    assert now_lines(eve) == [YOLO]
                    [line] = [s for s in status_lines(eve) if s.startswith("policy")]
                    assert line.endswith(YOLO)
                    assert status_json(eve)["policies"] == [YOLO]
        await until(bob, lambda _: bob.agents() == [])
        assert now_lines(bob) == []


async def test_a_window_that_asks_people_has_nothing_to_tell(data: Path) -> None:
    async with (
        open_session("x", data=data, name="ana") as ana,
        open_session("x", data=data, name="bob") as bob,
        run_agent(ana, ECHO),
    ):
        await until(bob, lambda _: bob.agents() == ["echo"])
        assert now_lines(bob) == []


ASK = {
    "sessionId": "s1",
    "toolCall": {
        "toolCallId": "c",
        "title": "read a",
        "kind": "read",
        "rawInput": {"path": "a"},
    },
    "options": OPTIONS,
}


async def _decided(data: Path, policy: Policy, *, expires_s: float = 60.0) -> Approval:
    """What becomes of one question."""
    settings = HostSettings(policy=policy, cwd=data.parent, expires_s=expires_s)
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        run_agent(ana, scripted([{"ask": ASK}, END]), settings),
    ):
        sent = await ana.send("go")
        with anyio.fail_after(30):
            await ana.wait_turn(sent.id)
        [approval] = ana.view.approvals.values()
        return approval


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("policy", "decision"), [("yolo", "y"), ("allow-reads", "y"), ("deny-all", "n")]
)
async def test_what_a_policy_decides_says_so(
    data: Path, policy: Policy, decision: str
) -> None:
    approval = await _decided(data, policy)
    assert (approval.decision, approval.decided_by) == (decision, f"policy {policy}")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_question_that_nobody_answers_is_answered_with_no(data: Path) -> None:
    approval = await _decided(data, "ask", expires_s=0.3)
    assert (approval.decision, approval.decided_by) == ("expired", "")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_agents_strangers_and_answers_to_another_input_do_not_count(
    data: Path,
) -> None:
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        run_agent(ana, scripted([{"ask": ASK}, END])),
    ):
        sent = await ana.send("go")
        await until(ana, lambda view: bool(view.open_approvals()))
        [question] = ana.view.open_approvals()
        agent = ana.agent_participant("scout")
        with ana.replica.edit() as (edit, _):
            edit.add_participant(agent)
            edit.vote(question.id, agent.id, "y")
            edit.vote(question.id, "a-stranger", "y")
            edit.vote(question.id, ana.me.id, "no such answer")
        await _nothing_happens(ana)
        swapped = {"input": {"path": "/etc/shadow"}, "input_hash": "other"}
        with ana.replica.edit() as (edit, _):
            for key, value in swapped.items():
                entry = edit._maps["approvals"][question.id]  # noqa: SLF001
                entry[key] = value
            edit.vote(question.id, ana.me.id, "y")
        await _nothing_happens(ana)
        await ana.cancel()
        with anyio.fail_after(30):
            await ana.wait_turn(sent.id)
        assert ana.view.approvals[question.id].decision == "cancelled"


async def _nothing_happens(session: Session) -> None:
    """A vote that counts is decided well within this time."""
    with anyio.move_on_after(0.3):
        await session.wait_for(lambda view: not view.open_approvals())
    assert len(session.view.open_approvals()) == 1
