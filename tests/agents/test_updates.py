"""The state of a turn, against everything an agent could send."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.agents import (
    TERMINAL_PHASES,
    Permission,
    PermissionResolved,
    TextDelta,
    Tool,
    TurnEnd,
)
from crdtsync.agents.bounds import clip_json, clip_text
from crdtsync.agents.updates import TurnState
from crdtsync.schema import JsonObject, JsonValue

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = [
    "sessionUpdate",
    "content",
    "toolCallId",
    "status",
    "title",
    "kind",
    "rawInput",
    "rawOutput",
    "locations",
    "entries",
    "used",
    "size",
    "cost",
    "messageId",
    "_meta",
    "availableCommands",
]
KINDS = [
    "agent_message_chunk",
    "agent_thought_chunk",
    "tool_call",
    "tool_call_update",
    "plan",
    "usage_update",
    "available_commands_update",
    "user_message_chunk",
    "new_kind",
]
LIKELY = (
    st.sampled_from([*KINDS, "pending", "in_progress", "completed", "failed", "a", "b"])
    | st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})
    | JSON
)
UPDATES = st.dictionaries(st.sampled_from(KEYS), LIKELY).flatmap(
    lambda body: st.sampled_from(KINDS).map(
        lambda kind: {**body, "sessionUpdate": kind}
    )
)


@settings(max_examples=30, deadline=None)
@given(st.lists(UPDATES | st.dictionaries(st.sampled_from(KEYS), LIKELY), max_size=8))
def test_whatever_comes_phases_only_advance_and_all_tools_end(
    updates: list[dict[str, object]],
) -> None:
    state = TurnState()
    events = [
        event
        for update in updates
        for event in state.update(cast("JsonObject", update))
    ]
    events += state.end("end_turn", None)
    assert [event for event in events if isinstance(event, TurnEnd)] == events[-1:]
    assert all(event.text for event in events if isinstance(event, TextDelta))
    phases: dict[str, str] = {}
    for event in events:
        if isinstance(event, Tool):
            before = phases.get(event.id, "pending")
            assert before not in TERMINAL_PHASES or event.phase == before
            assert (before, event.phase) != ("in_progress", "pending")
            phases[event.id] = event.phase
            json.dumps(event.input, allow_nan=False).encode()
    assert set(phases.values()) <= TERMINAL_PHASES


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_clipped_json_can_be_said_in_utf8_and_fits(value: object) -> None:
    clipped = clip_json(value, 100)
    text = json.dumps(clipped, allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < 100 * 12


def test_long_input_is_cut_and_says_so() -> None:
    value = clip_json({"a": "x" * 1_000_000, "b": list(range(1_000_000))}, 1000)
    assert len(json.dumps(value)) < 1100
    assert cast("JsonObject", value)["a"] == "x" * 997 + "…"


def test_huge_numbers_and_deep_values_are_cut() -> None:
    deep: JsonValue = 1
    for _ in range(100):
        deep = [deep]
    assert "…" in json.dumps(clip_json(deep), ensure_ascii=False)
    assert clip_json([2**64, 2**5000, float("nan")]) == [str(2**64), "…", None]


def test_a_long_chunk_is_split_and_whole() -> None:
    content: JsonObject = {"type": "text", "text": "x" * 200_000}
    update: JsonObject = {"sessionUpdate": "agent_message_chunk", "content": content}
    events = TurnState().update(update)
    sizes = [len(event.text) for event in events if isinstance(event, TextDelta)]
    assert sizes == [65536, 65536, 65536, 3392]


def test_control_characters_are_left_to_the_display() -> None:
    assert clip_text("\x1b[31m\u202e", 10) == "\x1b[31m\u202e"


def test_too_many_questions_are_not_asked() -> None:
    state = TurnState()
    asked = [state.ask(f"p{number}", {}) for number in range(40)]
    assert sum(1 for events in asked if events) == 32


def test_an_update_without_a_start_makes_a_tool_and_content_replaces() -> None:
    state = TurnState()
    base: JsonObject = {"sessionUpdate": "tool_call_update", "toolCallId": "t"}
    first: JsonObject = {"type": "content", "content": {"type": "text", "text": "a"}}
    second: JsonObject = {"type": "diff", "path": "/x", "newText": "b"}
    state.update({**base, "content": [first], "rawInput": {"path": "/x"}})
    [tool] = state.update({**base, "content": [second], "rawInput": {}, "title": "T"})
    assert tool == Tool(
        "t", title="T", input={"path": "/x"}, content=(second,), kind="other"
    )


def test_what_a_question_told_of_a_call_is_known_when_it_is_announced() -> None:
    state = TurnState()
    call: JsonObject = {"toolCallId": "t", "title": "Delete all", "kind": "delete"}
    [question] = state.ask("p1", {"toolCall": call})
    assert isinstance(question, Permission)
    assert state.resolve("p1", None)
    [tool] = state.update({"sessionUpdate": "tool_call", "toolCallId": "t"})
    assert isinstance(tool, Tool)
    assert tool.title == "Delete all"


def test_output_of_a_command_is_collected_and_its_tail_kept() -> None:
    state = TurnState()
    base: JsonObject = {"sessionUpdate": "tool_call_update", "toolCallId": "t"}
    for text in ("x" * 100_000, "end"):
        delta: JsonObject = {"terminal_output_delta": {"data": text}}
        state.update({**base, "_meta": delta})
    [tool] = state.update({**base, "_meta": {"terminal_exit": {"exit_code": 2}}})
    assert isinstance(tool, Tool)
    assert (len(tool.terminal), tool.terminal[-4:]) == (65536, "xend")
    assert tool.exit_code == 2


def test_what_is_no_text_is_named_and_what_is_nothing_is_dropped() -> None:
    base: JsonObject = {"sessionUpdate": "agent_message_chunk"}
    state = TurnState()
    assert state.update({**base, "content": {"type": "image"}}) == [
        TextDelta("[image]")
    ]
    assert state.update(base) == []
    assert state.update({**base, "content": {"type": "text"}}) == []
    assert state.update({"sessionUpdate": "tool_call", "title": "of no call"}) == []


def test_the_end_closes_open_questions() -> None:
    state = TurnState()
    state.ask("p1", {})
    assert state.end("error", "gone") == [
        PermissionResolved("p1", None),
        TurnEnd("error", "gone"),
    ]
    assert not state.resolve("p1", None)


def test_a_diff_stays_when_a_report_takes_its_place() -> None:
    diff: JsonObject = {"type": "diff", "path": "/a", "oldText": "", "newText": "x"}
    said: JsonObject = {"type": "text", "text": "written"}
    done: JsonObject = {"type": "content", "content": said}
    other: JsonObject = {"type": "diff", "path": "/a", "oldText": "x", "newText": "y"}
    state = TurnState()
    for content in (diff, done):
        [tool] = state.update(
            {"sessionUpdate": "tool_call", "toolCallId": "c", "content": [content]}
        )
    assert isinstance(tool, Tool)
    assert tool.content == (diff, done)
    [tool] = state.update(
        {"sessionUpdate": "tool_call_update", "toolCallId": "c", "content": [other]}
    )
    assert isinstance(tool, Tool)
    assert tool.content == (other,)


@pytest.mark.parametrize(
    "told",
    [
        {"_meta": {"terminal_exit": {"exit_code": 3}}},
        {"rawOutput": {"output": "no", "metadata": {"exit": 3}}},
        {"rawOutput": {"stdout": "no", "exit_code": 3}},
    ],
)
def test_an_exit_code_is_found_wherever_an_agent_puts_it(told: JsonObject) -> None:
    state = TurnState()
    call: JsonObject = {"sessionUpdate": "tool_call", "toolCallId": "c", **told}
    [tool] = state.update(call)
    assert isinstance(tool, Tool)
    assert tool.exit_code == 3
