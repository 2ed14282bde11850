"""One room on disk: loaded, appended to, compacted; it judges no update."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from crdtsync import schema
from crdtsync.clock import Clock
from crdtsync.errors import CrdtSyncError, SessionNotFound, UpdateRefused
from crdtsync.log import Append, Appended
from crdtsync.log.compaction import COMPACT_ROWS_MIN, should_compact
from crdtsync.log.sqlite import SqliteLog
from crdtsync.sync.admission import Roots
from crdtsync.sync.untyped import UntypedDocument
from crdtsync.sync.worker import try_apply
from crdtsync_relay.arbitration import Arbitration
from crdtsync_relay.pump import Pump
from crdtsync_relay.tally import Tally

__all__ = ["Disk", "Shared"]

ORIGIN: Final = "relay"
"""The relay's name in the log."""

LOAD_INLINE_BYTES_MAX: Final = 256 * 1024
"""Larger documents are loaded in a thread, so that other rooms go on."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all rooms of a relay share.

    Attributes:
        made: Notes the kind of a room, before its first row is written.
    """

    log: SqliteLog
    clock: Clock
    tally: Tally
    arbitration: Arbitration
    loads: anyio.CapacityLimiter
    digests: anyio.CapacityLimiter
    trials: anyio.CapacityLimiter
    made: Callable[[str, bool], Awaitable[None]]
    pump: Pump


class Disk:
    """One room's document in the relay's log.

    Args:
        room: Its name.
        shared: Of the relay.
        session: Whether the room holds a session.

    Attributes:
        head: The last sequence number of the room that is known.
        is_made: Whether the log has the document.
    """

    def __init__(self, room: str, shared: Shared, *, session: bool) -> None:
        self.session = session
        self.head = 0
        self._grown: anyio.Event | None = None
        self._room = room
        self._shared = shared
        self.is_made = False
        self._rows = 0

    @property
    def roots(self) -> Roots:
        """What readers elsewhere read, and as what."""
        return schema.ROOTS if self.session else {}

    async def load(self) -> UntypedDocument:
        """Read the document; an empty one if it is not stored.

        Raises:
            DataError: It cannot be read; then it is no empty room.
        """
        try:
            stored = await self._shared.log.load(self._room)
        except SessionNotFound:
            return UntypedDocument(self.roots, session=self.session)
        self.is_made = True
        self._advance(stored.head)
        updates = [update for update in (stored.snapshot, *stored.updates) if update]
        load = partial(UntypedDocument.load, updates, self.roots, session=self.session)
        if sum(map(len, updates)) < LOAD_INLINE_BYTES_MAX:
            return load()
        return await anyio.to_thread.run_sync(load)

    async def try_out(self, state: bytes, update: bytes) -> UpdateRefused | None:
        """Try a large update on a copy, elsewhere; returns why it is refused, if so.

        Raises:
            OperationFailed: It could not be tried.
        """
        self._shared.tally.trials += 1
        try:
            async with self._shared.trials:
                await try_apply(state, update, roots=self.roots, session=self.session)
        except UpdateRefused as refusal:
            return refusal
        return None

    async def make(self) -> None:
        """Make the document in the log, before its first row or lease."""
        if not self.is_made:
            await self._shared.made(self._room, self.session)
            await self._shared.log.create(self._room)
            self.is_made = True

    def append(self, updates: Sequence[bytes]) -> Append:
        """Say how updates are to be appended; it must be made before."""
        return Append(self._room, updates, ORIGIN, self.head)

    def appended(self, count: int, answer: Appended) -> None:
        """Note that updates are on disk."""
        self._advance(answer.last)
        self._rows += count
        self._shared.tally.commits += 1
        self._shared.tally.updates_logged += count

    def _advance(self, head: int) -> None:
        self.head = max(self.head, head)
        if self._grown is not None:
            self._grown.set()
            self._grown = None

    async def until_beyond(self, seq: int) -> None:
        """Wait until the log holds more than up to a sequence number."""
        while self.head <= seq:
            self._grown = self._grown or anyio.Event()
            await self._grown.wait()

    @property
    def wants_compaction(self) -> bool:
        """Whether so much was appended that a snapshot may be worth it."""
        return self._rows >= COMPACT_ROWS_MIN

    async def compact(self, *, idle: bool = False) -> None:
        """Fold the rows of the log if that is worth it; a failure changes nothing."""
        self._rows = 0
        log = self._shared.log
        try:
            if self.is_made and should_compact(await log.size(self._room), idle=idle):
                await log.compact(self._room)
        except CrdtSyncError as error:
            _logger.warning("a session was not compacted: %s", error)
