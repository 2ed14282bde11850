"""Lease messages: W-26."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject
from crdtsync.sync.leasing import (
    Freed,
    LeaseAnswer,
    LeaseRequest,
    answer_from_json,
    answer_to_json,
    request_from_json,
    request_to_json,
)
from crdtsync.sync.wire import Lease, decode, encode
from crdtsync.turns.arbiter import Denied, Granted

COUNTS = st.integers(0, 2**53 - 1)
TEXTS = st.text(max_size=40)
NAMES = st.text(min_size=1, max_size=40)
SECONDS = st.floats(0, 1e6)
REQUESTS = st.builds(
    LeaseRequest,
    id=COUNTS,
    op=st.sampled_from(["acquire", "take", "begin", "renew", "release"]),
    runner=TEXTS,
    attempt=COUNTS,
    epoch=COUNTS,
    turn=TEXTS,
    first=st.booleans(),
)
ANSWERS: st.SearchStrategy[LeaseAnswer | Freed] = st.one_of(
    st.builds(Granted, TEXTS, COUNTS, SECONDS, st.none() | SECONDS),
    st.builds(Denied, st.none() | NAMES, st.none() | NAMES, SECONDS),
    st.booleans(),
    st.just(Freed()),
)


def over_the_wire(body: JsonObject) -> JsonObject:
    (message,) = decode(encode(Lease(body)))
    assert isinstance(message, Lease)
    return message.body


@given(REQUESTS)
def test_a_question_comes_back_as_it_was_asked(request: LeaseRequest) -> None:
    assert request_from_json(over_the_wire(request_to_json(request))) == request


@given(COUNTS, ANSWERS)
def test_an_answer_comes_back_as_it_was_given(
    number: int, answer: LeaseAnswer | Freed
) -> None:
    found = answer_from_json(over_the_wire(answer_to_json(number, answer)))
    assert found == (0 if isinstance(answer, Freed) else number, answer)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"op": "steal"},
        {"op": ["acquire"]},
        {"op": "acquire", "epoch": -1},
        {"op": "acquire", "attempt": True},
        {"op": "acquire", "runner": 7},
        {"op": "acquire", "turn": "x" * 257},
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused(body: JsonObject) -> None:
    with pytest.raises(ProtocolError, match="W-26"):
        request_from_json(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"answer": "perhaps"},
        {"answer": "granted", "arb": "a", "epoch": 1},
        {"answer": "granted", "arb": "a", "epoch": 1, "ttl_s": "15"},
        {"answer": "denied", "remaining_s": True},
        {"answer": "ok", "id": 1.5},
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense_is_refused(body: JsonObject) -> None:
    with pytest.raises(ProtocolError, match="W-26"):
        answer_from_json(body)


def test_unknown_fields_are_ignored() -> None:
    """W-7"""
    body: JsonObject = {"id": 1, "answer": "ok", "later": [1]}
    assert answer_from_json(body) == (1, True)
