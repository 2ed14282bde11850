"""/agent: a window starts, changes and stops the agent that it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.actions import act
from crdtsync_cli.attention import Attention
from crdtsync_cli.running import Ways, find_agent
from crdtsync_cli.seat import Seat, seated
from crdtsync_cli.settings import resolve
from crdtsync_cli.slash import read_line
from crdtsync_cli.terminal.complete import proposals

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.host import run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import ECHO, QUICK, answers, until

ENDLESS = "exec:sh -c 'cat; exec sleep 600'"


@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Session, Seat]]:
    """A window with a free seat."""
    ways = Ways("ask", tmp_path)
    settings = resolve({}, {}, {}, tmp_path)
    async with (
        open_session("s", data=tmp_path, name="ana", timing=QUICK) as session,
        seated(session, None, ways, settings) as seat,
    ):
        yield session, seat


async def do(session: Session, seat: Seat | None, text: str) -> str:
    line = read_line(text)
    assert line is not None
    return " ".join((await act(session, line, Attention(), seat)).lines)


async def wait_until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - presence is no part of the view
            await anyio.sleep(0.01)


async def ask(session: Session, text: str) -> None:
    sent = await session.send(text)
    with anyio.fail_after(30):
        await session.wait_turn(sent.id)


async def test_a_window_starts_an_agent_and_stops_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as (session, seat):
        free = "no agent runs in this window: /agent NAME starts one"
        assert await do(session, seat, "/agent") == free
        assert (await do(session, seat, "/agents")).startswith("no agent runs here")
        waiting = await session.send("one")
        runs = "runs the turns in this window"
        assert runs in await do(session, seat, "/agent exec:cat")
        with anyio.fail_after(30):
            await session.wait_turn(waiting.id)
        assert answers(session.view) == ["one"]
        await wait_until(lambda: session.agents() == [seat.name])
        assert await do(session, seat, "/agent none") == free
        await wait_until(lambda: session.agents() == [])
        await session.send("two")
        assert len(session.view.pending) == 1


async def test_a_window_knows_which_agent_runs_elsewhere(tmp_path: Path) -> None:
    async with (
        stage(tmp_path) as (session, seat),
        open_session("s", data=tmp_path, name="bob") as bob,
        run_agent(bob, ECHO),
    ):
        await wait_until(lambda: session.agents() == ["echo"])
        assert "; elsewhere echo does. /agent NAME" in await do(session, seat, "/agent")
        assert (await do(session, seat, "/agents")).startswith("runs here: echo known:")


async def test_another_agent_takes_the_seat(tmp_path: Path) -> None:
    async with stage(tmp_path) as (session, seat):
        await do(session, seat, "/agent exec:cat")
        await ask(session, "one")
        await do(session, seat, "/agent exec:sed s/^/not/")
        await ask(session, "two")
        agents = [t.claim.agent for t in session.view.turns.values() if t.claim]
        assert len(set(agents)) == 2
        assert "nottwo" in answers(session.view)[-1]


async def test_no_agent_is_changed_in_the_middle_of_a_turn(tmp_path: Path) -> None:
    async with stage(tmp_path) as (session, seat):
        await do(session, seat, f"/agent {ENDLESS}")
        name = seat.name
        await session.send("one")
        await until(session, lambda view: "one" in "".join(answers(view)))
        for wanted in ("exec:cat", "none"):
            with pytest.raises(OperationFailed, match="in the middle of") as refused:
                await do(session, seat, f"/agent {wanted}")
            assert refused.value.hint.startswith("/cancel stops it")
        assert seat.name == name
        await session.cancel()
        await until(session, lambda view: view.running is None)
        assert "no agent" in await do(session, seat, "/agent none")


async def test_an_unknown_agent_leaves_the_one_there_is(tmp_path: Path) -> None:
    async with stage(tmp_path) as (session, seat):
        await do(session, seat, "/agent exec:cat")
        with pytest.raises(UsageError, match="dmo"):
            await do(session, seat, "/agent dmo")
        await ask(session, "still there")
        assert answers(session.view) == ["still there"]


async def test_a_turn_is_stopped_properly_however_the_window_ends(
    tmp_path: Path,
) -> None:
    settings = resolve({}, {}, {}, tmp_path)
    spec = find_agent(ENDLESS, settings)
    async with open_session("s", data=tmp_path, name="ana", timing=QUICK) as session:
        with suppress(KeyError):
            async with seated(session, spec, Ways("ask", tmp_path), settings):
                await session.send("one")
                await until(session, lambda view: "one" in "".join(answers(view)))
                raise KeyError("of the block")
        (turn,) = session.view.turns.values()
        assert turn.ended
        assert turn.stop_reason == "cancelled"


async def test_who_has_no_seat_is_told_so(tmp_path: Path) -> None:
    async with open_session("s", data=tmp_path, name="ana") as session:
        with pytest.raises(OperationFailed, match="cannot run an agent"):
            await do(session, None, "/agent demo")
        words = [proposal.word for proposal in proposals(session, "/agent ")]
        assert {"demo", "codex", "none"} <= set(words)
