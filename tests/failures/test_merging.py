"""What comes in from elsewhere starts no agent: story 18."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from crdtsync.events import Notice
from crdtsync.host import run_agent
from crdtsync.merging import merge_from
from crdtsync.session.opening import open_session
from tests.host.stage import ECHO, QUICK, answers, read_until, until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_hundred_old_prompts_that_are_merged_call_no_agent(
    data: Path, tmp_path: Path
) -> None:
    async with open_session("x", data=data, name="ana", timing=QUICK) as ana:
        start = ana.replica.document.state()
        here = tmp_path / "away"
        here.mkdir()
        (here / "sessions").mkdir()
        await ana.flush()
    source = here / "sessions" / f"{ana.id}.db"
    source.write_bytes((data / "sessions" / source.name).read_bytes())
    async with open_session(ana.id, data=here, name="zoe", timing=QUICK) as zoe:
        for number in range(100):
            await zoe.send(f"old {number}")
        assert start

    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as ana,
        open_session("x", data=data, name="bob", timing=QUICK) as bob,
        run_agent(ana, ECHO),
    ):
        with ana.events() as events:
            merged = await merge_from(bob, here)
            assert (merged.messages, len(merged.held)) == (100, 100)
            notice = (await read_until(events, "notice"))[-1].body
            assert isinstance(notice, Notice)
            assert notice.text == "100 prompts are waiting. Run?"
        await until(ana, lambda view: len(view.pending) == 100)
        fresh = await bob.send("something new")
        with anyio.fail_after(30):
            await bob.wait_turn(fresh.id)
        assert len(ana.view.turns) == 1
        assert len(answers(ana.view)) == 1

        released = await bob.prompts.release(merged.held[:2])
        with anyio.fail_after(30):
            for prompt in released:
                await bob.wait_turn(prompt)
        assert len(bob.view.pending) == 98
        assert all(p.held for p in bob.view.pending)
