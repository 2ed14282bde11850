"""What each stored room holds: a session or any Yjs document; and since when."""

from __future__ import annotations

import json
import sqlite3

from crdtsync.clock import Clock
from crdtsync_relay.access import Access

__all__ = ["Kinds"]


class Kinds:
    """The kinds of rooms, in a table beside the log.

    Args:
        access: Has the table open.
        clock: Tells when a room was made.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def is_session(self, room: str) -> bool | None:
        """Whether a stored room holds a session; None if it is not stored."""
        row = self._access.reader.execute(
            "SELECT session FROM relay_rooms WHERE doc = ?", (room,)
        ).fetchone()
        return bool(row[0]) if row else None

    def sessions(self, after: str, limit: int) -> list[str]:
        """Stored sessions by id, behind one of them."""
        rows = self._access.reader.execute(
            "SELECT doc FROM relay_rooms WHERE session AND doc > ?"
            " ORDER BY doc LIMIT ?",
            (after, limit),
        )
        return [str(doc) for (doc,) in rows]

    def made_at(self, room: str) -> float | None:
        """Boottime at which this store made a room.

        None if the machine was restarted since, or there is no such room.
        """
        row = self._access.reader.execute(
            "SELECT created_s FROM relay_rooms WHERE doc = ? AND boot = ?",
            (room, self._clock.boot_id()),
        ).fetchone()
        return float(row[0]) if row else None

    async def note(self, room: str, session: bool) -> None:
        """Note what a room holds, before its first row; the first note counts."""
        values = (room, session, self._clock.boottime(), self._clock.boot_id())
        await self._access.writer.run_one(_note_all, values)


def _note_all(
    connection: sqlite3.Connection, rooms: list[tuple[str, bool, float, str]]
) -> list[None]:
    connection.execute(
        "INSERT OR IGNORE INTO relay_rooms SELECT value ->> 0, value ->> 1,"
        " value ->> 2, value ->> 3 FROM json_each(?)",
        (json.dumps(rooms),),
    )
    return [None] * len(rooms)
