"""What the toolbar says of a window's links: one state for all of them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["LinkFacts", "link_words", "unsynced"]


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


def link_words(links: Sequence[LinkFacts]) -> tuple[str, str]:
    """The state of all links in a sign and words, and its tone."""
    states = [link.state for link in links]
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
    elif "refused" in states:
        found = ("○ refused", "bad")
    else:
        found = ("○ offline, edits are kept here", "bad")
    words, tone = found
    return (f"{words} {live}/{len(states)}" if len(states) > 1 else words), tone


def unsynced(links: Sequence[LinkFacts]) -> int:
    """Updates that are at no other end yet; 0 without links."""
    counts = [link.unsynced for link in links]
    known = [count for count in counts if count is not None]
    return min(known, default=0)
