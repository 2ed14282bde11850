"""The reading rule: the fast reading is the written rule, for any document."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.turns.claim import Claim, Cut, Grant, Seen, TurnRecord
from crdtsync.turns.order import Reading, extend, read_turns, restate
from tests.turns.literal import Literal

GRANTS: tuple[Grant, ...] = ("relay", "local", "offline")


def turn(  # noqa: PLR0913 - a builder of test data
    name: str,
    epoch: int,
    after: dict[str, Seen] | None = None,
    *,
    closes: dict[str, Cut] | None = None,
    grant: Grant = "local",
    arb: str = "A",
    prompts: tuple[str, ...] = (),
    ended: bool = False,
    void: bool = False,
    detached_at: Cut | None = None,
) -> TurnRecord:
    claim = Claim(
        epoch, arb, grant, "r", f"m{arb}", "demo", prompts, after or {}, closes or {}
    )
    return TurnRecord(
        name, claim, started=True, ended=ended, void=void, detached_at=detached_at
    )


def chain(length: int) -> list[TurnRecord]:
    turns = [turn("t00000", 1, ended=True)]
    for k in range(1, length):
        turns.append(turn(f"t{k:05}", k + 1, {turns[-1].id: "final"}, ended=True))
    return turns


def forged(seed: int, count: int = 7) -> list[TurnRecord]:
    """Make a random document: gaps, cycles, forged references, unreadable claims."""
    rng = random.Random(seed)  # noqa: S311
    names = [f"t{k}" for k in range(rng.randint(1, count))]
    density = rng.choice((0.15, 0.4, 0.8, 1.0))
    records: list[TurnRecord] = []
    for at, name in enumerate(names):
        after = [u for u in names[:at][-3:] if rng.random() < density]
        if rng.random() < 0.08:
            after.append(rng.choice(names))
        if rng.random() < 0.1:
            after.append("missing")
        closable = names if rng.random() < 0.1 else after
        if rng.random() < 0.04:
            records.append(TurnRecord(name))
            continue
        records.append(
            turn(
                name,
                rng.randint(1, 4),
                {u: "final" if rng.random() < 0.6 else "open" for u in after},
                closes={u: Cut(1, 2) for u in closable if rng.random() < 0.3},
                grant=rng.choice(GRANTS),
                arb=rng.choice("RSM"),
                void=rng.random() < 0.15,
                ended=rng.random() < 0.5,
                prompts=(rng.choice("pq"),),
            )
        )
    kept = [r for r in records if rng.random() < 0.92]
    rng.shuffle(kept)
    return kept


def assert_literal(records: Sequence[TurnRecord], reading: Reading) -> None:
    literal = Literal(records).read()
    assert dict(reading.classes) == literal.classes
    assert reading.order == literal.order
    assert frozenset(reading.main) == literal.main


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_any_document_reads_as_the_rule_is_written(seed: int) -> None:
    records = forged(seed)
    assert_literal(records, read_turns(records))


def test_many_small_and_some_longer_documents_read_as_written() -> None:
    for seed in range(700):
        records = forged(seed, 7 if seed % 10 else 24)
        assert_literal(records, read_turns(records))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9))
def test_insertion_order_does_not_matter(seed: int) -> None:
    records = forged(seed)
    reading = read_turns(records)
    random.Random(seed).shuffle(records)  # noqa: S311
    assert read_turns(records) == reading


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_extending_equals_reading_anew(seed: int) -> None:
    records = forged(seed)
    reading = read_turns(records)
    finals: dict[str, Seen] = dict.fromkeys(reading.tail, "final")
    new = turn("t9", 9, finals, closes=dict.fromkeys(reading.order, Cut(0, 1)))
    extended = extend(reading, new)
    if extended is not None:
        assert extended == read_turns([*records, new])
    else:
        assert "t9" in reading.missing


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_extending_with_any_turn_is_right_or_declined(seed: int) -> None:
    records = forged(seed)
    if records:
        *rest, new = records
        extended = extend(read_turns(rest), new)
        if extended is not None:
            assert extended == read_turns(records)


def test_a_chain_of_five_thousand_turns_is_all_main() -> None:
    turns = chain(5000)
    reading = read_turns(turns)
    assert reading.main == reading.order == tuple(t.id for t in turns)


def test_a_chain_is_extended_without_reading_it_again() -> None:
    turns = chain(40)
    reading = read_turns(turns[:-1])
    assert extend(reading, turns[-1]) == read_turns(turns)


def test_an_end_changes_the_state_alone() -> None:
    open_, ended = turn("t1", 1), turn("t1", 1, ended=True)
    assert restate(read_turns([open_]), ended) == read_turns([ended])


def test_a_turn_that_became_void_is_read_anew() -> None:
    assert restate(read_turns([turn("t1", 1)]), turn("t1", 1, void=True)) is None


def test_two_offline_branches_keep_the_higher_one_in_main() -> None:
    records = [
        turn("a1", 1, grant="offline", arb="A"),
        turn("a2", 2, {"a1": "final"}, grant="offline", arb="A"),
        turn("b1", 1, grant="offline", arb="B"),
    ]
    reading = read_turns(records)
    assert reading.main == ("a1", "a2")
    assert reading.classes["b1"] == "parallel"


def test_a_relay_turn_never_loses_to_an_offline_one() -> None:
    records = [turn("r1", 1, grant="relay", arb="R"), turn("o9", 9, grant="offline")]
    assert read_turns(records).main == ("r1",)


def test_a_successor_that_did_not_see_a_turn_makes_it_stale() -> None:
    records = [turn("t1", 1), turn("t2", 2)]
    reading = read_turns(records)
    assert reading.classes == {"t1": "stale", "t2": "main"}


def test_output_after_the_cut_is_late_and_before_it_is_main() -> None:
    records = [turn("t1", 1), turn("t2", 2, {"t1": "open"}, closes={"t1": Cut(2, 5)})]
    reading = read_turns(records)
    assert reading.classes["t1"] == "main"
    assert reading.states["t1"] == "abandoned"
    assert reading.item("t1", 0, 900) == "main"
    assert reading.item("t1", 1, 4) == "main"
    assert reading.item("t1", 1, 5) == "late"
    assert reading.item("t1", 2) == "late"


def test_the_least_that_any_successor_saw_divides_late_from_main() -> None:
    closers = [
        turn("t2", 2, {"t1": "open"}, closes={"t1": Cut(2, 5)}),
        turn("t3", 3, {"t1": "open"}, closes={"t1": Cut(1, 9)}, arb="B"),
    ]
    for records in (closers, closers[::-1]):
        reading = read_turns([turn("t1", 1), *records])
        assert reading.item("t1", 1, 0) == "late"
        assert reading.item("t1", 0, 8) == "main"


def test_an_end_after_a_takeover_is_shown_as_such() -> None:
    closing = turn("t2", 2, {"t1": "open"}, closes={"t1": Cut(1, 3)})
    reading = read_turns([turn("t1", 1, ended=True), closing])
    assert reading.states["t1"] == "finished_after_takeover"
    assert reading.item("t1", 500) == "late"


def test_output_without_a_lease_is_detached_even_if_it_is_late() -> None:
    closing = turn("t2", 2, {"t1": "open"}, closes={"t1": Cut(0, 0)})
    records = [turn("t1", 1, detached_at=Cut(1, 3)), closing]
    assert read_turns(records).item("t1", 0) == "late"
    assert read_turns(records).item("t1", 1) == "detached"


def test_a_claim_without_closing_leaves_a_crashed_turn_outside_main() -> None:
    """X10: the answer people saw would turn from main to something else."""
    with_closing = [
        turn("t1", 1),
        turn("t2", 2, {"t1": "open"}, closes={"t1": Cut(1, 1)}),
    ]
    without = [turn("t1", 1), turn("t2", 2, {"t1": "open"})]
    assert read_turns(with_closing).classes["t1"] == "main"
    assert read_turns(without).classes["t1"] != "main"


def test_a_claim_may_arrive_before_the_turns_it_names() -> None:
    first, second = turn("t1", 1, ended=True), turn("t2", 2, {"t1": "final"})
    early = read_turns([second])
    assert early.missing == {"t1"}
    assert early.main == ("t2",)
    assert read_turns([second, first]) == read_turns([first, second])
    assert read_turns([second, first]).main == ("t1", "t2")


def test_two_turns_for_one_prompt_are_alternatives_main_first() -> None:
    records = [
        turn("o1", 5, grant="offline", arb="B", prompts=("p",)),
        turn("r1", 1, grant="relay", arb="R", prompts=("p",)),
        turn("v1", 9, grant="relay", arb="R", prompts=("p",), void=True),
    ]
    assert read_turns(records).alternatives("p") == ("r1", "o1")
    assert read_turns(records).alternatives("q") == ()


def test_a_forged_cycle_is_shown_whole_and_the_same_everywhere() -> None:
    records = [
        turn("t1", 1, {"t2": "final"}),
        turn("t2", 2, {"t1": "final"}),
        turn("t3", 3, {"t1": "final", "t2": "final"}),
    ]
    assert read_turns(records).order == ("t1", "t2", "t3")
    assert read_turns(records[::-1]) == read_turns(records)


@pytest.mark.parametrize("void", [False, True])
def test_an_unreadable_claim_is_shown_and_never_main(*, void: bool) -> None:
    reading = read_turns([TurnRecord("t1", void=void)])
    assert reading.order == ("t1",)
    assert reading.main == ()
    assert reading.classes["t1"] == ("void" if void else "parallel")


def test_a_long_offline_branch_beside_main_stays_cheap_enough_to_read() -> None:
    branch = [turn("b00000", 1, grant="offline", arb="B")]
    for k in range(1, 800):
        before: dict[str, Seen] = {branch[-1].id: "final"}
        branch.append(turn(f"b{k:05}", k + 1, before, grant="offline", arb="B"))
    reading = read_turns([*chain(800), *branch])
    assert len(reading.main) == 800
    assert reading.classes["b00799"] == "parallel"
