"""The times of turns: each inequality, broken once."""

from __future__ import annotations

import pytest

from crdtsync.errors import UsageError
from crdtsync.turns.timing import Timing


def test_the_default_times_are_those_of_the_design() -> None:
    timing = Timing()
    assert (timing.ttl_s, timing.heartbeat_s, timing.margin_s) == (15.0, 4.0, 3.0)


def test_a_margin_must_cover_stopping_drift_and_tick() -> None:
    with pytest.raises(UsageError, match="T-1"):
        Timing(margin_s=2.26)
    with pytest.raises(UsageError, match="T-1"):
        Timing(drift=0.06)
    with pytest.raises(UsageError, match="T-1"):
        Timing(stop_time_s=2.8)


def test_one_lost_renewal_must_not_cost_the_lease() -> None:
    with pytest.raises(UsageError, match="T-2"):
        Timing(heartbeat_s=5.0)


def test_a_quarantine_must_outlast_every_lease() -> None:
    with pytest.raises(UsageError, match="T-3"):
        Timing(quarantine_s=14.9)


def test_a_dead_link_must_show_before_the_lease_ends() -> None:
    with pytest.raises(UsageError, match="T-4"):
        Timing(beat_s=6.0)
