"""What comes into a session from outside."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.document import Document
from crdtsync.errors import UpdateRefused
from crdtsync.links.intake import Intake, open_intake
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.sync.vectors import EMPTY_VECTOR
from tests.host.stage import QUICK
from tests.sync.dialogue import say

ORIGIN = "w@r"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def intake(folder: Path) -> AsyncGenerator[tuple[Session, Intake]]:
    async with (
        open_session("s", data=folder, name="ana", timing=QUICK) as session,
        open_intake(session) as opened,
    ):
        yield session, opened


def texts(session: Session) -> list[str]:
    return [session.view.text(m.id) for m in session.view.messages]


async def test_what_is_taken_is_applied_and_logged_under_its_origin(
    tmp_path: Path,
) -> None:
    async with intake(tmp_path) as (session, door):
        await door.take(say(Document(), "m1", "hello"), ORIGIN)
        assert texts(session) == ["hello"]
        await session.flush()
        rows = await session.log.read(session.id, 0)
        assert rows is not None
        assert [row.origin for row in rows][-1] == ORIGIN


async def test_what_is_known_and_what_says_nothing_is_not_logged(
    tmp_path: Path,
) -> None:
    async with intake(tmp_path) as (session, door):
        update = say(Document(), "m1")
        for _ in range(3):
            await door.take(update, ORIGIN)
            await door.take(b"\0\0", ORIGIN)
        await session.flush()
        head = session.head
        await door.take(update, ORIGIN)
        await session.flush()
        assert session.head == head


async def test_what_comes_too_early_waits(tmp_path: Path) -> None:
    author = Document()
    first, second, third = (say(author, f"m{n}", str(n)) for n in range(3))
    async with intake(tmp_path) as (session, door):
        await door.take(third, ORIGIN)
        await door.take(second, ORIGIN)
        assert texts(session) == []
        await door.take(first, ORIGIN)
        assert texts(session) == ["0", "1", "2"]


async def test_what_is_written_here_may_be_built_upon_at_once(tmp_path: Path) -> None:
    async with intake(tmp_path) as (session, door):
        await session.send("here", note=True)
        author = Document.load([session.replica.document.state()])
        await door.take(say(author, "m1", "there"), ORIGIN)
        assert texts(session) == ["here", "there"]


async def test_what_another_window_wrote_may_be_built_upon(tmp_path: Path) -> None:
    async with (
        intake(tmp_path) as (session, door),
        open_session("s", data=tmp_path, name="ana", timing=QUICK) as second,
    ):
        await second.send("second", note=True)
        with anyio.fail_after(10):
            await session.wait_for(lambda view: view.message_count == 1)
        author = Document.load([second.replica.document.state()])
        await door.take(say(author, "m1", "there"), ORIGIN)
        assert texts(session) == ["second", "there"]


@pytest.mark.parametrize(
    ("update", "rule"),
    [("ff", "T1-1"), ("0101010004010800" + b"messages".hex(), "T1-1")],
)
async def test_what_is_refused_changes_nothing(
    tmp_path: Path, update: str, rule: str
) -> None:
    async with intake(tmp_path) as (session, door):
        before = session.replica.document.state()
        with pytest.raises(UpdateRefused) as caught:
            await door.take(bytes.fromhex(update), ORIGIN)
        assert caught.value.rule == rule
        assert session.replica.document.state() == before


async def test_a_large_update_is_tried_elsewhere_first(tmp_path: Path) -> None:
    async with intake(tmp_path) as (session, door):
        with anyio.fail_after(30):
            await door.take(say(Document(), "m1", "x" * 300_000), ORIGIN)
        assert [len(text) for text in texts(session)] == [300_000]


async def test_prompts_the_other_end_lacks_are_held_and_known_ones_are_not(
    tmp_path: Path,
) -> None:
    async with open_session("s", data=tmp_path, name="ana", timing=QUICK) as session:
        old = (await session.send("old")).id
        known = session.replica.document.state_vector()
        new = (await session.send("new")).id
    async with intake(tmp_path) as (session, door):
        missing = door.hold_for(known)
        assert {p.prompt: p.held for p in session.view.pending} == {
            old: False,
            new: True,
        }
        other = Document.load([session.replica.document.state()])
        assert other.entry("queue", new) == session.replica.document.entry("queue", new)
        typed = (await session.send("typed now")).id
        assert door.hold_for(EMPTY_VECTOR)
        held = {p.prompt: p.held for p in session.view.pending}
        assert held == {old: True, new: True, typed: False}
        await door.take(say(Document(), "m1"), ORIGIN)
        door.hold_for(EMPTY_VECTOR)
        assert all(p.held for p in session.view.pending)
        assert missing


async def test_prompts_of_who_holds_none_are_held_with_the_apply(
    tmp_path: Path,
) -> None:
    async with intake(tmp_path) as (session, door):
        mine = (await session.send("mine")).id
        author = Document.load([session.replica.document.state()])
        before = author.state_vector()
        say(author, "theirs")
        with author.edit() as edit:
            edit.enqueue("theirs", "V0000000")
        await door.take(author.diff(before), ORIGIN, hold=True)
        assert {p.prompt: p.held for p in session.view.pending} == {
            mine: False,
            "theirs": True,
        }
        say(author, "note")
        await door.take(author.diff(before), ORIGIN, hold=True)
        assert len(texts(session)) == 3
