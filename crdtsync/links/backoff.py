"""How long a link waits before it tries again; it waits for nothing itself."""

from __future__ import annotations

import random
from typing import Final

__all__ = ["Backoff"]

BACKOFF_MIN_S: Final = 0.25
"""The first pause is up to twice this long."""

BACKOFF_MAX_S: Final = 30.0
"""No pause is longer, unless the other end asks for one."""

STEADY_S: Final = 10.0
"""A connection that was live for so long makes the next pause short again."""


class Backoff:
    """Pauses that grow with each failure, with full jitter.

    A thousand windows whose relay restarts come back spread out, not in step.

    Args:
        rng: Where the jitter comes from.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.SystemRandom()
        self._failures = 0

    def next_s(self, *, live_s: float = 0.0, retry_after_s: float = 0.0) -> float:
        """The pause after a connection has ended.

        Args:
            live_s: For so long it was live.
            retry_after_s: So long the other end wants to be left alone.
        """
        self._failures = 1 if live_s >= STEADY_S else self._failures + 1
        # 2**7 is beyond the longest pause.
        most_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(self._failures, 7))
        return retry_after_s + self._rng.uniform(0.0, most_s)

    def reset(self) -> None:
        """Start anew: a person wants to try now."""
        self._failures = 0
