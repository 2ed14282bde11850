"""Values read from a document: wrong types count as empty, unknown fields are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync import errors
from crdtsync.entities import Approval, Message, Option, Participant, ToolCall
from crdtsync.errors import CrdtSyncError, UpdateRefused
from crdtsync.schema import ROLES, STREAMED_ROLES, JsonObject, as_text, plain

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*Message.__slots__, *ToolCall.__slots__, *Approval.__slots__, "slot", "later"]
)


@given(ANYTHING | st.dictionaries(FIELDS, ANYTHING))
def test_anything_can_be_read(value: object) -> None:
    message = Message.from_json(value)
    assert Message.from_json(message.to_json()) == message
    assert ToolCall.from_json("t/a", value).key == "t/a"
    assert Approval.from_json("a", value).id == "a"
    assert Participant.from_json("p", value).name


@given(ANYTHING)
def test_plain_values_are_json_and_stay_as_they_are(value: object) -> None:
    once = plain(value)
    assert plain(once) == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, 1),
        (-0.0, 0),
        (0.5, 0.5),
        (2.0**60, 2.0**60),
        (float("nan"), None),
        (float("-inf"), None),
        (True, True),
        (b"ab", [97, 98]),
        (bytearray(b"a"), [97]),
        ((1.0, [2.0]), [1, [2]]),
        ({1: {"a": 2.0}}, {"1": {"a": 2}}),
        ({2}, "{2}"),
    ],
    ids=str,
)
def test_values_become_plain_json(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_a_message_with_nothing_but_an_id_is_short() -> None:
    message = Message("m", "user", "", "")
    assert message.to_json() == {"id": "m", "role": "user"}
    assert not message.streamed


def test_a_message_keeps_what_it_does_not_know() -> None:
    header: JsonObject = {"id": "m", "role": "dance", "steps": 2, "text": 3}
    message = Message.from_json(header)
    assert (message.text, message.extra) == ("", {"steps": 2})
    assert message.to_json() == {"id": "m", "role": "dance", "steps": 2}


def test_answers_and_thoughts_are_streamed() -> None:
    streamed = {role for role in ROLES if Message("m", role, "", "").streamed}
    assert streamed == STREAMED_ROLES == {"assistant", "thought"}


def test_a_tool_call_is_open_until_a_last_phase() -> None:
    phases = {
        phase: ToolCall.from_json("t1/c", {"phase": phase}).open
        for phase in ("pending", "in_progress", "completed", "failed", "cancelled")
    }
    assert phases == {
        "pending": True,
        "in_progress": True,
        "completed": False,
        "failed": False,
        "cancelled": False,
    }
    tool = ToolCall.from_json("t1/c", {"exit_code": "2", "content": {}, "phase": 1})
    assert (tool.turn, tool.phase, tool.exit_code, tool.content) == (
        "t1",
        "pending",
        None,
        (),
    )
    assert ToolCall.from_json("t1/c", {"exit_code": 2}).exit_code == 2


def test_a_plain_yes_or_no_prefers_the_option_for_once() -> None:
    options = [
        {"id": "1", "label": "Always", "kind": "allow_always"},
        {"id": "2", "label": "Yes", "kind": "allow_once"},
        {"id": "3", "label": "Never", "kind": "reject_always"},
    ]
    approval = Approval.from_json("a", {"number": 4, "options": options, "votes": 1})
    assert approval.option(allow=True) == Option("2", "Yes", "allow_once")
    assert approval.option(allow=False) == Option("3", "Never", "reject_always")
    assert Approval.from_json("a", {}).option(allow=True) is None
    assert (approval.number, approval.votes, approval.open) == (4, {}, True)
    assert not Approval.from_json("a", {"decision": "2"}).open


def test_a_participant_without_a_name_is_called_by_the_id() -> None:
    assert Participant.from_json("p", None) == Participant("p", "p")
    data = {"name": "demo", "kind": "agent", "slot": 2, "joined_at": "x"}
    assert Participant.from_json("p", data) == Participant("p", "demo", "agent", "x", 2)
    assert Participant.from_json("p", {"slot": "2", "kind": 1}).slot == 0
    assert as_text(3) == ""


def test_every_error_has_a_hint_and_an_exit_code() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CrdtSyncError)
    ]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "CrdtSyncError": 1,
        "UsageError": 2,
        "SessionNotFound": 2,
        "OperationFailed": 1,
        "ConnectionFailed": 3,
        "AccessDenied": 4,
        "DataError": 5,
        "LogDamaged": 5,
        "NotASession": 5,
        "NewerFormat": 5,
        "LogUnwritable": 5,
        "ProtocolError": 1,
        "UpdateRefused": 1,
    }
    assert all(name in (errors.__doc__ or "") for name in codes)
    refused = UpdateRefused("no", rule="T2-1", hint="do this")
    assert (str(refused), refused.rule, refused.hint) == ("no", "T2-1", "do this")
    assert CrdtSyncError("no").hint == ""
