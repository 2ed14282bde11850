"""The clock seam: time that runs through suspend, and wall time for people.

Only shells hold a clock; the cores are handed `now` (I-2). No decision compares the
wall clocks of two machines (D-7).
"""

from __future__ import annotations

import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What a shell may ask about time."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start; runs on while the machine sleeps."""
        ...

    def now(self) -> datetime:
        """Wall time in UTC, to be shown to people and never to be decided by."""
        ...

    def boot_id(self) -> str:
        """A name that changes when `boottime` starts anew (the machine rebooted)."""
        ...


def _boottime_function() -> str:
    """Name the source of `boottime` on this platform.

    Python's `time.monotonic()` is CLOCK_MONOTONIC, which stands still in suspend on
    Linux; there CLOCK_BOOTTIME does not. On macOS CLOCK_MONOTONIC runs through sleep.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return "CLOCK_BOOTTIME"
    return "CLOCK_MONOTONIC" if sys.platform == "darwin" else ""


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        name = _boottime_function()
        self._source: int | None = getattr(time, name) if name else None
        self._boot_id = ""

    def boottime(self) -> float:
        """Seconds since boot, including the time spent suspended."""
        if self._source is None:
            return time.monotonic()
        return time.clock_gettime(self._source)

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def boot_id(self) -> str:
        """The kernel's boot id, or the boot second where there is none."""
        if not self._boot_id:
            try:
                path = Path("/proc/sys/kernel/random/boot_id")
                self._boot_id = path.read_text().strip()
            except OSError:
                started = time.time() - self.boottime()
                self._boot_id = f"boot-{round(started / 60)}"
        return self._boot_id


class SimulatedClock:
    """A clock that moves only when told; for tests and simulations.

    Args:
        start_s: The first value of `boottime`, in seconds.
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self._elapsed_s = start_s
        self._wall = datetime(2026, 1, 1, tzinfo=UTC)
        self._boot_id = str(uuid.UUID(int=0))

    def boottime(self) -> float:
        """Seconds as advanced so far."""
        return self._elapsed_s

    def now(self) -> datetime:
        """Wall time as advanced, plus every jump of the wall clock."""
        return self._wall

    def boot_id(self) -> str:
        """Constant until `reboot`."""
        return self._boot_id

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._elapsed_s += seconds
        self._wall += timedelta(seconds=seconds)

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as NTP or a person does."""
        self._wall += timedelta(seconds=seconds)

    def reboot(self) -> None:
        """Start `boottime` anew under a new boot id."""
        self._elapsed_s = 0.0
        self._boot_id = str(uuid.uuid4())
