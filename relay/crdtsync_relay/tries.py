"""Counts tries of invites per address; it knows no invite."""

from __future__ import annotations

from typing import Final

from crdtsync_relay.limits import ADDRESSES_MAX, CODE_TRIES_PER_MINUTE_MAX

__all__ = ["Tries"]

_MINUTE_S: Final = 60.0


class Tries:
    """Tries per address within the last minute; the oldest addresses are forgotten."""

    def __init__(self) -> None:
        self._made: dict[str, list[float]] = {}

    def wait_s(self, address: str, now: float) -> float:
        """Count a try; returns 0, or the seconds until the next one is looked at."""
        recent = [s for s in self._made.pop(address, []) if now - s < _MINUTE_S]
        if len(self._made) >= ADDRESSES_MAX:
            del self._made[next(iter(self._made))]
        self._made[address] = recent
        if len(recent) >= CODE_TRIES_PER_MINUTE_MAX:
            return _MINUTE_S - (now - recent[0])
        recent.append(now)
        return 0.0
