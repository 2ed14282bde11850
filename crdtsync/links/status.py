"""What a link shows of itself: its state in words, and how much is not at the relay."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import anyio

from crdtsync.events import ConnectionChanged
from crdtsync.session import Session

__all__ = ["LinkState", "LinkStatus"]

LinkState: TypeAlias = Literal[
    "offline", "connecting", "syncing", "live", "read-only", "refused"
]
"""offline: tries again by itself. refused: a person has to do something first."""


class LinkStatus:
    """The state of one link, told to the session's readers when it changes.

    Args:
        session: Whose link it is.
        name: What the link is called.

    Attributes:
        name: What the link is called.
        state: As in `LinkState`.
        reason: Why it is offline, read-only or refused, in words; may be empty.
        safe_seq: Everything of the log up to here is at the other end; None until
            that is known for the first time.
        retry_at_s: The boottime of the next try, or of the one under way; None unless
            it is offline.
        round_trip_s: The last one measured.
        mismatches: How often a check found the documents different.
        role: What this window is there, as last told; empty before the first word.
        features: What the other end said that it speaks, and that this window may;
            None before its first word.
        first: Whether this window has named the relay as the session's first arbiter.
        changed: Set, and replaced, with every change of any of these.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.state: LinkState = "connecting"
        self.reason = ""
        self.safe_seq: int | None = None
        self.retry_at_s: float | None = None
        self.round_trip_s: float | None = None
        self.mismatches = 0
        self.role = ""
        self.features: frozenset[str] | None = None
        self.first = False
        self.changed = anyio.Event()
        self._session = session
        self.name = name
        self._waiting: deque[tuple[int, int]] = deque()

    def to(self, state: LinkState, reason: str = "") -> None:
        """Change the state."""
        self.retry_at_s = None
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._session.notify(ConnectionChanged(self.name, state, reason))
            self._wake()

    @property
    def unsynced(self) -> int | None:
        """Updates in the log that the other end has not confirmed; None if unknown."""
        if self.safe_seq is None:
            return None
        # Rows of other windows may be there before this one has taken them up.
        return max(0, self._session.head - self.safe_seq)

    def begin(self) -> None:
        """Start counting anew: a connection's numbers begin at 1."""
        self._waiting.clear()

    def sent(self, number: int, seq: int) -> None:
        """Note that update `number` says everything up to `seq`."""
        self._waiting.append((number, seq))

    def settled(self, number: int) -> None:
        """Note that the other end has everything up to update `number`."""
        while self._waiting and self._waiting[0][0] <= number:
            self.safe(self._waiting.popleft()[1])

    def received(self, seq: int) -> None:
        """Note that the update at `seq` came from the other end."""
        if not self._waiting:
            self.safe(seq)
        else:
            self._waiting.append((self._waiting[-1][0], seq))

    def safe(self, seq: int) -> None:
        """Note that the other end has everything up to `seq`."""
        if self.safe_seq is None or seq > self.safe_seq:
            self.safe_seq = seq
            self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()
