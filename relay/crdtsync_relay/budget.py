"""How much a participant may send: two buckets that fill with time; no clock."""

from __future__ import annotations

from crdtsync_relay.limits import BYTES_BURST_MAX, FRAMES_BURST_MAX, Limits

__all__ = ["Budget"]


class Budget:
    """The frames and bytes a participant has left, over all of its connections.

    Args:
        limits: The rates.
        now: Boottime, seconds.
    """

    __slots__ = ("__weakref__", "_at_s", "_bytes", "_frames", "_limits")

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._at_s = now
        self._frames = float(FRAMES_BURST_MAX)
        self._bytes = float(BYTES_BURST_MAX)

    def spend(self, size_bytes: int, *, now: float) -> float:
        """Take one frame out; returns 0, or the seconds until it would have fitted."""
        limits, passed_s = self._limits, now - self._at_s
        if passed_s > 0:
            self._at_s = now
            self._frames += passed_s * limits.frames_per_s
            self._bytes += passed_s * limits.bytes_per_s
            # Compared, as `min` takes longer and this is done for every frame.
            if self._frames > FRAMES_BURST_MAX:  # noqa: PLR1730
                self._frames = FRAMES_BURST_MAX
            if self._bytes > BYTES_BURST_MAX:  # noqa: PLR1730
                self._bytes = BYTES_BURST_MAX
        self._frames -= 1
        self._bytes -= size_bytes
        if self._frames >= 0 and self._bytes >= 0:
            return 0.0
        return max(
            -self._frames / limits.frames_per_s, -self._bytes / limits.bytes_per_s
        )
