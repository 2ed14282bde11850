"""The updates of a room on their way into its document and to the disk.

What arrives while the room is busy is applied in one transaction, logged once and sent
once (R-1). It knows no connection and sends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Parked, Pending
from crdtsync.sync.untyped import Outcome, UntypedDocument, Verdict
from crdtsync.sync.vectors import EMPTY_VECTOR
from crdtsync_relay.batch import Batch, Entry, Judge
from crdtsync_relay.limits import INBOX_BYTES_MAX, INBOX_UPDATES_MAX
from crdtsync_relay.member import Member

__all__ = ["Applied", "Intake", "Settled"]

Settled = tuple[Member, int]
"""A member and the number of an update of it."""


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
    settled: Sequence[Settled] = ()
    refused: Sequence[tuple[Member, int, UpdateRefused]] = ()
    early: Sequence[Member] = ()
    broken: bool = False


class Intake:
    """The queue before one document, and what it has applied but not committed.

    Attributes:
        document: None until it is loaded, while it is loaded again, and while it is
            lent.
        is_lent: Whether the document is with a batch.
        uncommitted_bytes: Of updates that were applied and are not on disk.
    """

    __slots__ = (
        "_bytes",
        "_careful",
        "_inbox",
        "_numbers",
        "_parking",
        "_vector",
        "_waiting",
        "document",
        "is_lent",
        "uncommitted_bytes",
    )

    def __init__(self) -> None:
        self.document: UntypedDocument | None = None
        self.uncommitted_bytes = 0
        self._inbox: deque[Entry] = deque()
        self._bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self._parking: dict[Member, None] = {}
        self._numbers = count(1)
        self._careful = 0
        self.is_lent = False
        self._vector = EMPTY_VECTOR

    def offer(self, member: Member, number: int, update: bytes) -> None:
        """Queue an update."""
        self._inbox.append(Entry(member, [number], update))
        self._bytes += len(update)

    def state_vector(self) -> bytes:
        """What the document holds; nothing while it is loaded.

        While it is lent, what it held before: who is asked then tells more than needed.
        """
        if self.is_lent:
            return self._vector
        if self.document is None:
            return EMPTY_VECTOR
        return self.document.state_vector()

    @property
    def has_work(self) -> bool:
        """Whether `apply` would do something."""
        return bool(self._inbox) and self.document is not None

    @property
    def waiting(self) -> int:
        """How many updates are not applied."""
        return len(self._inbox)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not applied, or applied and not on disk."""
        return self._bytes + self.uncommitted_bytes

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits to be applied or committed."""
        return not self._inbox and not self._waiting and not self.is_lent

    def restore(self, document: UntypedDocument) -> None:
        """Take a document as loaded; what is not on disk yet is applied to it.

        Raises:
            Broken: The native code raised.
        """
        if self._waiting:
            document.apply([waiting.update for waiting in self._waiting])
        self.document = document

    def take(self, judge: Judge) -> Batch:
        """Take the next batch, to be digested; `finish` follows."""
        assert self.document is not None  # noqa: S101 - `has_work` says so
        entries, size = self._take()
        return Batch(self.document, entries, size, judge)

    def lend(self, batch: Batch) -> None:
        """Let a batch have the document, while it is digested in another thread."""
        self._vector = batch.document.state_vector()
        self.is_lent = True
        self.document = None

    def finish(self, batch: Batch, outcome: Outcome | None) -> Applied:
        """Take in what digesting a batch came to."""
        self.document, self.is_lent = batch.document, False
        return self._conclude(batch.entries, outcome)

    def _conclude(self, batch: list[Entry], outcome: Outcome | None) -> Applied:
        if outcome is None:
            return self._lose_document(batch)
        applied = Applied(outcome.update)
        done = self._sort(batch, outcome.verdicts, applied)
        self._settle(done, applied)
        if self._parking:
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

    def _take(self) -> tuple[list[Entry], int]:
        most = INBOX_UPDATES_MAX
        if self._careful:
            most, self._careful = 1, self._careful - 1
        batch: list[Entry] = []
        size = 0
        while self._inbox and len(batch) < most and size < INBOX_BYTES_MAX:
            entry = self._inbox.popleft()
            batch.append(entry)
            size += len(entry.update)
        self._bytes -= size
        return batch, size

    def _lose_document(self, batch: list[Entry]) -> Applied:
        """Find out which update broke the document: try them one by one from now on."""
        self.document = None
        applied = Applied(broken=True)
        if len(batch) == 1:
            entry = batch[0]
            refusal = UpdateRefused("The update cannot be applied.", rule="T3-2")
            self._refuse(entry, refusal, applied)
            return applied
        self._inbox.extendleft(reversed(batch))
        self._bytes += sum(len(entry.update) for entry in batch)
        self._careful = len(batch)
        return applied

    def _sort(
        self, batch: list[Entry], verdicts: Sequence[Verdict], applied: Applied
    ) -> list[Settled]:
        done: list[Settled] = []
        authors: dict[Member, None] = {}
        for entry, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, UpdateRefused):
                self._refuse(entry, verdict, applied)
            elif isinstance(verdict, Pending):
                self._park(entry, verdict, applied)
            else:
                member = entry.member
                done += [(member, number) for number in entry.numbers]
                authors[member] = None
        if len(authors) == 1:
            applied.author = next(iter(authors)).guest.peer
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

    def _refuse(self, entry: Entry, why: UpdateRefused, applied: Applied) -> None:
        refused = [(entry.member, number, why) for number in entry.numbers]
        applied.refused = [*applied.refused, *refused]

    def _park(self, entry: Entry, pending: Pending, applied: Applied) -> None:
        member = entry.member
        try:
            member.parking.park(entry.update, pending, tries=entry.tries)
        except UpdateRefused as refusal:
            self._refuse(entry, refusal, applied)
            return
        member.parked.setdefault(entry.update, []).extend(entry.numbers)
        self._parking[member] = None
        applied.early = [*applied.early, member]

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
        entry = Entry(member, numbers, parked.update, parked.tries + 1)
        self._inbox.append(entry)
        self._bytes += len(parked.update)
