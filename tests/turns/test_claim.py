"""Claims: reading them back from a document, and what a new one has to say."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.errors import ProtocolError
from crdtsync.turns.claim import (
    EPOCH_LEAP_MAX,
    EPOCH_MAX,
    Claim,
    Cut,
    Grant,
    TurnRecord,
    epoch_max,
    survey,
)

CLAIM = Claim(
    epoch=3,
    arb="A",
    grant="local",
    runner="r1",
    machine="m1",
    agent="demo",
    prompts=("p1", "p2"),
    after={"t1": "final", "t2": "open"},
    closes={"t2": Cut(2, 17)},
)
JSON: dict[str, object] = {
    "epoch": 3,
    "arb": "A",
    "grant": "local",
    "runner": "r1",
    "machine": "m1",
    "agent": "demo",
    "prompts": ["p1", "p2"],
    "after": {"t1": "final", "t2": "open"},
    "closes": {"t2": [2, 17]},
}


def test_a_claim_is_the_json_of_the_design() -> None:
    assert CLAIM.to_json() == JSON
    assert Claim.from_json(JSON) == CLAIM


def test_whole_numbers_may_come_back_as_floats_and_keys_may_be_new() -> None:
    floats = {**JSON, "epoch": 3.0, "closes": {"t2": [2.0, 17.0]}, "colour": "red"}
    assert Claim.from_json(floats) == CLAIM


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 3.5},
        {"epoch": -1},
        {"epoch": True},
        {"epoch": "3"},
        {"epoch": float("inf")},
        {"epoch": float("nan")},
        {"epoch": EPOCH_MAX + 1},
        {"grant": "mine"},
        {"grant": ["relay"]},
        {"arb": None},
        {"prompts": "p1"},
        {"prompts": [1]},
        {"after": ["t1"]},
        {"after": {"t1": "maybe"}},
        {"after": {"t1": ["final"]}},
        {"closes": {"t2": [1]}},
        {"closes": {"t2": 7}},
        {"closes": None},
    ],
)
def test_garbage_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        Claim.from_json({**JSON, **change})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted(JSON)), JSON_VALUES, max_size=3)
    | JSON_VALUES
)
def test_no_value_raises_anything_else(value: object) -> None:
    garbage = {**JSON, **value} if isinstance(value, dict) else value
    with contextlib.suppress(ProtocolError):
        Claim.from_json(garbage)


def record(name: str, **changes: object) -> TurnRecord:
    claim = Claim(1, "A", "local", "r1", "m1", "demo", ())
    return TurnRecord(name, replace(claim, **changes))  # type: ignore[arg-type]


def closes(turn: TurnRecord, *, grant: Grant, arb: str, machine: str) -> bool:
    return turn.id in survey([turn], {}, arb=arb, machine=machine, grant=grant).closes


def test_the_first_claim_comes_after_nothing() -> None:
    basis = survey([], {}, arb="A", machine="m1", grant="local")
    assert (basis.after, basis.closes) == ({}, {})
    assert epoch_max([]) == 0


def test_along_a_chain_a_claim_names_only_the_last_turn() -> None:
    first = replace(record("t1"), ended=True)
    second = replace(record("t2", epoch=2, after={"t1": "final"}), ended=True)
    basis = survey([first, second], {}, arb="A", machine="m1", grant="local")
    assert basis.after == {"t2": "final"}
    assert epoch_max([first, second]) == 2


def test_an_open_turn_is_closed_with_a_cut_once() -> None:
    crashed = record("t1")
    basis = survey([crashed], {"t1": Cut(2, 40)}, arb="A", machine="m1", grant="local")
    assert basis.after == {"t1": "open"}
    assert basis.closes == {"t1": Cut(2, 40)}
    closing = replace(
        record("t2", epoch=2, after=basis.after, closes=basis.closes), ended=True
    )
    after_that = survey([crashed, closing], {}, arb="A", machine="m1", grant="local")
    assert after_that.after == {"t2": "final"}
    assert after_that.closes == {}


def test_closing_needs_proof_that_the_lease_is_over() -> None:
    local = record("t1")
    assert closes(local, grant="local", arb="A", machine="m2")
    assert closes(local, grant="relay", arb="R", machine="m1")
    assert not closes(local, grant="local", arb="B", machine="m2")
    assert not closes(local, grant="relay", arb="R", machine="m2")


def test_a_relay_turn_is_closed_by_the_relay_that_replaced_it() -> None:
    old = record("t1", grant="relay", arb="R1")
    assert closes(old, grant="relay", arb="R2", machine="m2")
    assert not closes(old, grant="offline", arb="B", machine="m2")


def test_an_offline_turn_of_another_machine_is_never_closed() -> None:
    """X8: its good output would become stale."""
    offline = record("t1", grant="offline")
    assert not closes(offline, grant="relay", arb="R", machine="m2")
    assert not closes(offline, grant="local", arb="A", machine="m2")
    assert closes(offline, grant="relay", arb="R", machine="m1")


def test_a_turn_that_cannot_be_read_is_named_and_not_closed() -> None:
    basis = survey([TurnRecord("t1")], {}, arb="A", machine="m1", grant="local")
    assert basis.after == {"t1": "open"}
    assert basis.closes == {}


@pytest.mark.parametrize(
    ("message", "offset", "passed"),
    [(0, 99, False), (1, 4, False), (1, 5, True), (2, 0, True)],
)
def test_a_cut_divides_text_and_messages(
    message: int, offset: int, *, passed: bool
) -> None:
    assert Cut(2, 5).passed(message, offset) is passed


def test_a_forged_epoch_out_of_reach_is_passed_over() -> None:
    """Else one such claim would leave no epoch for anybody."""
    honest = TurnRecord("t1", replace(CLAIM, epoch=7))
    climbed = TurnRecord("t2", replace(CLAIM, epoch=7 + EPOCH_LEAP_MAX))
    forged = TurnRecord("t3", replace(CLAIM, epoch=EPOCH_MAX))
    assert epoch_max([forged]) == 0
    assert epoch_max([forged, honest]) == 7
    assert epoch_max([climbed, forged, honest]) == 7 + EPOCH_LEAP_MAX
