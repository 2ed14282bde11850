"""The log in memory: for tests and simulations. Nothing of it is durable.

It says the same as `log.sqlite` to the same calls, on one event loop.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from anyio.lowlevel import checkpoint

from crdtsync.clock import Clock
from crdtsync.errors import CrdtSyncError, LogDamaged, SessionNotFound
from crdtsync.log import (
    Append,
    Appended,
    ClientId,
    Holding,
    LeaseRefused,
    Row,
    Stored,
)
from crdtsync.log.compaction import LogSize, fold
from crdtsync.log.leases import new_client_id
from crdtsync.turns.arbiter import (
    Arbiter,
    Denied,
    Granted,
    LeaseState,
    created_here,
)

T = TypeVar("T")


@dataclass(slots=True)
class _Document:
    lease: LeaseState
    head: int = 0
    snapshot: bytes = b""
    snapshot_seq: int = 0
    rows: list[Row] = field(default_factory=list)
    lent: set[int] = field(default_factory=set)
    returned: list[int] = field(default_factory=list)


class MemoryLog:
    """A `Log` that lives as long as the object.

    Args:
        clock: The arbiter counts by its boottime.
        ttl_s: Life of a grant, in seconds.
    """

    def __init__(self, *, clock: Clock, ttl_s: float = 15.0) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._arb = secrets.token_hex(16)
        self._documents: dict[str, _Document] = {}

    async def create(self, doc: str) -> bool:
        """Make an empty document; False if it is there already."""
        await checkpoint()
        if doc in self._documents:
            return False
        now, boot = self._clock.boottime(), self._clock.boot_id()
        lease = created_here(self._arb, now=now, boot=boot)
        self._documents[doc] = _Document(lease)
        return True

    async def load(self, doc: str) -> Stored:
        """Read the snapshot and every update after it, consistently."""
        await checkpoint()
        found = self._find(doc)
        updates = [row.update for row in found.rows]
        return Stored(
            found.snapshot, found.snapshot_seq, updates, found.head, self._arb
        )

    async def read(self, doc: str, after: int, limit: int = 1000) -> list[Row] | None:
        """Read rows after a sequence number; None if some were compacted away."""
        await checkpoint()
        found = self._find(doc)
        if after < found.snapshot_seq:
            return None
        _check_after(doc, found, after)
        return [row for row in found.rows if row.seq > after][:limit]

    async def size(self, doc: str) -> LogSize:
        """Tell what compaction would fold."""
        await checkpoint()
        found = self._find(doc)
        rows = sum(row.seq > found.snapshot_seq for row in found.rows)
        return LogSize(rows, sum(len(row.update) for row in found.rows))

    async def append(
        self,
        doc: str,
        updates: Sequence[bytes],
        *,
        origin: str,
        after: int,
        holding: Holding | None = None,
    ) -> Appended:
        """Write updates."""
        await checkpoint()
        return self._append(Append(doc, updates, origin, after, holding))

    async def append_all(self, appends: Sequence[Append]) -> list[Appended | Exception]:
        """Append to several documents."""
        await checkpoint()
        answers: list[Appended | Exception] = []
        for append in appends:
            try:
                answers.append(self._append(append))
            except (CrdtSyncError, LeaseRefused) as refusal:
                answers.append(refusal)
        return answers

    def _append(self, append: Append) -> Appended:
        found, holding = self._find(append.doc), append.holding
        if holding is not None:
            arbiter = self._arbiter(found)
            if not arbiter.holds(holding.epoch, holding.attempt):
                raise LeaseRefused(append.doc)
        _check_after(append.doc, found, append.after)
        missed = _missed(found, append.origin, append.after)
        seqs = [_put(found, append.origin, update) for update in append.updates]
        return Appended(seqs[0], found.head, missed)

    async def compact(self, doc: str) -> bool:
        """Fold the rows into a snapshot (S-4); False if there was nothing to do."""
        await checkpoint()
        found = self._find(doc)
        if not found.rows:
            return False
        folded = fold(found.snapshot, [row.update for row in found.rows])
        if folded is None:
            return False
        found.rows = [found.rows[index] for index in folded.kept]
        found.snapshot, found.snapshot_seq = folded.snapshot, found.head
        return True

    async def lend_client_id(self, doc: str) -> ClientId:
        """Lend a client id that no other window uses or may have half used."""
        await checkpoint()
        found = self._find(doc)
        reused = bool(found.returned)
        value = found.returned.pop() if reused else new_client_id()
        found.lent.add(value)
        return ClientId(value, reused)

    async def return_client_id(self, doc: str, client_id: int) -> None:
        """Give a client id back; one that is not lent is ignored."""
        await checkpoint()
        found = self._find(doc)
        if client_id in found.lent:
            found.lent.remove(client_id)
            found.returned.append(client_id)

    async def acquire(
        self, doc: str, runner: str, attempt: int, min_epoch: int, *, alone: bool
    ) -> Granted | Denied:
        """Ask the arbiter for the lease."""

        def ask(arbiter: Arbiter) -> Granted | Denied:
            if alone:
                arbiter.state = replace(arbiter.state, quarantine_s=0.0)
            return arbiter.acquire(runner, attempt, min_epoch)

        return await self._ask(doc, ask)

    async def take(
        self, doc: str, runner: str, attempt: int, min_epoch: int
    ) -> Granted | Denied:
        """Ask for the lease over a living holder, on a person's word."""
        return await self._ask(
            doc, lambda lease: lease.take(runner, attempt, min_epoch)
        )

    async def begin(self, doc: str, epoch: int, attempt: int, turn: str) -> bool:
        """Confirm the lease for a claimed turn; False if it is lost."""
        return await self._ask(doc, lambda lease: lease.begin(epoch, attempt, turn))

    async def renew(self, doc: str, epoch: int, attempt: int) -> bool:
        """Prolong the lease; False if it is lost."""
        return await self._ask(doc, lambda lease: lease.renew(epoch, attempt))

    async def raise_epoch(
        self, doc: str, epoch: int, attempt: int, raised: int
    ) -> bool:
        """Let the lease go on under a higher epoch; False if lost, or too high."""
        return await self._ask(
            doc, lambda lease: lease.raise_epoch(epoch, attempt, raised)
        )

    async def release(self, doc: str, epoch: int, attempt: int) -> bool:
        """Give the lease back; ignored (False) unless epoch and attempt match (A3)."""
        return await self._ask(doc, lambda lease: lease.release(epoch, attempt))

    async def _ask(self, doc: str, ask: Callable[[Arbiter], T]) -> T:
        await checkpoint()
        found = self._find(doc)
        arbiter = self._arbiter(found)
        answer = ask(arbiter)
        found.lease = arbiter.state
        return answer

    def _arbiter(self, found: _Document) -> Arbiter:
        clock = self._clock
        return Arbiter(
            found.lease, now=clock.boottime(), boot=clock.boot_id(), ttl_s=self._ttl_s
        )

    def _find(self, doc: str) -> _Document:
        try:
            return self._documents[doc]
        except KeyError:
            raise SessionNotFound(f"There is no session {doc!r}") from None


def _put(found: _Document, origin: str, update: bytes) -> int:
    for row in found.rows:
        if row.update == update:
            return row.seq
    found.head += 1
    found.rows.append(Row(found.head, origin, update))
    return found.head


def _missed(found: _Document, origin: str, after: int) -> list[Row]:
    missed = [row for row in found.rows if row.seq > after and row.origin != origin]
    if after < found.snapshot_seq:
        missed.insert(0, Row(found.snapshot_seq, "", found.snapshot))
    return missed


def _check_after(doc: str, found: _Document, after: int) -> None:
    if after > found.head:
        raise LogDamaged(
            f"{doc} ends at {found.head}, but {after} was read from it before"
        )
