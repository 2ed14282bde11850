"""The arbiter, rule by rule (A1 to A7)."""

from __future__ import annotations

from dataclasses import replace

from crdtsync.turns.arbiter import (
    Arbiter,
    Denied,
    Granted,
    LeaseState,
    created_here,
    unknown_past,
)
from crdtsync.turns.claim import EPOCH_LEAP_MAX, EPOCH_MAX

TTL_S = 15.0


class Store:
    """An arbiter's durable state, asked at given times."""

    def __init__(self, state: LeaseState | None = None) -> None:
        self.state = state or created_here("A", now=1000.0, boot="b1")
        self.boot = "b1"

    def at(self, now: float) -> Arbiter:
        arbiter = Arbiter(self.state, now=now, boot=self.boot, ttl_s=TTL_S)
        self.state = arbiter.state
        return arbiter

    def acquire(
        self, now: float, runner: str, attempt: int, min_epoch: int = 0
    ) -> Granted | Denied:
        arbiter = self.at(now)
        answer = arbiter.acquire(runner, attempt, min_epoch)
        self.state = arbiter.state
        return answer

    def release(self, now: float, epoch: int, attempt: int) -> bool:
        arbiter = self.at(now)
        done = arbiter.release(epoch, attempt)
        self.state = arbiter.state
        return done

    def renew(self, now: float, epoch: int, attempt: int) -> bool:
        arbiter = self.at(now)
        done = arbiter.renew(epoch, attempt)
        self.state = arbiter.state
        return done


def test_one_runner_has_the_lease_until_its_ttl_is_over() -> None:
    store = Store()
    assert store.acquire(1000, "r1", 1) == Granted("A", 1, TTL_S, 0.0)
    assert store.acquire(1014, "r2", 1) == Denied("r1", None, 1.0)
    assert store.acquire(1015, "r2", 1) == Granted("A", 2, TTL_S, 0.0)


def test_an_epoch_is_above_every_epoch_of_the_document() -> None:
    store = Store()
    assert store.acquire(1000, "r1", 1, min_epoch=41) == Granted("A", 42, TTL_S, 0.0)


def test_a_later_attempt_supersedes_an_earlier_one_and_not_the_reverse() -> None:
    """A2: a lost reply does not block its own sender for a ttl."""
    store = Store()
    store.acquire(1000, "r1", 2)
    assert store.acquire(1001, "r1", 3) == Granted("A", 2, TTL_S, 1.0)
    assert store.acquire(1002, "r1", 2) == Denied("r1", None, 14.0)
    assert store.acquire(1002, "r1", 3) == Denied("r1", None, 14.0)


def test_release_and_renewal_must_name_epoch_and_attempt() -> None:
    """A3, T6, T0: an old release must not free a newer lease."""
    store = Store()
    store.acquire(1000, "r1", 1)
    store.acquire(1001, "r1", 2)
    assert not store.release(1002, 1, 1)
    assert not store.release(1002, 2, 1)
    assert not store.renew(1002, 1, 2)
    assert store.renew(1002, 2, 2)
    assert store.release(1003, 2, 2)
    assert store.acquire(1004, "r2", 1) == Granted("A", 3, TTL_S, 1.0)


def test_begin_names_the_turn_to_those_who_wait() -> None:
    store = Store()
    store.acquire(1000, "r1", 1)
    arbiter = store.at(1005)
    assert arbiter.begin(1, 1, "t1")
    store.state = arbiter.state
    assert store.acquire(1006, "r2", 1) == Denied("r1", "t1", 14.0)
    assert not store.at(1021).begin(1, 1, "t1")


def test_after_a_reboot_a_lease_lives_a_full_ttl() -> None:
    """A4: never "free", as the holder may be on another machine (T9)."""
    store = Store()
    store.acquire(1000, "r1", 1)
    store.boot = "b2"
    assert store.acquire(3, "r2", 1) == Denied("r1", None, TTL_S)
    assert store.acquire(18, "r2", 2) == Granted("A", 2, TTL_S, 0.0)


def test_an_arbiter_with_unknown_past_grants_nothing_for_a_ttl() -> None:
    """A5, X5."""
    store = Store(unknown_past("B", now=1000, boot="b1", quarantine_s=15))
    assert store.acquire(1014, "r1", 1) == Denied(None, None, 1.0)
    assert store.at(1014).take("r1", 1, 0) == Denied(None, None, 1.0)
    assert store.acquire(1015, "r1", 1) == Granted("B", 1, TTL_S, None)


def test_a_quarantine_that_has_passed_is_not_repeated_by_a_reboot() -> None:
    store = Store(unknown_past("B", now=1000, boot="b1", quarantine_s=15))
    store.acquire(1016, "r1", 1)
    store.release(1017, 1, 1)
    store.boot = "b2"
    assert isinstance(store.acquire(2, "r2", 1), Granted)


def test_a_reboot_within_a_quarantine_starts_it_anew() -> None:
    store = Store(unknown_past("B", now=1000, boot="b1", quarantine_s=15))
    store.boot = "b2"
    assert store.acquire(2, "r1", 1) == Denied(None, None, TTL_S)


def test_idle_counts_from_the_creation_here_and_from_the_end_of_a_lease() -> None:
    store = Store()
    assert store.acquire(1700, "r1", 1) == Granted("A", 1, TTL_S, 700.0)
    store.release(1710, 1, 1)
    assert store.acquire(1800, "r1", 2) == Granted("A", 2, TTL_S, 90.0)


def test_a_lease_nobody_returned_ended_when_it_ran_out() -> None:
    """Q5 after a crash days ago: found out now, but idle since then."""
    store = Store()
    store.acquire(1000, "r1", 1)
    assert store.acquire(91_015, "r2", 1) == Granted("A", 2, TTL_S, 90_000.0)


def test_idle_is_unknown_after_a_reboot() -> None:
    store = Store()
    store.boot = "b2"
    assert store.acquire(5, "r1", 1) == Granted("A", 1, TTL_S, None)


def test_a_person_may_take_the_lease_from_a_living_holder() -> None:
    store = Store()
    store.acquire(1000, "r1", 1)
    arbiter = store.at(1001)
    assert arbiter.take("r2", 1, 0) == Granted("A", 2, TTL_S, 1.0)
    store.state = arbiter.state
    assert not store.renew(1002, 1, 1)


def test_a_holder_may_lift_its_epoch_and_nobody_else() -> None:
    store = Store()
    store.acquire(1000, "r1", 1)
    arbiter = store.at(1001)
    assert not arbiter.raise_epoch(1, 2, 9)
    assert not arbiter.raise_epoch(1, 1, 0)
    assert arbiter.raise_epoch(1, 1, 9)
    assert arbiter.holds(9, 1)
    assert not arbiter.holds(1, 1)


def test_no_request_makes_the_epoch_leap_beyond_reach() -> None:
    store = Store()
    granted = store.acquire(1000, "r1", 1, min_epoch=EPOCH_MAX)
    assert granted == Granted("A", EPOCH_LEAP_MAX + 1, TTL_S, 0.0)
    arbiter = store.at(1001)
    assert not arbiter.raise_epoch(EPOCH_LEAP_MAX + 1, 1, EPOCH_MAX)
    # Who honestly has seen so much gets there, leap by leap.
    assert store.acquire(1002, "r1", 2, min_epoch=2 * EPOCH_LEAP_MAX) == Granted(
        "A", 2 * EPOCH_LEAP_MAX + 1, TTL_S, 2.0
    )


def test_time_alone_changes_what_is_stored_only_once() -> None:
    store = Store()
    store.acquire(1000, "r1", 1)
    ended = store.at(1020).state
    assert ended == replace(store.at(2000).state)
    assert ended.ended_s == 1015.0
