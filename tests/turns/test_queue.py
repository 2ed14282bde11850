"""The queue: what is pending, in which order, and what waits for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.errors import UsageError
from crdtsync.turns.claim import Claim, TurnRecord
from crdtsync.turns.queue import (
    RANK_LENGTH_MAX,
    QueueEntry,
    awaiting_release,
    hold_for_peer,
    hold_on_merge,
    hold_when_idle,
    pending,
    rank_between,
    rank_last,
    recent,
)

FIRST = rank_between(None, None)
SECOND = rank_between(FIRST, None)


def took(*prompts: str, void: bool = False) -> TurnRecord:
    claim = Claim(1, "A", "local", "r", "m", "demo", prompts)
    return TurnRecord("t1", claim, void=void)


def test_prompts_run_by_rank_then_by_id() -> None:
    entries = [QueueEntry("b", FIRST), QueueEntry("c", SECOND), QueueEntry("a", FIRST)]
    assert pending(entries, []) == ("a", "b", "c")


def test_a_prompt_is_consumed_by_a_turn_and_given_back_by_void() -> None:
    """Q1, Q2: also by one that crashed; nothing is requeued but by `void`."""
    entries = [QueueEntry("a", FIRST), QueueEntry("b", SECOND)]
    assert pending(entries, [took("a")]) == ("b",)
    assert pending(entries, [took("a", void=True)]) == ("a", "b")


def test_a_prompt_set_again_after_it_was_taken_stays_consumed() -> None:
    """F4: the queue is no authority on what has run."""
    assert pending([QueueEntry("a", SECOND)], [took("a")]) == ()


def test_a_withdrawn_prompt_is_not_pending() -> None:
    assert pending([], []) == ()


def test_a_held_prompt_waits_until_somebody_released_it() -> None:
    held = QueueEntry("a", FIRST, held=True)
    released = QueueEntry("a", FIRST, held=True, released_by="ana")
    assert pending([held], []) == ()
    assert awaiting_release([held], []) == ("a",)
    assert pending([released], []) == ("a",)
    assert awaiting_release([released], []) == ()


def test_a_handshake_holds_what_the_other_side_lacks() -> None:
    """Q3."""
    entries = [QueueEntry(p, FIRST) for p in "abcd"]
    lacking = {"a", "b", "d"}
    assert hold_for_peer(entries, [took("d")], lacking) == ("a", "b")
    assert hold_for_peer(entries, [took("d")], lacking, {"b"}) == ("a",)


def test_nothing_pending_comes_out_of_a_merge() -> None:
    """Q4: neither what came in, nor what a void turn that came in gave back."""
    entries = [QueueEntry(p, FIRST) for p in "abc"]
    assert hold_on_merge({"a"}, entries, [took("c")]) == ("b",)
    assert hold_on_merge({"a"}, entries, [took("c", void=True)]) == ("b", "c")


def test_a_hundred_imported_prompts_are_all_held() -> None:
    entries = [QueueEntry(f"p{k:03}", FIRST) for k in range(100)]
    assert len(hold_on_merge(set(), entries, [])) == 100


def test_what_a_person_released_is_not_held_again() -> None:
    entries = [QueueEntry("a", FIRST, held=True, released_by="ana")]
    assert hold_for_peer(entries, [], {"a"}) == ()
    assert hold_on_merge(set(), entries, []) == ()
    assert (
        hold_when_idle(entries, [], idle_s=None, idle_hold_s=600, live=frozenset())
        == ()
    )


@pytest.mark.parametrize(
    ("idle_s", "held"),
    [(0.0, ()), (600.0, ()), (600.1, ("old",)), (None, ("old",))],
)
def test_after_a_long_idle_time_only_a_live_prompt_runs_unasked(
    idle_s: float | None, held: tuple[str, ...]
) -> None:
    """Q5."""
    entries = [QueueEntry("old", FIRST), QueueEntry("new", SECOND)]
    live = recent({"old": 0.0, "new": 995.0}, now=1000.0, hold_after_s=60.0)
    assert live == {"new"}
    got = hold_when_idle(entries, [], idle_s=idle_s, idle_hold_s=600, live=live)
    assert got == held


def test_ranks_of_a_long_queue_stay_short_and_ascend() -> None:
    ranks = [FIRST]
    for _ in range(10_000):
        ranks.append(rank_between(ranks[-1], None))
    assert ranks == sorted(ranks)
    assert max(map(len, ranks)) == 8
    assert rank_between(None, FIRST) < FIRST


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_there_is_place_between_any_two(places: list[tuple[int, bool]]) -> None:
    ranks: list[str] = []
    for place, _ in places:
        at = min(place, len(ranks))
        low = ranks[at - 1] if at else None
        high = ranks[at] if at < len(ranks) else None
        ranks.insert(at, rank_between(low, high))
    assert ranks == sorted(set(ranks))


def test_halving_one_place_ends_with_a_clear_error() -> None:
    high = SECOND
    for _ in range(200):
        high = rank_between(FIRST, high)
        assert high > FIRST
        assert len(high) <= RANK_LENGTH_MAX
    closest = FIRST + "0" * (RANK_LENGTH_MAX - len(FIRST) - 1) + "1"
    with pytest.raises(UsageError, match="one place"):
        rank_between(FIRST, closest)


@pytest.mark.parametrize("rank", ["", "a", "U000000é", "U00000000", "z" * 65, "-" * 9])
def test_what_is_no_rank_sorts_last_and_stops_nobody(rank: str) -> None:
    entries = [QueueEntry("a", rank), QueueEntry("b", FIRST)]
    assert pending(entries, []) == ("b", "a")
    assert rank_last(entries) == SECOND
    with pytest.raises(UsageError):
        rank_between(rank, None)


def test_there_is_nothing_between_equal_or_crossed_ranks() -> None:
    for low, high in ((FIRST, FIRST), (SECOND, FIRST)):
        with pytest.raises(UsageError):
            rank_between(low, high)


def test_the_ends_of_the_ranks_are_errors_too() -> None:
    with pytest.raises(UsageError, match="end"):
        rank_between("z" * 8, None)
    with pytest.raises(UsageError, match="end"):
        rank_between(None, "0" * 8)
