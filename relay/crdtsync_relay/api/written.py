"""A room's rows for a replica: read from the log, appended through the room."""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.limits import ROWS_AT_ONCE_MAX
from crdtsync.log import Appended, Holding, Log, Row, Stored
from crdtsync_relay.api.seat import Seat

__all__ = ["RoomRows"]


class RoomRows:
    """The rows of one room.

    What is appended is an update of a peer: admitted, applied, passed on to everybody
    and logged, perhaps in one row with updates of others (R-1, R-5).

    Args:
        log: The relay's; read only.
        seat: In the room.
    """

    def __init__(self, log: Log, seat: Seat) -> None:
        self._log = log
        self._seat = seat

    async def load(self, doc: str) -> Stored:
        """Read the snapshot and every update after it, consistently."""
        return await self._log.load(doc)

    async def read(self, doc: str, after: int, limit: int = 1000) -> list[Row] | None:
        """Read rows after a sequence number; None if some were compacted away."""
        return await self._log.read(doc, after, limit)

    async def append(
        self,
        doc: str,
        updates: Sequence[bytes],
        *,
        origin: str,
        after: int,
        holding: Holding | None = None,
    ) -> Appended:
        """Hand updates to the room, and wait until they are on disk.

        Args:
            doc: The session's id.
            updates: In order.
            origin: Not used: all rows of a room are the relay's.
            after: The last sequence number the caller has applied.
            holding: Not used: the API runs no turns.

        Returns:
            Of the last row that holds them, with all rows since `after`.

        Raises:
            SeatLost: The room does not take them.
        """
        await self._seat.until_live()
        number = 0
        for update in updates:
            number = await self._seat.hand_over(update)
        await self._seat.until_settled(number)
        missed = await self._rows(doc, after)
        last = missed[-1].seq if missed else after
        return Appended(last, last, missed)

    async def _rows(self, doc: str, after: int) -> list[Row]:
        """All rows after a sequence number, or what they were folded into."""
        rows: list[Row] = []
        while True:
            more = await self._log.read(doc, after, ROWS_AT_ONCE_MAX)
            if more is None:
                stored = await self._log.load(doc)
                updates = (stored.snapshot, *stored.updates)
                return [Row(stored.head, "", update) for update in updates]
            rows += more
            if len(more) < ROWS_AT_ONCE_MAX:
                return rows
            after = rows[-1].seq
