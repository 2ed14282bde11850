from __future__ import annotations

from pathlib import Path

import anyio

from crdtsync.events import Notice
from crdtsync.host.words import Announcer
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns import effects as fx


async def told(session: Session, *notices: fx.Notice) -> list[str]:
    announcer = Announcer(session)
    with session.events() as events:
        for notice in notices:
            announcer.tell(notice)
        session.close("done")
        with anyio.fail_after(5):
            return [e.body.text async for e in events if isinstance(e.body, Notice)]


async def test_a_wait_for_a_living_window_is_no_news(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        me = f"{session.me.id}_{session.place.window}"
        assert await told(session, fx.WaitingFor(me, "t", 9.0), fx.Proceeding()) == []


async def test_a_wait_for_a_dead_window_is_told_once(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        gone = f"{session.me.id}_0123456789ab"
        first, second = fx.WaitingFor(gone, "t", 9.0), fx.WaitingFor(gone, "t", 5.0)
        assert await told(session, first, second, fx.Proceeding()) == [
            "ana's window is gone in mid-turn; its turn ends in 9 s"
        ]


async def test_a_quarantine_is_told_with_its_reason_and_seconds(
    tmp_path: Path,
) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        [text] = await told(session, fx.Quarantine(12.0), fx.Quarantine(8.0))
    assert text.startswith("who grants turns here is new")
    assert text.endswith("waiting 12 s")


async def test_prompts_that_need_a_person_are_counted(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        assert await told(
            session,
            fx.NeedRelease(("a",)),
            fx.NeedRelease(("a", "b")),
            fx.NeedRelease(()),
        ) == [
            "1 prompt is waiting. Run?",
            "2 prompts are waiting. Run?",
            "no prompt waits for a release any more",
        ]
