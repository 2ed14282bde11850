"""What is proposed while a line is typed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from crdtsync_cli.slashes import REGISTRY
from crdtsync_cli.terminal.complete import completes, proposals
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.session import Session
from crdtsync.session.opening import open_session

from .agentless import ask, start_turn


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def session(tmp_path: Path) -> AsyncGenerator[Session]:
    async with (
        open_session("talk", data=tmp_path, name="ana") as ana,
        open_session("talk", data=tmp_path, name="bob") as bob,
    ):
        await bob.send("psst", note=True)
        await ana.wait_for(lambda view: len(ana.presence) == 2)
        yield ana


def words(session: Session, typed: str) -> list[str]:
    return [proposal.word for proposal in proposals(session, typed)]


async def test_a_slash_proposes_every_command(session: Session) -> None:
    assert words(session, "/") == [f"/{slash.name}" for slash in REGISTRY]


async def test_what_begins_so_comes_before_what_has_the_letters(
    session: Session,
) -> None:
    assert words(session, "/th")[0] == "/theme"
    assert words(session, "/ct") == ["/activity"]
    assert "/history" in words(session, "/hs")
    assert words(session, "/theme") == []


async def test_names_are_proposed_anywhere(session: Session) -> None:
    assert words(session, "could you, @") == ["@bob"]
    assert words(session, "/note ask @b") == ["@bob"]
    assert words(session, "mail me@") == []
    assert words(session, "@zz") == []


async def test_arguments_are_proposed_by_kind(session: Session) -> None:
    assert words(session, "/queue ") == ["show", "move", "drop", "edit", "clear", "run"]
    assert words(session, "/export h") == ["html"]
    assert words(session, "/theme l") == ["light"]
    assert words(session, "/follow ") == ["@bob", "off"]
    assert words(session, "/help act") == ["activity"]
    assert words(session, "/queue drop 1 ") == []
    assert words(session, "/title any ") == []
    assert words(session, "/nothing ") == []


async def test_what_waits_is_proposed_by_number(session: Session) -> None:
    first = await session.send("first")
    await session.send("second")
    assert [(p.word, p.about) for p in proposals(session, "/queue drop ")] == [
        ("1", 'ana "first"'),
        ("2", 'ana "second"'),
    ]
    start_turn(session, first.id)
    ask(session, 7)
    assert [(p.word, p.about) for p in proposals(session, "/allow ")] == [
        ("7", "rm -r build/")
    ]
    assert words(session, "/cancel ") == ["1"]


@pytest.mark.parametrize(
    ("typed", "does"),
    [("/", True), ("/queue dr", True), ("hi @b", True), ("//x", False), ("hi", False)],
)
def test_tab_completes_only_in_commands_and_names(typed: str, *, does: bool) -> None:
    assert completes(typed) is does


@given(st.text(alphabet="/@ abhquo1\n\t", max_size=12))
def test_any_text_is_read(typed: str) -> None:
    assert completes(typed) in {True, False}
