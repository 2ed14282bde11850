"""What an agent says on its way into the document: order, pace, and bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from crdtsync.agents import Plan, PlanEntry, TextDelta, ThoughtDelta, Tool, Usage
from crdtsync.events import AssistantDelta
from crdtsync.host.output import FLUSH_S, LEFT_OUT, OUTPUT_CHARS_MAX, Output
from crdtsync.limits import UNSAVED_UPDATES_MAX
from crdtsync.log import Holding
from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import texts


class Stage:
    """An output of turn t1 in an open session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.allowed = True
        self.holding: Holding | None = None
        self.refusals = 0
        self.output = Output(
            session,
            "t1",
            "demo-1",
            holding=lambda: self.holding,
            may_write=lambda: self.allowed,
            refused=self._refuse,
        )

    def _refuse(self) -> None:
        self.refusals += 1


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with opened(tmp_path) as found:
        yield found


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Stage]:
    async with open_session("x", data=path / "data", name="ana") as session:
        claim: JsonObject = {
            "epoch": 1,
            "arb": "a",
            "grant": "local",
            "runner": "r",
            "machine": "m",
            "agent": "demo",
            "prompts": [],
            "after": {},
            "closes": {},
        }
        with session.replica.edit() as (edit, _):
            edit.set_turn("t1", {"claim": claim, "started": True})
        await session.flush()
        yield Stage(session)


async def test_the_first_piece_is_there_at_once_and_the_rest_in_steps(
    stage: Stage,
) -> None:
    output, session = stage.output, stage.session
    with session.events() as events:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(output.flush_forever)
            output.take(TextDelta("first"))
            await session.wait_for(lambda view: texts(view, "assistant") == ["first"])
            for number in range(20):
                output.take(TextDelta(f" {number}"))
                await anyio.sleep(0.005)
            await session.wait_for(
                lambda view: texts(view, "assistant")[0].endswith(" 19")
            )
            tasks.cancel_scope.cancel()
        session.close("done")
        seen = [
            (event.at.timestamp(), event.body.text)
            async for event in events
            if isinstance(event.body, AssistantDelta)
        ]
    told = [text for _, text in seen]
    assert told[0] == "first"
    assert "".join(told[1:]) == "".join(f" {n}" for n in range(20))
    for (at, _), (later, _) in pairwise(seen):
        assert later - at > FLUSH_S * 0.9


async def test_twenty_thousand_pieces_arrive_in_order(stage: Stage) -> None:
    output = stage.output
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(output.flush_forever)
        for number in range(20_000):
            output.take(TextDelta(f"{number} "))
            if number % 500 == 0:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await output.flush()
    [said] = texts(stage.session.view, "assistant")
    assert said == "".join(f"{n} " for n in range(20_000))
    assert stage.session.head < 60


async def test_thoughts_messages_and_tools_part_the_text(stage: Stage) -> None:
    output = stage.output
    for event in (
        ThoughtDelta("hm"),
        TextDelta("a", "m1"),
        TextDelta("b", "m1"),
        TextDelta("c", "m2"),
        Tool("k"),
        TextDelta("d", "m2"),
        Tool("k", "completed"),
        Tool("l"),
        TextDelta("e", "m2"),
    ):
        output.take(event)
    await output.flush()
    view = stage.session.view
    said = [(m.role, view.text(m.id)) for m in view.messages]
    assert said == [
        ("thought", "hm"),
        ("assistant", "ab"),
        ("assistant", "c"),
        ("assistant", "d"),
        ("assistant", "e"),
    ]
    assert view.text(view.tools["t1/k"].message) == "c"
    assert view.text(view.tools["t1/l"].message) == "d"
    assert all(m.turn == "t1" and m.author == "demo-1" for m in view.messages)


async def test_a_tool_is_told_field_by_field(stage: Stage) -> None:
    output, session = stage.output, stage.session
    output.take(Tool("k", title="Run", kind="execute", input={"a": 1}))
    await output.flush()
    started = session.view.tools["t1/k"].started_at
    output.take(
        Tool(
            "k",
            "completed",
            title="Run it",
            kind="execute",
            input={"a": 1},
            output={"b": 2},
            content=({"type": "diff"},),
            locations=({"path": "a"},),
            exit_code=0,
        )
    )
    await output.flush()
    tool = session.view.tools["t1/k"]
    assert (tool.title, tool.phase, tool.exit_code) == ("Run it", "completed", 0)
    assert (tool.started_at, tool.ended_at != "") == (started, True)
    assert (tool.content, tool.locations) == (({"type": "diff"},), ({"path": "a"},))
    assert tool.output == '{\n  "b": 2\n}'


async def test_a_rolling_output_is_appended_once(stage: Stage) -> None:
    output, lines = stage.output, [f"line {n}\n" for n in range(3000)]
    for end in range(100, 3001, 100):
        output.take(Tool("k", terminal="".join(lines[max(0, end - 1000) : end])))
        await output.flush()
    assert stage.session.view.tools["t1/k"].output == "".join(lines)


async def test_an_output_that_was_replaced_starts_anew(stage: Stage) -> None:
    for text in ("one", "one two", "three", "three"):
        stage.output.take(Tool("k", output=text))
        await stage.output.flush()
    assert stage.session.view.tools["t1/k"].output == "one two\nthree"


async def test_an_endless_output_is_cut(stage: Stage) -> None:
    for size in range(1, 5):
        stage.output.take(Tool("k", output="x" * (size * 100_000)))
        await stage.output.flush()
    told = stage.session.view.tools["t1/k"].output
    assert told == "x" * OUTPUT_CHARS_MAX + LEFT_OUT


async def test_plans_and_usage_are_on_the_turn(stage: Stage) -> None:
    output, session = stage.output, stage.session
    output.take(Plan((PlanEntry("p", "pending", "low"),)))
    output.take(Usage(used=1, size=10, currency="EUR"))
    await output.flush()
    head = session.head
    output.take(Usage(used=2))
    await output.flush()
    [turn] = session.view.turns.values()
    assert turn.plan == ({"text": "p", "status": "pending", "priority": "low"},)
    assert turn.usage == {"used": 1, "size": 10, "currency": "EUR"}
    # The rest of the second's usage comes with the end of the turn.
    assert session.head == head
    assert output.usage == {"used": 2, "size": 10, "currency": "EUR"}


async def test_without_the_lease_nothing_more_is_written(stage: Stage) -> None:
    stage.allowed = False
    stage.output.take(TextDelta("late"))
    await stage.output.flush()
    assert stage.session.view.message_count == 0


async def test_what_the_door_refuses_is_reported(stage: Stage) -> None:
    stage.holding = Holding(epoch=99, attempt=1)
    stage.output.take(TextDelta("late"))
    await stage.output.flush()
    assert stage.refusals == 1
    assert stage.session.replica.unsaved == 1
    await stage.session.flush()
    assert stage.session.replica.unsaved == 0


async def test_what_cannot_be_written_now_is_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.session.replica.UNSAVED_UPDATES_MAX", 0)
    stage.output.take(TextDelta("kept"))
    await stage.output.flush()
    assert stage.session.view.message_count == 0
    monkeypatch.setattr(
        "crdtsync.session.replica.UNSAVED_UPDATES_MAX", UNSAVED_UPDATES_MAX
    )
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.output.flush_forever)
            await stage.session.wait_for(
                lambda view: texts(view, "assistant") == ["kept"]
            )
            tasks.cancel_scope.cancel()
