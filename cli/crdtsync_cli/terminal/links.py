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


def link_words(
    links: Sequence[LinkFacts], now_s: float, room: int | None = None
) -> tuple[str, str]:
    """The state of all links at a boottime in a sign and words, and its tone.

    Args:
        links: All there are.
        now_s: The boottime.
        room: So many cells, if there are few.
    """
    live = sum(link.state in {"live", "read-only"} for link in links)
    words, tone = _words(links, live, now_s)
    if room is not None and len(words) > room:
        words, *_ = words.split(",")
    return (f"{words} {live}/{len(links)}" if len(links) > 1 else words), tone


def _words(links: Sequence[LinkFacts], live: int, now_s: float) -> tuple[str, str]:
    states = {link.state for link in links}
    tries = [link.retry_at_s for link in links if link.retry_at_s is not None]
    if not states:
        found = ("● local", "dim")
    elif states == {"read-only"}:
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
    return found


def counts_down(links: Sequence[LinkFacts]) -> bool:
    """Whether the words change by themselves each second."""
    return any(link.retry_at_s is not None for link in links)


def unsynced(links: Sequence[LinkFacts]) -> int:
    """Updates that are at no other end yet; 0 without links."""
    counts = [link.unsynced for link in links]
    known = [count for count in counts if count is not None]
    return min(known, default=0)
