"""What the toolbar says of a window's links: one state for all of them; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

__all__ = ["LinkFacts", "counts_down", "link_words", "unsynced"]


class LinkFacts(Protocol):
    """What is asked of a link."""

    @property
    def state(self) -> str:
        """As in `crdtsync.links.status.LinkState`."""
        ...

    @property
    def unsynced(self) -> int | None:
        """Updates here that the other end has not confirmed; None if unknown."""
        ...

    @property
    def retry_at_s(self) -> float | None:
        """The boottime of the next try while offline; None if there is none."""
        ...


def link_words(links: Sequence[LinkFacts], now_s: float) -> tuple[str, str]:
    """The state of all links at a boottime in a sign and words, and its tone."""
    states = [link.state for link in links]
    tries = [link.retry_at_s for link in links if link.retry_at_s is not None]
    live = sum(state in {"live", "read-only"} for state in states)
    if not states:
        found = ("● local", "dim")
    elif set(states) == {"read-only"}:
        found = ("● read-only", "good")
    elif live:
        found = ("● live", "good")
    elif "syncing" in states:
        found = ("◐ syncing", "wait")
    elif "connecting" in states:
        found = ("◐ connecting", "wait")
    elif tries:
        left_s = max(0, math.ceil(min(tries) - now_s))
        found = (f"◐ reconnecting {left_s}s, edits are kept here", "wait")
    elif "refused" in states:
        found = ("○ refused", "bad")
    else:
        found = ("○ offline, edits are kept here", "bad")
    words, tone = found
    return (f"{words} {live}/{len(states)}" if len(states) > 1 else words), tone


def counts_down(links: Sequence[LinkFacts]) -> bool:
    """Whether the words change by themselves each second."""
    return any(link.retry_at_s is not None for link in links)


def unsynced(links: Sequence[LinkFacts]) -> int:
    """Updates that are at no other end yet; 0 without links."""
    counts = [link.unsynced for link in links]
    known = [count for count in counts if count is not None]
    return min(known, default=0)
