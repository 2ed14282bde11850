"""The updates of a room on their way into its document and to the disk.

What arrives while the room is busy is applied in one transaction, logged once and sent
once (R-1). It knows no connection and sends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, Parked, Pending
from crdtsync.sync.untyped import Broken, UntypedDocument, Verdict
from crdtsync.sync.vectors import EMPTY_VECTOR
from crdtsync_relay.limits import INBOX_BYTES_MAX, INBOX_UPDATES_MAX
from crdtsync_relay.member import Member

__all__ = ["Applied", "Intake", "Judge", "Settled"]

Settled = tuple[Member, int]
"""A member and the number of an update of it."""

Judge: TypeAlias = Callable[[Member, bytes, Admitted], None]
"""Refuses what a member may not write, by raising `UpdateRefused`."""


@dataclass(slots=True)
class _Entry:
    member: Member
    numbers: list[int]
    update: bytes
    tries: int = 0


@dataclass(slots=True)
class _Waiting:
    """An update that was applied and is not on disk yet."""

    number: int
    update: bytes
    settles: list[Settled]


@dataclass(slots=True)
class Applied:
    """What one batch came to.

    Attributes:
        update: What was new, as one update; empty if nothing was.
        number: The number under which it is to be committed.
        author: The only peer it came from; None if there were several.
        settled: Updates that were on disk already.
        refused: Updates that are refused for good.
        early: Members one of whose updates now waits for others.
        broken: The document was lost and has to be loaded again.
    """

    update: bytes = b""
    number: int = 0
    author: int | None = None
    settled: list[Settled] = field(default_factory=list)
    refused: list[tuple[Member, int, UpdateRefused]] = field(default_factory=list)
    early: list[Member] = field(default_factory=list)
    broken: bool = False


class Intake:
    """The queue before one document, and what it has applied but not committed.

    Attributes:
        document: None until it is loaded, or while it is loaded again.
        uncommitted_bytes: Of updates that were applied and are not on disk.
    """

    __slots__ = (
        "_bytes",
        "_careful",
        "_inbox",
        "_numbers",
        "_parking",
        "_waiting",
        "document",
        "uncommitted_bytes",
    )

    def __init__(self) -> None:
        self.document: UntypedDocument | None = None
        self.uncommitted_bytes = 0
        self._inbox: deque[_Entry] = deque()
        self._bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self._parking: dict[Member, None] = {}
        self._numbers = count(1)
        self._careful = 0

    def offer(self, member: Member, number: int, update: bytes) -> None:
        """Queue an update."""
        self._inbox.append(_Entry(member, [number], update))
        self._bytes += len(update)

    def state_vector(self) -> bytes:
        """What the document holds; nothing while it is loaded."""
        if self.document is None:
            return EMPTY_VECTOR
        return self.document.state_vector()

    @property
    def has_work(self) -> bool:
        """Whether `apply` would do something."""
        return bool(self._inbox) and self.document is not None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not applied, or applied and not on disk."""
        return self._bytes + self.uncommitted_bytes

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits to be applied or committed."""
        return not self._inbox and not self._waiting

    def restore(self, document: UntypedDocument) -> None:
        """Take a document as loaded; what is not on disk yet is applied to it.

        Raises:
            Broken: The native code raised.
        """
        if self._waiting:
            document.apply([waiting.update for waiting in self._waiting])
        self.document = document

    def apply(self, judge: Judge) -> Applied:
        """Apply the next batch, of which `judge` has the last word."""
        assert self.document is not None  # noqa: S101 - `has_work` says so
        batch = self._take()
        try:
            outcome = self.document.apply(
                [entry.update for entry in batch],
                lambda at, update, fits: judge(batch[at].member, update, fits),
            )
        except Broken:
            return self._lose_document(batch)
        applied = Applied(update=outcome.update)
        done = self._sort(batch, outcome.verdicts, applied)
        self._settle(done, applied)
        self._unpark()
        return applied

    def committed(self, number: int) -> list[Settled]:
        """Note that everything up to a number is on disk; returns what it settles."""
        settled: list[Settled] = []
        while self._waiting and self._waiting[0].number <= number:
            waiting = self._waiting.popleft()
            self.uncommitted_bytes -= len(waiting.update)
            settled += waiting.settles
        return settled

    def forget(self, member: Member) -> None:
        """Drop what waits for others; what was received completely is still applied."""
        self._parking.pop(member, None)

    def parked(self) -> list[Member]:
        """Members whose updates wait for others."""
        return list(self._parking)

    def _take(self) -> list[_Entry]:
        most = 1 if self._careful else INBOX_UPDATES_MAX
        self._careful = max(0, self._careful - 1)
        batch: list[_Entry] = []
        size = 0
        while self._inbox and len(batch) < most and size < INBOX_BYTES_MAX:
            entry = self._inbox.popleft()
            batch.append(entry)
            size += len(entry.update)
        self._bytes -= size
        return batch

    def _lose_document(self, batch: list[_Entry]) -> Applied:
        """Find out which update broke the document: try them one by one from now on."""
        self.document = None
        applied = Applied(broken=True)
        if len(batch) == 1:
            entry = batch[0]
            refusal = UpdateRefused("The update cannot be applied.", rule="T3-2")
            applied.refused += [(entry.member, n, refusal) for n in entry.numbers]
            return applied
        self._inbox.extendleft(reversed(batch))
        self._bytes += sum(len(entry.update) for entry in batch)
        self._careful = len(batch)
        return applied

    def _sort(
        self, batch: list[_Entry], verdicts: Sequence[Verdict], applied: Applied
    ) -> list[Settled]:
        done: list[Settled] = []
        authors = set()
        for entry, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, UpdateRefused):
                self._refuse(entry, verdict, applied)
            elif isinstance(verdict, Pending):
                self._park(entry, verdict, applied)
            else:
                authors.add(entry.member.guest.peer)
                done += [(entry.member, number) for number in entry.numbers]
        if len(authors) == 1:
            applied.author = authors.pop()
        return done

    def _settle(self, done: list[Settled], applied: Applied) -> None:
        """Settle updates with the commit that has them on disk."""
        if applied.update:
            applied.number = next(self._numbers)
            self.uncommitted_bytes += len(applied.update)
            self._waiting.append(_Waiting(applied.number, applied.update, done))
        elif self._waiting:
            # Known, but perhaps only from an update that is not on disk yet.
            self._waiting[-1].settles += done
        else:
            applied.settled = done

    def _refuse(self, entry: _Entry, why: UpdateRefused, applied: Applied) -> None:
        applied.refused += [(entry.member, number, why) for number in entry.numbers]

    def _park(self, entry: _Entry, pending: Pending, applied: Applied) -> None:
        member = entry.member
        try:
            member.parking.park(entry.update, pending, tries=entry.tries)
        except UpdateRefused as refusal:
            self._refuse(entry, refusal, applied)
            return
        member.parked.setdefault(entry.update, []).extend(entry.numbers)
        self._parking[member] = None
        applied.early.append(member)

    def _unpark(self) -> None:
        """Queue again what waits for nothing any more."""
        if self.document is None:
            return
        for member in list(self._parking):
            for parked in member.parking.take_ready(self.document.index):
                self._queue_again(member, parked)
            if not len(member.parking):
                del self._parking[member]

    def _queue_again(self, member: Member, parked: Parked) -> None:
        numbers = member.parked.pop(parked.update)
        entry = _Entry(member, numbers, parked.update, parked.tries + 1)
        self._inbox.append(entry)
        self._bytes += len(parked.update)
