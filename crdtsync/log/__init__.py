"""The log seam: the durable, append-only list of updates of documents (docs: log).

Implementations: `log.memory` and `log.sqlite`. Both pass tests/seams/test_log.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crdtsync.turns.arbiter import Denied, Granted

__all__ = [
    "Append",
    "Appended",
    "ClientId",
    "Holding",
    "LeaseRefused",
    "Log",
    "Row",
    "Rows",
    "Stored",
]


@dataclass(frozen=True, slots=True)
class Row:
    """One update of the log.

    Attributes:
        seq: Its sequence number, counted from 1 without gaps per document.
        origin: Who appended it (the window id), so that it can skip its own rows.
        update: A Yjs V1 update.
    """

    seq: int
    origin: str
    update: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """All that a log knows of a document when it is loaded.

    Attributes:
        snapshot: One update holding everything up to `snapshot_seq`; empty if none.
        snapshot_seq: The last sequence number the snapshot covers, 0 without one.
        updates: The updates after the snapshot, in order, up to `head`; before them
            those that the snapshot could not take in, as they wait for missing ones.
        head: The last sequence number.
        arb: The arbiter's id for this document in this store (05-turns: A7).
    """

    snapshot: bytes
    snapshot_seq: int
    updates: Sequence[bytes]
    head: int
    arb: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What a holder shows at the log's door when it appends as holder."""

    epoch: int
    attempt: int


class Append(NamedTuple):
    """What is to be appended to one document; see `Rows.append`."""

    doc: str
    updates: Sequence[bytes]
    origin: str
    after: int
    holding: Holding | None = None


class Appended(NamedTuple):
    """The answer to an append: durable now.

    Attributes:
        first: Sequence number of the first appended update.
        last: Sequence number of the last one; the new head.
        missed: The rows of others between the caller's `after` and `first`, read in
            the same SQL transaction, so that the caller knows everything up to `last`.
            What was compacted away by then comes as one row with the snapshot.
    """

    first: int
    last: int
    missed: Sequence[Row]


class LeaseRefused(Exception):
    """The door refuses an append as holder: the lease is over. Nothing was written."""


@dataclass(frozen=True, slots=True)
class ClientId:
    """A Yjs client id lent to one window (D-10).

    Attributes:
        value: Below 2**53; never lent twice at a time.
        reused: Whether a former window closed cleanly with it.
    """

    value: int
    reused: bool


class Rows(Protocol):
    """Durable updates of documents: all that a replica needs of a log.

    Every method raises `LogUnwritable` when the disk is full or read-only,
    `LogDamaged` when what is stored cannot be read, and `SessionNotFound` for a
    document that was never created; then nothing has changed. Cancelling a call may
    leave its effect done or not done, never half done.
    """

    async def load(self, doc: str) -> Stored:
        """Read the snapshot and every update after it, consistently."""
        ...

    async def read(self, doc: str, after: int, limit: int = 1000) -> list[Row] | None:
        """Read rows after a sequence number; None if some were compacted away."""
        ...

    async def append(
        self,
        doc: str,
        updates: Sequence[bytes],
        *,
        origin: str,
        after: int,
        holding: Holding | None = None,
    ) -> Appended:
        """Write updates and wait until they are on disk (S-2: calls share commits).

        An update whose bytes the document already holds is still given a row of its
        own by the caller's order, unless it is the same update: then it keeps its
        old sequence number and nothing is written for it (idempotent retries).

        Args:
            doc: The document's id.
            updates: At least one Yjs V1 update, in the order they were made.
            origin: The caller's window id.
            after: The last sequence number the caller has applied.
            holding: Given by a holder: the lease row is checked in the same SQL
                transaction, and `LeaseRefused` is raised if it is not theirs.
        """
        ...


class Log(Rows, Protocol):
    """Durable updates and leases of any number of documents.

    What the methods of `Rows` raise, these raise as well.
    """

    async def create(self, doc: str) -> bool:
        """Make an empty document; False if it is there already."""
        ...

    async def append_all(self, appends: Sequence[Append]) -> list[Appended | Exception]:
        """Append to several documents in one commit (S-2).

        Args:
            appends: At least one.

        Returns:
            For each what `append` returns or raises; one that fails holds up no other.
        """
        ...

    async def compact(self, doc: str) -> bool:
        """Fold the rows into a snapshot (S-4); False if there was nothing to do."""
        ...

    async def lend_client_id(self, doc: str) -> ClientId:
        """Lend a client id that no other window uses or may have half used."""
        ...

    async def return_client_id(self, doc: str, client_id: int) -> None:
        """Give a client id back after a clean shutdown, with all its updates logged."""
        ...

    async def acquire(
        self, doc: str, runner: str, attempt: int, min_epoch: int, *, alone: bool
    ) -> Granted | Denied:
        """Ask the arbiter for the lease; durable before the answer (A1).

        Args:
            doc: The document's id.
            runner: The asking runner; unique per process.
            attempt: Grows with each request of this runner (A2).
            min_epoch: The highest epoch in the document.
            alone: Whether no other window of the session is alive on this machine,
                which spares a new store its quarantine (A5).
        """
        ...

    async def take(
        self, doc: str, runner: str, attempt: int, min_epoch: int
    ) -> Granted | Denied:
        """Ask for the lease over a living holder, on a person's word; as `acquire`.

        Only a quarantine denies it.
        """
        ...

    async def begin(self, doc: str, epoch: int, attempt: int, turn: str) -> bool:
        """Confirm the lease for a claimed turn; False if it is lost."""
        ...

    async def renew(self, doc: str, epoch: int, attempt: int) -> bool:
        """Prolong the lease; False if it is lost."""
        ...

    async def raise_epoch(
        self, doc: str, epoch: int, attempt: int, raised: int
    ) -> bool:
        """Let the lease go on under a higher epoch; False if it is lost, or too high.

        From then on the holder shows `raised` at the door and to the arbiter.
        """
        ...

    async def release(self, doc: str, epoch: int, attempt: int) -> bool:
        """Give the lease back; ignored (False) unless epoch and attempt match (A3)."""
        ...
