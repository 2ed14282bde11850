"""Updates of a room that are applied in one transaction, here or in another thread.

It knows no queue: `intake` makes batches, and takes in what they came to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from crdtsync.sync.admission import Admitted
from crdtsync.sync.untyped import Broken, Outcome, UntypedDocument
from crdtsync_relay.member import Member

__all__ = ["Batch", "Entry", "Judge"]

Judge: TypeAlias = Callable[[Member, bytes, Admitted], None]
"""Refuses what a member may not write, by raising `UpdateRefused`."""


@dataclass(slots=True)
class Entry:
    """One update, and the numbers under which its member sent it."""

    member: Member
    numbers: list[int]
    update: bytes
    tries: int = 0


@dataclass(slots=True)
class Batch:
    """Updates that are applied in one transaction.

    Attributes:
        document: Belongs to the batch until it is digested.
        entries: The updates.
        size: Bytes of all updates.
        judge: Has the last word on them.
    """

    document: UntypedDocument
    entries: list[Entry]
    size: int
    judge: Judge

    @property
    def members(self) -> set[Member]:
        """Whose updates they are."""
        return {entry.member for entry in self.entries}

    def digest(self) -> Outcome | None:
        """Apply them, in whatever thread; None if the document was lost."""
        entries, judge = self.entries, self.judge
        try:
            return self.document.apply(
                [entry.update for entry in entries],
                lambda at, update, fits: judge(entries[at].member, update, fits),
            )
        except Broken:
            return None
