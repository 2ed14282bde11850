"""When to ping and when a connection counts as dead; it sends nothing itself.

Each end sends something in every beat, so that two silent beats mean death (W-24).
A window pings in every beat, which measures the round trip; its ping and the answer
are the sign of life of both ends.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Pulse"]

# A relay leaves the pinging to the window, unless that is late.
_RELAY_PATIENCE: Final = 1.25


class Pulse:
    """The heartbeat of one connection.

    Args:
        beat_s: Length of a beat.
        now: Boottime, seconds.
        patient: Ping only if nothing was sent for a while; of a relay.

    Attributes:
        round_trip_s: The last one measured; None before.
    """

    def __init__(self, beat_s: float, now: float, *, patient: bool) -> None:
        self.round_trip_s: float | None = None
        self._beat_s = beat_s
        self._pause_s = beat_s * _RELAY_PATIENCE if patient else beat_s
        self._patient = patient
        self._heard_s = self._pinged_s = self._sent_s = now
        self._number = 0

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self._heard_s = max(self._heard_s, now)

    def sent(self, now: float) -> None:
        """Note that something was sent."""
        self._sent_s = max(self._sent_s, now)

    @property
    def last_sent_s(self) -> float:
        """When something was last sent."""
        return self._sent_s

    @property
    def dead_s(self) -> float:
        """When the connection is dead if nothing is heard."""
        return self._heard_s + 2 * self._beat_s

    @property
    def ping_s(self) -> float:
        """When the next ping is due."""
        last = max(self._sent_s, self._pinged_s) if self._patient else self._pinged_s
        return last + self._pause_s

    def ping(self, now: float) -> int:
        """Count a ping that is sent now; returns its number."""
        self._number += 1
        self._pinged_s = now
        return self._number

    def pong(self, number: int, now: float) -> None:
        """Measure the round trip, if this answers the last ping."""
        if number == self._number:
            self.round_trip_s = max(0.0, now - self._pinged_s)
