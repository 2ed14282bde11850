"""The log in one SQLite file, shared by any number of processes.

One file may hold one session or many. It decides nothing about documents: rows are
opaque, except to compaction.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from crdtsync.clock import Clock
from crdtsync.errors import CrdtSyncError, LogUnwritable
from crdtsync.log import (
    Append,
    Appended,
    ClientId,
    Holding,
    LeaseRefused,
    Row,
    Stored,
    leases,
    rows,
)
from crdtsync.log.apart import FoldFailed, fold_apart
from crdtsync.log.appending import Batch, append_all
from crdtsync.log.compaction import LogSize
from crdtsync.log.faults import translated
from crdtsync.log.leases import Keeper
from crdtsync.log.opening import Opened, open_file
from crdtsync.log.rows import Place
from crdtsync.log.snapshots import replace_rows
from crdtsync.log.writer import Worker
from crdtsync.turns.arbiter import Arbiter, Denied, Granted

LEASE_TTL_S = 15.0
"""Life of a grant of the local arbiter (05-turns: ttl)."""

LOADS_AT_ONCE_MAX = 4
"""Whole documents read at the same time; each holds its bytes in memory."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_sqlite_log(
    path: Path,
    *,
    clock: Clock,
    ttl_s: float = LEASE_TTL_S,
    must_exist: bool = False,
    read_only: bool = False,
    dedupes: bool = True,
) -> AsyncGenerator[SqliteLog]:
    """Open the log in a file; without a file, make an empty one.

    A file that can be read but not written is opened for reading: then `unwritable`
    says why, and whatever writes raises it.

    Args:
        path: The database file. Its folder is made if need be, for the owner only.
        clock: The machine's clock; the arbiter counts by its boottime.
        ttl_s: Life of a grant, in seconds; the same in every process of a file.
        must_exist: Raise `SessionNotFound` rather than make a file.
        read_only: Write nothing, not even on the first opening after a copy.
        dedupes: Whether an update that is there already gets no second row. Who sees to
            that in another way saves the index for it: half of what is written.

    Raises:
        SessionNotFound: There is no file and none may be made.
        NotASession: The file is something else.
        NewerFormat: A newer version of the program wrote it.
        LogDamaged: It cannot be read.
        LogUnwritable: It cannot be opened at all.
    """
    keeper = Keeper(clock, ttl_s)
    opened = await anyio.to_thread.run_sync(
        partial(
            open_file,
            path,
            keeper,
            must_exist=must_exist,
            read_only=read_only,
            dedupes=dedupes,
        )
    )
    reader = Worker(opened.reader, opened.path, writes=False)
    writer = Worker(opened.writer, path, writes=True) if opened.writer else None
    try:
        yield SqliteLog(opened, keeper, reader, writer)
    finally:
        with anyio.CancelScope(shield=True):
            await reader.close()
            if writer is not None:
                await writer.close()
            await anyio.to_thread.run_sync(opened.close)


class SqliteLog:
    """A `Log` over one file. Made by `open_sqlite_log`.

    Attributes:
        path: The file.
        unwritable: Why nothing can be written; None if it can.
    """

    def __init__(
        self, opened: Opened, keeper: Keeper, reader: Worker, writer: Worker | None
    ) -> None:
        self.path = opened.path
        self.unwritable: LogUnwritable | None = opened.unwritable
        self._opened = opened
        self._keeper = keeper
        self._reader = reader
        self._writer = writer
        self._loads = anyio.CapacityLimiter(LOADS_AT_ONCE_MAX)
        self._lent: set[tuple[str, int]] = set()

    async def create(self, doc: str) -> bool:
        """Make an empty document; False if it is there already."""
        return await self._writing().run_one(self._create, doc)

    async def remove(self, doc: str) -> None:
        """Remove a document with everything of it, for good; nobody has it open."""
        await self._write(rows.remove, doc)

    async def load(self, doc: str) -> Stored:
        """Read the snapshot and every update after it, consistently."""
        return await self._apart(partial(self._load, doc))

    async def read(self, doc: str, after: int, limit: int = 1000) -> list[Row] | None:
        """Read rows after a sequence number; None if some were compacted away."""
        place = Place(self.path, doc)
        return await self._reader.run(
            lambda connection: rows.read(connection, place, after, limit)
        )

    async def size(self, doc: str) -> LogSize:
        """Tell what compaction would fold; cheap."""
        place = Place(self.path, doc)
        head = await self._reader.run(lambda connection: rows.find(connection, place))
        return LogSize(head.rows - head.kept, head.bytes)

    async def append(
        self,
        doc: str,
        updates: Sequence[bytes],
        *,
        origin: str,
        after: int,
        holding: Holding | None = None,
    ) -> Appended:
        """Write updates and wait until they are on disk (S-2: calls share commits)."""
        batch = Batch.of(Append(doc, updates, origin, after, holding), self._at_ms())
        return await self._writing().run_one(
            self._append, batch, size_bytes=batch.size_bytes
        )

    async def append_all(self, appends: Sequence[Append]) -> list[Appended | Exception]:
        """Append to several documents in one commit (S-2).

        It is begun at once, in the event loop's thread, unless others write: for who
        has read all that there is, as an append reads what its caller has missed.
        """
        at_ms = self._at_ms()
        batches = [Batch.of(append, at_ms) for append in appends]
        sizes = [batch.size_bytes for batch in batches]
        return await self._writing().run_together(self._append, batches, sizes)

    async def compact(self, doc: str) -> bool:
        """Fold the rows into a snapshot (S-4); False if there was nothing to do.

        Other windows may write meanwhile; what they write stays as rows. Updates that
        pycrdt cannot apply are logged as a warning, and the log stays as it is.
        """
        self._writing()
        stored = await self.load(doc)
        try:
            folded = await self._apart(partial(fold_apart, stored))
        except FoldFailed as failure:
            # The rows are as good as before, only not fewer.
            _logger.warning("%s was not compacted: %s", self.path, failure)
            return False
        if folded is None:
            return False
        return await self._write(replace_rows, doc, stored, folded, self._at_ms())

    async def lend_client_id(self, doc: str) -> ClientId:
        """Lend a client id that no other window uses or may have half used."""
        if self._writer is None:
            await self.read(doc, 0, 0)
            return ClientId(leases.new_client_id(), reused=False)
        lent = await self._write(leases.lend_client_id, doc)
        self._lent.add((doc, lent.value))
        return lent

    async def return_client_id(self, doc: str, client_id: int) -> None:
        """Give a client id back after a clean shutdown, with all its updates logged.

        One that was not lent here, or came back before, is ignored.
        """
        if (doc, client_id) in self._lent:
            self._lent.discard((doc, client_id))
            await self._write(leases.return_client_id, doc, client_id)

    async def acquire(
        self, doc: str, runner: str, attempt: int, min_epoch: int, *, alone: bool
    ) -> Granted | Denied:
        """Ask the arbiter for the lease; durable before the answer (A1)."""
        place, request = Place(self.path, doc), (runner, attempt, min_epoch)
        return await self._writing().run(
            lambda connection: self._keeper.acquire(
                connection, place, request, alone=alone
            )
        )

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

    async def arb(self) -> str:
        """The id of this store as an arbiter (A7)."""
        return await self._reader.run(leases.arb_of)

    async def _ask(self, doc: str, ask: Callable[[Arbiter], T]) -> T:
        place = Place(self.path, doc)
        return await self._writing().run(
            lambda connection: self._keeper.decide(connection, place, ask)
        )

    async def _write(self, work: Callable[..., T], doc: str, *args: object) -> T:
        place = Place(self.path, doc)
        return await self._writing().run(
            lambda connection: work(connection, place, *args)
        )

    def _writing(self) -> Worker:
        if self._writer is None:
            cause = self.unwritable
            raise LogUnwritable(str(cause), hint=cause.hint if cause else "")
        return self._writer

    async def _apart(self, work: Callable[[], T]) -> T:
        """Run what takes long in a thread of its own."""
        return await anyio.to_thread.run_sync(work, limiter=self._loads)

    def _load(self, doc: str) -> Stored:
        """Read a document over a connection of its own: other reads do not wait."""
        with translated(self.path), closing(self._opened.connect()) as connection:
            connection.execute("BEGIN")
            return rows.load(connection, Place(self.path, doc))

    def _create(self, connection: sqlite3.Connection, docs: list[str]) -> list[bool]:
        """Make documents for all callers; of two of one name one makes it."""
        new = rows.create_all(connection, self.path, docs, self._at_ms())
        if new:
            self._keeper.create_all(connection, new)
        made = set(new)
        found = []
        for doc in docs:
            found.append(doc in made)
            made.discard(doc)
        return found

    def _append(
        self, connection: sqlite3.Connection, batches: list[Batch]
    ) -> list[Appended | Exception]:
        """Append for all that pass the door, in one go."""
        refused: dict[int, Exception] = {}
        for index, batch in enumerate(batches):
            try:
                self._check_door(connection, batch.append)
            except (LeaseRefused, CrdtSyncError) as refusal:
                refused[index] = refusal
        admitted = [b for index, b in enumerate(batches) if index not in refused]
        written = iter(append_all(connection, self.path, admitted))
        return [refused.get(index) or next(written) for index in range(len(batches))]

    def _check_door(self, connection: sqlite3.Connection, append: Append) -> None:
        if append.holding is not None:
            place = Place(self.path, append.doc)
            self._keeper.check_door(connection, place, append.holding)

    def _at_ms(self) -> int:
        return int(self._keeper.clock.now().timestamp() * 1000)
