"""The typed document: each write is one update, and nothing that is there gets lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from crdtsync import schema
from crdtsync.document import Document, Edit
from crdtsync.document.parts import EntryChanged, TextChanged
from crdtsync.entities import Message, Participant
from crdtsync.errors import LogDamaged, LogUnwritable, NewerFormat, UsageError
from crdtsync.schema import JsonObject
from crdtsync.view import SessionView
from tests.story import AT, turn_of, updates_of
from tests.strategies import Write, write

ANA = Participant("p-ana", "ana", "person", AT, 3)


def _session() -> Document:
    document = Document.load(updates_of(turn_of("t1", "p1")))
    with document.edit() as edit:
        edit.seed({"id": "s", "title": "Build"})
        edit.add_participant(ANA)
    return document


def _content(document: Document) -> str:
    roots = [root for root, kind in schema.ROOTS.items() if kind == "map"]
    found = {root: document.json(root) for root in roots}
    whole = json.dumps([document.headers(), found], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _extent(document: Document) -> tuple[list[int], int]:
    """What it has seen, and its size: the order within both varies."""
    return sorted(document.state_vector()), len(document.state())


# Writes.


def test_a_new_session_is_seeded_in_one_update() -> None:
    document = Document(7)
    assert (document.schema_version, document.read_only) == (0, False)
    with document.edit() as edit:
        edit.seed({"id": "s", "title": "one"})
        edit.add_participant(ANA)
    other = Document.load([edit.change.update])
    assert other.json(schema.META) == {"schema": 1, "id": "s", "title": "one"}
    assert other.entry(schema.PARTICIPANTS, "p-ana") == {
        "name": "ana",
        "kind": "person",
        "joined_at": AT,
        "slot": 3,
    }
    assert (document.client_id, document.schema_version) == (7, 1)


def test_messages_are_kept_with_all_their_fields() -> None:
    message = Message(
        "m", "note", "p-ana", AT, "text é𝄞", "t1", "m0", ({"hash": "x"},), "send",
        {"later": [1, None]},
    )  # fmt: skip
    document = Document()
    with document.edit() as edit:
        edit.add_message(message)
    assert document.message_count == 1
    assert [Message.from_json(h) for h in document.headers()] == [message]
    assert not document.has(schema.TEXTS, "m")


def test_a_streamed_body_grows_at_its_end() -> None:
    document = Document()
    with document.edit() as edit:
        edit.add_message(Message("m", "assistant", "demo", AT))
        edit.append_text("m", "é")
    with document.edit() as edit:
        edit.append_text("m", "𝄞.")
    assert edit.change.parts == [
        TextChanged(schema.TEXTS, ("m",), (("retain", 2), ("insert", "𝄞.")), length=7)
    ]
    assert (document.text("m"), document.text_bytes("m")) == ("é𝄞.", 7)
    assert (document.text("no"), document.text_bytes("no")) == ("", 0)


@pytest.mark.parametrize(
    ("write_to", "says"),
    [
        (Write("append_text", ("m", "x")), "message m has no streamed body"),
        (Write("append_output", ("t/a", "x")), "there is no tool call t/a"),
        (Write("vote", ("a", "bob", "y")), "there is no open question a"),
    ],
    ids=["text", "output", "vote"],
)
def test_writing_to_what_is_not_there_is_refused(write_to: Write, says: str) -> None:
    document = Document()
    with document.edit() as edit, pytest.raises(UsageError, match=says):
        getattr(edit, write_to.method)(*write_to.args)
    assert edit.change.update == b""


def test_tools_approvals_and_the_queue_change_field_by_field() -> None:
    document = Document()
    write(
        document,
        [
            Write("set_tool", ("t/a", {"phase": "pending"})),
            Write("append_output", ("t/a", "one ")),
            Write("append_output", ("t/a", "two")),
            Write("set_tool", ("t/a", {"phase": "completed"})),
            Write("ask", ("q", {"turn": "t"})),
            Write("vote", ("q", "bob", "y")),
            Write("decide", ("q", "y", "bob")),
            Write("decide", ("q", "n", "eve")),
            Write("decide", ("no", "n", "eve")),
            Write("enqueue", ("p", "U0000001")),
            Write("set_queue", ("p", {"held": True})),
            Write("set_queue", ("no", {"held": True})),
            Write("withdraw", ("no",)),
            Write("set_turn", ("t", {"claim": {"epoch": 1}})),
            Write("set_turn", ("t", {"ended": True})),
            Write("set_lease", ({"epoch": 1},)),
            Write("set_draft", ("bob", {"text": "draft"})),
            Write("set_entry", (schema.TOOLS, "t/b", "anything")),
        ],
    )
    assert {root: document.json(root) for root in (schema.TOOLS, schema.APPROVALS)} == {
        "tools": {
            "t/a": {"phase": "completed", "output": "one two"},
            "t/b": "anything",
        },
        "approvals": {
            "q": {
                "turn": "t",
                "votes": {"bob": "y"},
                "decision": "y",
                "decided_by": "bob",
            }
        },
    }
    assert document.json(schema.QUEUE) == {"p": {"rank": "U0000001", "held": True}}
    assert document.json(schema.TURNS) == {"t": {"claim": {"epoch": 1}, "ended": True}}
    assert document.entry(schema.LEASE, "turn") == {"epoch": 1}
    assert document.entry(schema.DRAFTS, "bob") == {"text": "draft"}
    write(document, [Write("withdraw", ("p",))])
    assert not document.has(schema.QUEUE, "p")
    assert document.entry(schema.QUEUE, "p") is None


@pytest.mark.parametrize(
    "again",
    [
        Write("add_participant", (ANA,)),
        Write("set_meta", ({"title": "Build"},)),
        Write("set_tool", ("t1/call", {"phase": "completed", "exit_code": 0})),
        Write("set_turn", ("t1", {"started": True})),
    ],
    ids=lambda again: str(again.method),
)
def test_writing_what_is_there_already_leaves_no_trace(again: Write) -> None:
    document = _session()
    before = document.state()
    assert write(document, [again]).update == b""
    assert document.state() == before


def test_a_change_names_what_was_there_before() -> None:
    document = _session()
    with document.edit() as edit:
        edit.set_meta({"title": "Other", "agent": {}})
    assert edit.change.parts == [
        EntryChanged(
            schema.META, (), frozenset({"title", "agent"}), frozenset({"title"})
        )
    ]


# An edit that fails.


def test_what_was_written_before_an_exception_comes_out_as_its_change() -> None:
    document = Document(1)

    def fail(edit: Edit) -> None:
        edit.set_meta({"title": "before"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), document.edit() as edit:
        fail(edit)
    with document.edit() as following:
        following.set_meta({"id": "after"})
    assert [
        sorted(p.keys) for p in edit.change.parts if isinstance(p, EntryChanged)
    ] == [["title"]]
    assert [
        sorted(p.keys) for p in following.change.parts if isinstance(p, EntryChanged)
    ] == [["id"]]
    other = Document.load([edit.change.update, following.change.update])
    assert other.state() == document.state()


def test_an_edit_inside_another_is_refused_and_the_outer_one_goes_on() -> None:
    document = Document(1)
    with document.edit() as edit:
        edit.set_meta({"title": "one"})
        with pytest.raises(UsageError, match="inside another"), document.edit():
            pytest.fail("there was an edit inside an edit")
        edit.set_meta({"id": "two"})
    other = Document.load([edit.change.update])
    assert other.json(schema.META) == {"title": "one", "id": "two"}
    with document.edit() as edit:
        edit.set_meta({"title": "three"})


def test_what_another_wrote_can_be_applied_within_an_edit() -> None:
    other = _session()
    document = Document(1)
    with document.edit() as edit:
        edit.apply(other.state())
        edit.set_meta({"title": "merged"})
    assert Document.load([edit.change.update]).json(schema.META) == {
        "schema": 1,
        "id": "s",
        "title": "merged",
    }


# Loading.


def test_loading_and_saving_twenty_times_changes_nothing() -> None:
    document = _session()
    content, before, view = _content(document), _extent(document), SessionView(document)
    for _ in range(20):
        saved = [document.state(), document.state()]
        document = Document.load(saved)
        again = document.apply(saved)
        assert (again.update, again.parts) == (b"", [])
    assert _content(document) == content
    assert _extent(document) == before
    assert SessionView(document) == view


def test_a_newer_schema_can_be_read_but_not_written() -> None:
    document = Document()
    with document.edit() as edit:
        edit.set_meta({"schema": 2, "title": "later"})
    newer = Document.load([document.state()])
    assert newer.read_only
    says = "schema 2, which is too new"
    with pytest.raises(NewerFormat, match=says) as caught, newer.edit():
        pytest.fail("it was written")
    assert caught.value.hint.startswith("Update crdtsync")
    assert newer.state() == document.state()
    assert SessionView(newer).meta.title == "later"
    # It still takes what others write.
    source: Doc[Any] = Doc()
    source.get(schema.META, type=Map)["id"] = "s"
    newer.apply([source.get_update()])
    assert SessionView(newer).meta.id == "s"


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\xff" * 9, b"text"])
def test_a_damaged_update_is_an_error_that_says_what_to_do(damaged: bytes) -> None:
    good = _session().state()
    with pytest.raises(LogDamaged) as loading:
        Document.load([good, damaged])
    assert "crdtsync doctor" in loading.value.hint
    with pytest.raises(LogDamaged) as applying:
        Document.load([good]).apply([damaged])
    assert applying.value.hint.startswith("Reopen the session")


@pytest.mark.parametrize("error", [KeyboardInterrupt, LogUnwritable])
def test_an_error_of_the_source_of_updates_stays_what_it_is(
    error: type[BaseException],
) -> None:
    def updates() -> Iterator[bytes]:
        yield _session().state()
        raise error("stop")

    with pytest.raises(error):
        Document.load(updates())


class _Interrupted(list[bytes]):
    def __iter__(self) -> Iterator[bytes]:
        raise KeyboardInterrupt


def test_an_interrupt_while_applying_is_no_damage() -> None:
    with pytest.raises(KeyboardInterrupt):
        Document().apply(_Interrupted())


# Exchange.


def test_a_difference_is_all_that_another_replica_lacks() -> None:
    one, other = _session(), Document(9)
    other.apply([one.diff(other.state_vector())])
    assert (_content(other), _extent(other)) == (_content(one), _extent(one))
    assert other.apply([one.diff(other.state_vector())]).update == b""
    with pytest.raises(ValueError, match="Cannot decode"):
        one.diff(b"no vector")


def test_unknown_roots_keys_and_values_are_kept_and_passed_on() -> None:
    later: Doc[Any] = Doc()
    later.get("later", type=Map)["x"] = Array([1])
    later.get(schema.META, type=Map)["mood"] = {"good": True}
    later.get(schema.MESSAGES, type=Array).append({"id": "m", "role": "dance"})
    later.get(schema.TOOLS, type=Map)["t/a"] = Map({"phase": "dreaming"})
    document = Document.load([_session().state(), later.get_update()])
    write(document, [Write("set_meta", ({"title": "edited"},))])
    other = Document.load([document.state()])
    view = SessionView(other)
    assert other.unknown_roots() == ("later",)
    assert view.meta.extra == {"mood": {"good": True}}
    assert view.messages[-1].role == "dance"
    assert view.tools["t/a"].phase == "dreaming"
    kept: Doc[Any] = Doc()
    kept.apply_update(other.state())
    assert kept.get("later", type=Map).to_py() == {"x": [1.0]}


def test_a_value_of_any_kind_is_read_as_json() -> None:
    foreign: Doc[Any] = Doc()
    drafts = foreign.get(schema.DRAFTS, type=Map)
    drafts["map"] = Map({"n": 1.0})
    drafts["array"] = Array([1.0, None])
    drafts["text"] = Text("é")
    drafts["value"] = 2.0
    document = Document.load([foreign.get_update()])
    found = {key: document.entry(schema.DRAFTS, key) for key in drafts.keys()}  # noqa: SIM118
    assert found == {"map": {"n": 1}, "array": [1, None], "text": "é", "value": 2}
    assert document.json(schema.DRAFTS) == found


@given(st.lists(st.sampled_from(["a", "é", "𝄞"]), max_size=5), st.booleans())
@settings(max_examples=50, deadline=None)
def test_appended_text_is_told_from_any_other_change(
    pieces: list[str],
    at_end: bool,
) -> None:
    document = Document(1)
    write(document, [Write("open_text", ("m",))])
    raw: Doc[Any] = Doc(client_id=2)
    raw.apply_update(document.state())
    body = raw.get(schema.TEXTS, type=Map)["m"]
    text = ""
    for piece in pieces:
        body.insert(len(body) if at_end else 0, piece)
        parts = document.apply([raw.get_update()]).parts
        (part,) = parts
        assert isinstance(part, TextChanged)
        assert part.appended == (piece if at_end or not text else None)
        text = text + piece if at_end else piece + text
    assert document.text("m") == text


def test_text_that_comes_and_goes_in_one_change_is_nothing() -> None:
    document = Document(1)
    write(document, [Write("open_text", ("m",)), Write("append_text", ("m", "ab"))])
    raw: Doc[Any] = Doc(client_id=2)
    raw.apply_update(document.state())
    body = raw.get(schema.TEXTS, type=Map)["m"]
    with raw.transaction():
        body.insert(1, "x")
        del body[1:2]
    parts = document.apply([raw.get_update()]).parts
    assert all(isinstance(p, TextChanged) and p.appended == "" for p in parts)
    assert document.text("m") == "ab"


def test_values_of_a_wrong_type_count_as_empty() -> None:
    values: JsonObject = {"schema": "one", "title": 3, "agent": [], "id": None}
    document = Document()
    write(document, [Write("set_meta", (values,))])
    assert document.schema_version == 0
    meta = SessionView(document).meta
    assert (meta.schema, meta.title, meta.agent, meta.id) == (0, "", {}, "")
