"""One window as a table keeps it: heard of, or one's own; it makes no bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crdtsync.presence.people import face
from crdtsync.presence.state import IDLE_AFTER_S, PresenceState, whole_seconds

__all__ = ["HEARTBEAT_S", "SILENT_S", "UPDATE_INTERVAL_MIN_S", "Heard", "Local"]

HEARTBEAT_S = 4.0
"""A window repeats its state so often; one may be lost before it counts as gone."""

SILENT_S = 10.0
"""A window that was not heard for longer is gone."""

UPDATE_INTERVAL_MIN_S = 0.1
"""States of one window are at least so far apart: the relay takes 10 a second."""


@dataclass(slots=True)
class Heard:
    """A window's last state as it came, when, and as it was last shown."""

    state: PresenceState
    at_s: float
    gone_s: float
    shown: PresenceState

    def next_change_s(self) -> float:
        """When it will look different if nothing more is heard."""
        at_s = self.gone_s
        if self.shown.typing:
            at_s = min(at_s, self.at_s + self.state.typing_ms / 1000)
        if self.shown.status == "active":
            at_s = min(at_s, self.at_s + IDLE_AFTER_S - self.state.input_age_s)
        return at_s


@dataclass(slots=True)
class Local:
    """One's own window: what it shows, and what was last said about it."""

    state: PresenceState
    input_s: float
    typing_until_s: float = float("-inf")
    sent_s: float = float("-inf")
    said: PresenceState | None = None
    hello: bool = True
    asked: bool = False
    _aged: tuple[PresenceState, PresenceState] | None = None

    def at(self, now: float) -> PresenceState:
        """The state as it is to be said at this time."""
        typing_ms = round(max(0.0, self.typing_until_s - now) * 1000)
        age_s = whole_seconds(now - self.input_s)
        # Asked for several times a frame, and to check a new one takes long.
        if self._aged is not None and self._aged[0] is self.state:
            aged = self._aged[1]
            if (aged.typing_ms, aged.input_age_s) == (typing_ms, age_s):
                return aged
        aged = replace(self.state, typing_ms=typing_ms, input_age_s=age_s)
        self._aged = self.state, aged
        return aged

    def due_s(self, now: float) -> float:
        """When the next payload is to be sent.

        What others see change by themselves, as typing that ends, needs none.
        """
        if self.said is None:
            return now
        seen = self.said.aged(now - self.sent_s)
        if self.asked or self.hello or face(self.at(now)) != face(seen):
            return self.sent_s + UPDATE_INTERVAL_MIN_S
        return self.sent_s + HEARTBEAT_S
