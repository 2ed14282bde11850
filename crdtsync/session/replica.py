"""One process's live copy of a document: document, view, log and bell kept in step.

The shell around the cores: it moves bytes and decides nothing. Everything the document
holds is in the log or on its way there, in the order in which it was made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import anyio

from crdtsync.bell import Bell
from crdtsync.document import Change, Document, Edit
from crdtsync.errors import LogUnwritable
from crdtsync.events import Failure, Happening
from crdtsync.limits import (
    RETRY_UNWRITABLE_S,
    ROWS_AT_ONCE_MAX,
    ROWS_ONE_BY_ONE_MAX,
    UNSAVED_UPDATES_MAX,
)
from crdtsync.log import Appended, Holding, LeaseRefused, Row, Rows
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder

GREW = b"g"
"""First byte of the bell payload "the log grew".

The head follows in digits, then, if one short row was appended, a blank and that row.
"""

RUNG_BYTES_MAX = 2048
"""A row up to this size goes along with the bell, which spares others the reading."""


@dataclass(slots=True, eq=False)
class Ticket:
    """An update on its way to the disk.

    Attributes:
        seq: Its sequence number, once it is durable.
        error: Why it is not durable; it stays in memory and is tried again.
        refused: Whether the door refused it as a holder's. It goes to the log all the
            same, as anybody's, together with the next update that shows no holding.
        origin: Of the row in the log, if it came through a link; else this window's.
    """

    update: bytes
    happenings: list[Happening]
    holding: Holding | None
    seq: int = 0
    error: LogUnwritable | None = None
    refused: bool = False
    origin: str = ""
    settled: anyio.Event = field(default_factory=anyio.Event)

    async def wait(self) -> int:
        """Wait until the update is on disk.

        Returns:
            Its sequence number; 0 if the edit changed nothing.

        Raises:
            LogUnwritable: It is not; it is tried again as long as the window lives.
            LeaseRefused: The lease of the given holding is over.
        """
        await self.settled.wait()
        if self.error is not None:
            raise self.error
        if self.refused:
            raise LeaseRefused
        return self.seq


class Replica:
    """A loaded document that follows its log.

    Args:
        doc: The document's id in the log.
        document: Loaded up to `head`.
        log: Open.
        bell: This window's.
        head: The last sequence number applied.
        tell: Receives what happened, and the sequence number after which it holds.

    Attributes:
        watchers: Told of every update that enters the document, before anybody else,
            and by whom: this window's name, a link's origin, "" for the log.
    """

    def __init__(
        self,
        doc: str,
        document: Document,
        log: Rows,
        bell: Bell,
        *,
        head: int,
        tell: Callable[[list[Happening], int], None],
    ) -> None:
        self.document = document
        self.view = SessionView(document)
        self.head = head
        self.watchers: list[Callable[[bytes, str], None]] = []
        self._doc = doc
        self._log = log
        self._bell = bell
        self._tell = tell
        self._folder = Folder(document, self.view)
        self._unsaved: deque[Ticket] = deque()
        self._written = anyio.Event()
        self._turn = anyio.Lock()
        self._broken: LogUnwritable | None = None
        self._all_wanted = False

    @contextmanager
    def edit(self, holding: Holding | None = None) -> Iterator[tuple[Edit, Ticket]]:
        """Write in one transaction and send the update on its way to the disk.

        Args:
            holding: Of a runner: the update counts only while it has the lease.

        Raises:
            LogUnwritable: Too much waits for the disk already; nothing was written.
        """
        if len(self._unsaved) >= UNSAVED_UPDATES_MAX:
            raise self._broken or LogUnwritable("too much waits to be written")
        ticket = Ticket(b"", [], holding)
        edit: Edit | None = None
        try:
            with self.document.edit() as edit:
                yield edit, ticket
        finally:
            # What was written before an exception is in the document all the same.
            if edit is not None:
                self._take_up(edit.change, ticket)

    def take_in(self, update: bytes, origin: str) -> Ticket:
        """Apply an admitted update of others and send it on its way to the disk.

        Args:
            update: Whatever is new in it is logged; perhaps nothing.
            origin: For the row in the log, this window's alone: readers skip by it.

        Raises:
            LogUnwritable: Too much waits for the disk already; nothing was applied.
            LogDamaged: The document is half changed; close the session.
        """
        if len(self._unsaved) >= UNSAVED_UPDATES_MAX:
            raise self._broken or LogUnwritable("too much waits to be written")
        ticket = Ticket(b"", [], None, origin=origin)
        self._take_up(self.document.apply([update]), ticket)
        return ticket

    def _take_up(self, change: Change, ticket: Ticket) -> None:
        if not change.update:
            ticket.settled.set()
            return
        ticket.update = change.update
        # First of all: what is in the document has to reach the log.
        self._unsaved.append(ticket)
        self._written.set()
        by = ticket.origin or self._bell.name
        ticket.happenings = self._fold(change, by)

    def let_go(self) -> None:
        """Free what is loaded; nobody may use the session any more.

        For shells that open many: collectors notice late how much is unused.
        """
        del self.document, self.view, self._folder

    @property
    def unsaved(self) -> int:
        """Updates that are not on disk yet."""
        return len(self._unsaved)

    async def save_forever(self) -> None:
        """Write updates to the log as they come; run it in a task of its own."""
        while True:
            await self._written.wait()
            self._written = anyio.Event()
            while self._has_work():
                if not await self._save():
                    with anyio.move_on_after(RETRY_UNWRITABLE_S):
                        await self._written.wait()
                    self._written = anyio.Event()

    def _has_work(self) -> bool:
        """Whether something can be written now.

        What the door refused stands first and waits for the next ordinary update, or
        for somebody to want all of it.
        """
        return bool(self._unsaved) and (
            self._all_wanted or not self._unsaved[-1].refused
        )

    async def save_now(self) -> None:
        """Write all that waits, also what the door refused.

        Raises:
            LogUnwritable: The disk does not take it; it is tried again later.
        """
        self._all_wanted = True
        while self._unsaved:
            if not await self._save() and self._broken is not None:
                self._written.set()
                raise self._broken
        self._all_wanted = False

    async def _save(self) -> bool:
        async with self._turn:
            batch = self._next_batch()
            if not batch:
                return True
            try:
                appended = await self._log.append(
                    self._doc,
                    [ticket.update for ticket in batch],
                    origin=batch[0].origin or self._bell.name,
                    after=self.head,
                    holding=batch[0].holding,
                )
            except LogUnwritable as error:
                self._report(batch, error)
                return False
            except LeaseRefused:
                self._refuse(batch)
                return True
            # First of all, as other windows wait for it.
            self._ring(max(self.head, appended.last), batch)
            self._saved(batch, appended)
        return True

    def _saved(self, batch: list[Ticket], appended: Appended) -> None:
        self._broken = None
        for _ in batch:
            self._unsaved.popleft()
        self._apply_rows(appended.missed)
        self.head = max(self.head, appended.last)
        for ticket, seq in zip(batch, count(appended.first), strict=False):
            # Where others append as well, one row may hold several updates.
            ticket.seq, ticket.error = min(seq, appended.last), None
            self._tell(ticket.happenings, ticket.seq)
            ticket.settled.set()

    def _refuse(self, batch: list[Ticket]) -> None:
        """Keep what the door refused, as anybody's.

        The document holds it already, so the log must too, or later updates of this
        replica would be lost with it. Readers class it by the claims.
        """
        for ticket in batch:
            ticket.refused, ticket.holding = True, None
            ticket.settled.set()

    def _next_batch(self) -> list[Ticket]:
        """The first updates that may share an append: of one holding and origin."""
        batch: list[Ticket] = []
        for ticket in self._unsaved:
            first = batch[0] if batch else ticket
            if (ticket.holding, ticket.origin) != (first.holding, first.origin):
                break
            batch.append(ticket)
        return batch

    def _report(self, batch: list[Ticket], error: LogUnwritable) -> None:
        for ticket in batch:
            ticket.error = error
            ticket.settled.set()
        if self._broken is None:
            failure = Failure(
                "log.unwritable",
                str(error),
                "It is kept in this window and tried again every few seconds.",
            )
            self._tell([Happening(failure)], self.head)
        self._broken = error

    def _ring(self, head: int, batch: Sequence[Ticket]) -> None:
        """Tell the other windows how far the log is."""
        payload = GREW + str(head).encode()
        if len(batch) == 1 and len(batch[0].update) <= RUNG_BYTES_MAX:
            payload += b" " + batch[0].update
        self._bell.ring(payload)

    def hear(self, payload: bytes) -> bool:
        """Take up what another window's bell tells.

        Returns:
            Whether the log has to be read.
        """
        digits, _, row = payload.removeprefix(GREW).partition(b" ")
        if not (payload.startswith(GREW) and digits.isdigit()):
            return True
        seq = int(digits)
        if row and seq == self.head + 1 and not self._turn.locked():
            self._apply([row], seq)
        return seq > self.head

    async def catch_up(self) -> None:
        """Read and apply what others appended."""
        while True:
            async with self._turn:
                rows = await self._log.read(self._doc, self.head, ROWS_AT_ONCE_MAX)
                if rows is None:
                    await self._reload()
                    return
                self._apply_rows(rows)
                if len(rows) < ROWS_AT_ONCE_MAX:
                    return

    async def _reload(self) -> None:
        """Take up a snapshot that another window folded rows into."""
        stored = await self._log.load(self._doc)
        change = self.document.apply([stored.snapshot, *stored.updates])
        self.head = stored.head
        self._tell(self._fold(change, ""), self.head)

    def _apply_rows(self, rows: Sequence[Row]) -> None:
        if len(rows) > ROWS_ONE_BY_ONE_MAX:
            self._apply([row.update for row in rows], rows[-1].seq)
        else:
            for row in rows:
                self._apply([row.update], row.seq)

    def _apply(self, updates: Sequence[bytes], seq: int) -> None:
        change = self.document.apply(updates)
        self.head = max(self.head, seq)
        self._tell(self._fold(change, ""), seq)

    def _fold(self, change: Change, by: str) -> list[Happening]:
        for watcher in self.watchers:
            watcher(change.update, by)
        return self._folder.fold(change)
