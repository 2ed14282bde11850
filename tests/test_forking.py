"""A new session that starts from a point of another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtsync import schema
from crdtsync.catalog import Catalog
from crdtsync.document import Document
from crdtsync.errors import UsageError
from crdtsync.export.content import Content, read_content, write_content
from crdtsync.forking import cut_content, fork_session
from crdtsync.session.opening import open_session
from crdtsync.view import SessionView
from tests.story import said, turn_of
from tests.strategies import Write, write


def a_session() -> Document:
    """Two prompts, each with a whole turn, and one that waits."""
    document = Document(client_id=1)
    with document.edit() as edit:
        edit.seed({"id": "s1", "title": "plan", "arbiter": "r1"})
    for number, prompt in enumerate(("p1", "p2"), 1):
        for batch in turn_of(f"t{number}", prompt, number):
            write(document, batch)
    write(document, [said("p3"), Write("enqueue", ("p3", "U0000003"))])
    return document


def cut(last: str) -> tuple[Content, SessionView]:
    content = cut_content(read_content(a_session()), last)
    return content, SessionView(write_content(content, "s2"))


def test_all_of_it_is_the_same_but_for_whose_it_is() -> None:
    whole = read_content(a_session())
    content, view = cut("p3")
    for root in (schema.MESSAGES, schema.TEXTS, schema.TURNS, schema.TOOLS):
        assert content[root] == whole[root]
    assert "arbiter" not in json.dumps(content[schema.META])
    assert view.running is None


def test_what_waited_waits_for_a_release() -> None:
    _, view = cut("p3")
    assert [(waiting.prompt, waiting.held) for waiting in view.pending] == [
        ("p3", True)
    ]


def test_a_prompt_without_its_turn_waits_for_a_release() -> None:
    content, view = cut("p2")
    assert set(view.turns) == {"t1"}
    assert [message.id for message in view.messages][-1] == "p2"
    assert [(p.prompt, p.held) for p in view.pending] == [("p2", True)]
    assert "t2" not in json.dumps(content)


def test_a_turn_in_its_middle_ended_there() -> None:
    whole = read_content(a_session())
    ids = [m.id for m in SessionView(a_session()).messages]
    first = next(i for i in ids if i.startswith("t2-"))
    _, view = cut(first)
    record = view.turns["t2"]
    assert (record.ended, record.stop_reason) == (True, "forked")
    assert view.running is None
    assert not view.open_approvals()
    assert all(not tool.open for tool in view.tools.values())
    assert not view.pending
    assert len(view.messages) < len(list(whole[schema.MESSAGES] or ()))  # type: ignore[arg-type]


async def test_a_fork_is_a_session_of_its_own(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        first = await session.send("first", note=True)
        await session.send("second", note=True)
        forked = await fork_session(session, at=first.id)
        assert (forked.name, forked.messages, forked.held) == ("plan-fork", 1, 0)
        async with open_session("plan-fork", data=tmp_path, name="bob") as fork:
            assert [m.text for m in fork.view.messages] == ["first"]
            assert fork.view.meta.extra["forked_from"] == {
                "session": session.id,
                "message": first.id,
            }
            assert fork.view.meta.title == "plan (fork)"
            await fork.send("only here", note=True)
        assert session.view.message_count == 2
    assert {entry.name for entry in Catalog(tmp_path).entries()} == {
        "plan",
        "plan-fork",
    }


async def test_a_fork_needs_a_point_and_a_free_name(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as session:
        with pytest.raises(UsageError, match="the session is empty"):
            await fork_session(session)
        await session.send("first", note=True)
        with pytest.raises(UsageError, match="no message 'nowhere'"):
            await fork_session(session, at="nowhere")
        with pytest.raises(UsageError, match="there already is a session 'plan'"):
            await fork_session(session, name="plan")
        with pytest.raises(UsageError, match="cannot be the name of a session"):
            await fork_session(session, name="a/b")
    assert [entry.name for entry in Catalog(tmp_path).entries()] == ["plan"]
