"""What a link passes on: rows of the log that did not come from the other end.

It reads the log, so that nothing leaves this machine before it is on its disk, and
nothing waits in memory.
"""

from __future__ import annotations

import anyio

from crdtsync.limits import ROWS_AT_ONCE_MAX
from crdtsync.links.status import LinkStatus
from crdtsync.log import Row
from crdtsync.session import Session
from crdtsync.sync.protocol import Peer

__all__ = ["Feed"]

_FOLDED = ""
"""The origin of what was folded: nobody's alone."""


class Feed:
    """The log as one connection passes it on, from its first answer.

    Args:
        session: Open.
        peer: Of the connection.
        status: Of the link; told what was sent and what came from there.
        origin: Of rows that came through this link.
    """

    def __init__(
        self, session: Session, peer: Peer, status: LinkStatus, origin: str
    ) -> None:
        self._session = session
        self._peer = peer
        self._status = status
        # Other windows' links to the same relay differ only in the window.
        self._suffix = origin[origin.index("@") :]
        self._told = 0
        self._vector = b""
        self._answered = anyio.Event()
        self._passed: anyio.Event | None = None
        self._over = False

    def answered(self, head: int) -> None:
        """Note that an answer to the other end held everything up to `head`."""
        self._note_sent(self._peer.sent, head)
        self._told = max(self._told, head)
        self._vector = self._session.replica.document.state_vector()
        self._answered.set()
        self._progress()

    async def passed(self, seq: int) -> None:
        """Wait until every row up to `seq` was passed on, or the connection is over."""
        while self._told < seq and not self._over:
            self._passed = self._passed or anyio.Event()
            await self._passed.wait()

    def end(self) -> None:
        """Note that nothing more is passed on."""
        self._over = True
        self._progress()

    def _progress(self) -> None:
        if self._passed is not None:
            self._passed.set()
            self._passed = None

    async def ready(self) -> None:
        """Wait until the other end has asked for the first time."""
        await self._answered.wait()

    async def next_rows(self) -> list[Row]:
        """Wait for rows that the other end has not been told."""
        session = self._session
        await session.wait_for(lambda _: session.head > self._told)
        rows = await session.log.read(session.id, self._told, ROWS_AT_ONCE_MAX)
        if rows is not None:
            return [row for row in rows if row.seq > self._told]
        # They were folded into a snapshot meanwhile.
        missing = session.replica.document.diff(self._vector)
        return [Row(session.head, _FOLDED, missing)]

    def send(self, row: Row, now: float) -> None:
        """Pass on a row, unless it came from there."""
        if row.seq <= self._told:
            return
        if row.origin.endswith(self._suffix):
            self._status.received(row.seq)
        else:
            self._note_sent(self._peer.send_update(row.update, now), row.seq)
        self._told = row.seq
        if row.seq == self._session.head:
            self._vector = self._session.replica.document.state_vector()
        self._progress()

    def _note_sent(self, number: int, seq: int) -> None:
        self._status.sent(number, seq)
        if self._peer.hello is None:
            # Layer 1 has no word for what is on disk.
            self._status.settled(number)
