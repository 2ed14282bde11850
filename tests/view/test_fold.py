"""One change: the events it gives, their order, and what cannot be told as events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.events import (
    AssistantDelta,
    AssistantMessage,
    LeaseChanged,
    Merged,
    MessageAdded,
    Reset,
    TitleChanged,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from tests.picture import assert_same
from tests.story import AT, Window, begun, claim, said, turn_of
from tests.strategies import Write


def _raw(window: Window) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=99)
    doc.apply_update(window.document.state())
    return doc


def _begin(window: Window, turn: str = "t1") -> None:
    window.write(
        Write("set_turn", (turn, {"claim": claim(turn, 1, "p1"), "started": True}))
    )


def test_events_of_one_change_come_in_reading_order() -> None:
    writer = Window.fresh(1)
    for step in turn_of("t1", "p1"):
        writer.write(*step)
    writer.write(Write("seed", ({"title": "Build"},)), said("p2"))
    writer.write(Write("enqueue", ("p2", "U0000002")))
    reader = Window.fresh(2)
    reader.receive(writer.document.state())
    assert reader.types() == [
        "message",
        "lease",
        "turn.started",
        "assistant.message",
        "approval.resolved",
        "tool",
        "assistant.message",
        "plan",
        "usage",
        "turn.ended",
        "message",
        "title",
        "queue",
    ]
    reader.picture.check()


def test_turns_that_come_in_at_once_read_one_after_the_other() -> None:
    writer = Window.fresh(1)
    for step in (*turn_of("t1", "p1"), *turn_of("t2", "p2", 2)):
        writer.write(*step)
    reader = Window.fresh(2)
    told = reader.receive(writer.document.state())
    spoken = (MessageAdded, TurnStarted, AssistantMessage, ToolChanged, TurnEnded)
    one = [
        "message",
        "turn.started",
        "assistant.message",
        "tool",
        "assistant.message",
        "turn.ended",
    ]
    assert [body.type for body in told if isinstance(body, spoken)] == one * 2
    reader.picture.check()


def test_a_tool_stands_between_the_messages_around_it_while_a_turn_runs() -> None:
    writer = Window.fresh(1)
    reader = Window.fresh(2)
    reader.receive(writer.document.state())
    _begin(writer)
    writer.write(begun("a1", "t1"), Write("append_text", ("a1", "I look.")))
    reader.receive(writer.document.state())
    seen = reader.document.state_vector()
    writer.write(Write("set_tool", ("t1/c", {"message": "a1", "phase": "completed"})))
    writer.write(begun("a2", "t1"), Write("append_text", ("a2", "It is there.")))
    writer.write(Write("set_tool", ("t1/d", {"message": "a2", "phase": "pending"})))
    told = reader.receive(writer.document.diff(seen))
    assert [body.type for body in told] == [
        "assistant.message",
        "tool",
        "assistant.delta",
        "tool",
    ]


def test_a_turn_that_wrote_nothing_stands_behind_its_prompt() -> None:
    writer = Window.fresh(1)
    writer.write(said("p1"))
    _begin(writer)
    writer.write(Write("set_tool", ("t1/c", {"phase": "failed"})))
    writer.write(Write("set_turn", ("t1", {"ended": True, "stop_reason": "error"})))
    writer.write(said("m2"))
    reader = Window.fresh(2)
    told = reader.receive(writer.document.state())
    assert [body.type for body in told] == [
        "message",
        "turn.started",
        "tool",
        "turn.ended",
        "message",
    ]


def test_tools_of_one_change_come_in_the_order_they_started() -> None:
    window = Window.fresh()
    window.write(
        Write("set_tool", ("t1/b", {"started_at": "1"})),
        Write("set_tool", ("t1/a", {"started_at": "2"})),
        Write("set_tool", ("t1/c", {"started_at": "1"})),
        Write("append_output", ("t1/a", "x")),
    )
    keys = [body.tool.key for body in window.bodies if isinstance(body, ToolChanged)]
    assert keys == ["t1/b", "t1/c", "t1/a"]


def test_a_block_in_the_middle_is_told_and_one_at_the_end_is_not() -> None:
    here, there = Window.fresh(1), Window.fresh(2)
    there.receive(here.write(said("m0")))
    before = there.document.state_vector()
    late = Window.joining([here.document.state()], looked=False)
    there.write(said("m3", author="cyd"))
    there.write(said("m4"))
    # Yjs puts what the lower client id wrote first.
    here.write(said("m1", author="ana"), said("m2", author="bob"))
    at_end = there.document.diff(before)
    assert [body.type for body in here.receive(at_end)] == ["message", "message"]
    in_middle = here.document.diff(before)
    merged = Merged(("m1", "m2"), ("ana", "bob"), AT, AT, "m3")
    late.receive(at_end)
    for window in (there, late):
        bodies = window.receive(in_middle)
        assert [body.type for body in bodies] == ["message", "message", "merged"]
        assert bodies[-1] == merged
        assert window.told[-1].actor == "ana"


def test_several_blocks_of_one_change_are_told_each_to_who_never_looked() -> None:
    writer = Window.fresh(1)
    writer.write(said("m0"), said("m9"))
    reader = Window.joining([writer.document.state()], looked=False)
    doc = _raw(writer)
    messages = _messages(doc)
    with doc.transaction():
        for at, name in ((0, "a"), (2, "b"), (4, "c")):
            messages.insert(at, {"id": name, "role": "user", "at": name})
    bodies = reader.receive(doc.get_update())
    assert [body for body in bodies if isinstance(body, Merged)] == [
        Merged(("a",), ("",), "a", "a", "m0"),
        Merged(("b",), ("",), "b", "b", "m9"),
    ]
    assert [message.id for message in reader.view.messages] == [
        "a", "m0", "b", "m9", "c",
    ]  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_update_that_comes_three_times_is_one_row(order: tuple[int, ...]) -> None:
    writers = [Window.fresh(number + 1) for number in range(3)]
    updates = [w.write(said(f"m{n}")) for n, w in enumerate(writers)]
    reader = Window.fresh(9)
    for number in (*order, *reversed(order), *order):
        reader.receive(updates[number])
    added = [body for body in reader.bodies if isinstance(body, MessageAdded)]
    assert sorted(body.message.id for body in added) == ["m0", "m1", "m2"]
    assert len(reader.view.messages) == 3


def test_a_change_that_changes_nothing_tells_nothing() -> None:
    window = Window.fresh()
    update = window.write(said("m1"))
    window.forget()
    assert window.receive(update) == []
    assert window.write() == b""


def test_what_went_on_before_is_over_before_the_next_turn_begins() -> None:
    writer = Window.fresh(1)
    _begin(writer)
    question = {"number": 1, "turn": "t1", "tool": "t1/c", "title": "x", "options": []}
    writer.write(Write("ask", ("q", question)))
    reader = Window.fresh(2)
    reader.receive(writer.document.state())
    seen = reader.document.state_vector()
    writer.write(Write("set_turn", ("t1", {"ended": True, "stop_reason": "lost"})))
    for step in turn_of("t2", "p2", 2):
        writer.write(*step)
    told = [body.type for body in reader.receive(writer.document.diff(seen))]
    assert told[:4] == ["message", "approval.resolved", "turn.ended", "lease"]
    reader.picture.check()


# Streamed bodies.


def test_a_message_is_whole_when_the_next_one_of_its_turn_begins() -> None:
    window = Window.fresh()
    _begin(window)
    window.write(begun("a", "t1"), Write("append_text", ("a", "one")))
    late = Window.joining([window.document.state()])
    window.forget()
    update = window.write(
        Write("append_text", ("a", " two")),
        begun("b", "t1"),
        Write("append_text", ("b", "x")),
        begun("c", "t1"),
        Write("append_text", ("c", "y")),
    )
    late.receive(update)

    def message(name: str) -> Message:
        return Message(name, "assistant", "demo", AT, turn="t1")

    assert window.bodies == late.bodies == [
        AssistantDelta("a", "t1", " two"),
        AssistantMessage(message("a"), "one two"),
        AssistantMessage(message("b"), "x"),
        AssistantDelta("c", "t1", "y"),
    ]  # fmt: skip


def test_a_body_that_is_here_before_its_header_is_told_with_it() -> None:
    window = Window.fresh()
    _begin(window)
    window.write(Write("open_text", ("a",)), Write("append_text", ("a", "first ")))
    window.forget()
    window.write(
        Write("append_text", ("a", "then")),
        Write("set_entry", (schema.TEXTS, "other", "no text")),
    )
    doc = _raw(window)
    header = {"id": "a", "role": "assistant", "turn": "t1"}
    _messages(doc).append(header)
    assert window.receive(doc.get_update()) == [AssistantDelta("a", "t1", "first then")]


def test_a_body_that_comes_after_its_header_is_told() -> None:
    window = Window.fresh()
    _begin(window)
    doc = _raw(window)
    header = {"id": "a", "role": "assistant", "turn": "t1"}
    _messages(doc).append(header)
    assert window.receive(doc.get_update()) == []
    doc.get(schema.TEXTS, type=Map)["a"] = Text("text")
    assert window.receive(doc.get_update()) == [AssistantDelta("a", "t1", "text")]
    window.picture.check()


def test_a_body_of_a_later_role_streams_as_well() -> None:
    window = Window.fresh()
    song = Message("a", "song", "demo", AT)
    window.write(Write("add_message", (song,)), Write("open_text", ("a",)))
    window.write(Write("append_text", ("a", "la")))
    assert window.bodies == [
        MessageAdded(song, queued=False),
        AssistantDelta("a", "", "la"),
    ]
    late = Window.fresh()
    late.receive(window.document.state())
    assert late.bodies == window.bodies
    late.picture.check()


def test_a_message_that_holds_its_text_has_no_other() -> None:
    window = Window.fresh()
    window.write(said("a", "said"), Write("open_text", ("a",)))
    window.write(Write("append_text", ("a", "streamed")))
    assert window.types() == ["message"]
    assert window.view.text("a") == "said"


def test_who_joined_late_gets_the_last_message_whole_at_the_end() -> None:
    window = Window.fresh()
    _begin(window)
    window.write(begun("a", "t1"), Write("append_text", ("a", "one")))
    window.write(said("m1"), begun("other", "t2"))
    late = Window.joining([window.document.state()], looked=False)
    late.receive(window.write(Write("set_turn", ("t1", {"ended": True}))))
    assert late.types() == ["assistant.message", "turn.ended"]


def test_a_turn_that_wrote_nothing_ends_with_no_message() -> None:
    window = Window.fresh()
    _begin(window)
    late = Window.joining([window.document.state()])
    late.receive(window.write(Write("set_turn", ("t1", {"ended": True}))))
    assert late.types() == ["turn.ended"]


# What only a foreign client does.


def _messages(doc: Doc[Any]) -> Array[Any]:
    shared: Array[Any] = doc.get(schema.MESSAGES, type=Array)
    return shared


def _body(doc: Doc[Any]) -> Text:
    body = doc.get(schema.TEXTS, type=Map)["a"]
    assert isinstance(body, Text)
    return body


BREACHES: dict[str, Callable[[Doc[Any]], object]] = {
    "delete a message": lambda doc: _messages(doc).pop(0),
    "write into a message": lambda doc: _messages(doc)[1].update({"text": "changed"}),
    "insert into a text": lambda doc: _body(doc).insert(1, "in the middle"),
    "delete from a text": lambda doc: _body(doc).clear(),
    "format a text": lambda doc: _body(doc).format(0, 2, {"bold": True}),
    "embed in a text": lambda doc: _body(doc).insert_embed(4, {"a": 1}),
    "replace a text": lambda doc: doc.get(schema.TEXTS, type=Map).update({"a": Text()}),
    "delete a turn": lambda doc: doc.get(schema.TURNS, type=Map).pop("t1"),
    "restart a turn": lambda doc: doc.get(schema.TURNS, type=Map)["t1"].pop("started"),
    "delete a tool call": lambda doc: doc.get(schema.TOOLS, type=Map).pop("t1/a"),
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
def test_what_events_cannot_tell_is_one_reset(
    breach: Callable[[Doc[Any]], object],
) -> None:
    window = Window.fresh()
    _begin(window)
    window.write(said("m1"), begun("a", "t1"), Write("append_text", ("a", "text")))
    window.write(Write("set_tool", ("t1/a", {"phase": "pending"})))
    doc = _raw(window)
    _messages(doc).insert(1, Map({"id": "f", "role": "note"}))
    window.receive(doc.get_update())
    breach(doc)
    assert window.receive(doc.get_update()) == [
        Reset("rewritten", len(window.view.messages))
    ]
    window.picture.check()
    assert_same(window.view, Window.joining([window.document.state()]).view)
    # What follows is told again.
    window.forget()
    _begin(window, "t9")
    window.write(begun("b", "t9"), Write("append_text", ("b", "on")))
    window.write(Write("set_turn", ("t9", {"ended": True})))
    assert window.types() == [
        "turn.started",
        "assistant.delta",
        "assistant.message",
        "turn.ended",
    ]
    window.picture.check()


def test_a_turn_that_runs_through_a_reset_still_ends_once() -> None:
    window = Window.fresh()
    _begin(window)
    window.write(said("m1"), begun("a", "t1"), Write("append_text", ("a", "text")))
    doc = _raw(window)
    del _messages(doc)[0]
    window.receive(doc.get_update())
    window.forget()
    window.write(Write("append_text", ("a", " on")))
    window.write(Write("set_turn", ("t1", {"ended": True})))
    assert window.types() == ["assistant.delta", "assistant.message", "turn.ended"]


def test_nested_values_are_read_as_json() -> None:
    window = Window.fresh()
    window.view.messages  # noqa: B018 - read before
    doc = _raw(window)
    messages = _messages(doc)
    with doc.transaction():
        messages.append(Map({"id": "f", "role": "note", "n": float("inf")}))
        messages.append(Text("text"))
        messages.append({"id": "b", "role": "note", "bytes": b"ab", "one": 1.0})
        doc.get(schema.TURNS, type=Map)["t1"] = Map({"plan": Array([1.0])})
        doc.get(schema.TEXTS, type=Map)["m"] = Map({"inside": Text("text")})
    window.receive(doc.get_update())
    nested, text, value = window.view.messages
    assert (nested.id, nested.extra) == ("f", {"n": None})
    assert text == Message("", "", "", "")
    assert value.extra == {"bytes": [97, 98], "one": 1}
    doc.get(schema.TURNS, type=Map)["t1"]["plan"].append(2.0)
    doc.get(schema.TEXTS, type=Map)["m"]["inside"].insert(0, "more ")
    doc.get(schema.TEXTS, type=Map)["m"]["other"] = 1
    window.receive(doc.get_update())
    assert window.view.turns["t1"].plan == (1, 2)
    assert_same(window.view, Window.joining([window.document.state()]).view)


def test_roots_of_another_kind_change_nothing() -> None:
    window = Window.fresh()
    window.write(said("m1"))
    doc: Doc[Any] = Doc()
    doc.get(schema.TURNS, type=Array).append(1)
    doc.get(schema.META, type=Text).insert(0, "meta")
    assert window.receive(doc.get_update()) == []


def test_the_lease_and_the_title_are_told_as_they_are() -> None:
    window = Window.fresh()
    window.write(Write("set_lease", ({"holder": "r", "epoch": 1.0, "turn": "t1"},)))
    window.write(Write("set_entry", (schema.LEASE, "other", 1)))
    window.write(Write("set_meta", ({"title": "one", "agent": {}},)))
    doc = _raw(window)
    del doc.get(schema.LEASE, type=Map)["turn"]
    window.receive(doc.get_update())
    assert window.bodies == [
        LeaseChanged("r", 1, "t1", ""),
        TitleChanged("one"),
        LeaseChanged("", 0, "", ""),
    ]


def test_a_view_first_read_inside_an_edit_is_right_after_it() -> None:
    window = Window(Document(), looked=False)
    with window.document.edit() as edit:
        edit.add_message(Message("m1", "user", "ana", AT, "one"))
        assert [message.id for message in window.view.messages] == ["m1"]
        edit.add_message(Message("m2", "user", "ana", AT, "two"))
    window.folder.fold(edit.change)
    assert [message.id for message in window.view.messages] == ["m1", "m2"]
