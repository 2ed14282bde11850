"""Clocks: the machine's runs through suspend, the simulated one moves when told."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdtsync import clock
from crdtsync.clock import Clock, SimulatedClock, SystemClock


@pytest.fixture(params=[SystemClock, SimulatedClock])
def any_clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_a_clock_does_not_run_backwards(any_clock: Clock) -> None:
    first, second = any_clock.boottime(), any_clock.boottime()
    assert 0 < first <= second
    assert any_clock.now().tzinfo is UTC
    assert any_clock.boot_id() == any_clock.boot_id() != ""


@pytest.mark.skipif(sys.platform != "linux", reason="CLOCK_BOOTTIME is Linux's")
def test_on_linux_the_time_since_boot_includes_suspend() -> None:
    expected = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert SystemClock().boottime() == pytest.approx(expected, abs=5)


@pytest.mark.skipif(sys.platform != "linux", reason="the boot id is Linux's")
def test_on_linux_the_boot_id_is_the_kernels() -> None:
    known = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert SystemClock().boot_id() == known


@pytest.mark.parametrize(
    ("platform", "source"), [("darwin", "CLOCK_MONOTONIC"), ("win32", "")]
)
def test_elsewhere_the_best_clock_there_is_is_taken(
    monkeypatch: pytest.MonkeyPatch, platform: str, source: str
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    assert clock._boottime_function() == source  # noqa: SLF001
    one = SystemClock()
    assert 0 < one.boottime() <= one.boottime()


def test_without_a_kernels_boot_id_the_minute_of_the_boot_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "Path", lambda _: tmp_path / "missing")
    started = round((time.time() - SystemClock().boottime()) / 60)
    assert SystemClock().boot_id() in {f"boot-{started + d}" for d in (-1, 0, 1)}


def test_simulated_time_passes_on_both_clocks() -> None:
    simulated = SimulatedClock(start_s=5.0)
    simulated.advance(2.5)
    assert simulated.boottime() == 7.5
    assert simulated.now() == datetime(2026, 1, 1, 0, 0, 2, 500000, UTC)


def test_a_jump_of_the_wall_clock_leaves_the_other_alone() -> None:
    simulated = SimulatedClock()
    before = simulated.now()
    simulated.jump_wall(-3600)
    assert simulated.boottime() == 1000.0
    assert simulated.now() - before == timedelta(hours=-1)


def test_a_reboot_starts_the_clock_anew_under_another_id() -> None:
    simulated = SimulatedClock()
    known = simulated.boot_id()
    simulated.reboot()
    assert simulated.boottime() == 0.0
    assert simulated.boot_id() != known
