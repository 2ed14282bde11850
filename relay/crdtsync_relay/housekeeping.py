"""What was not used for long: tokens are revoked, sessions removed (see `rules`).

Only days on which the relay ran count: after a pause, or a jump of the clock, nobody
has been idle meanwhile.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import anyio

from crdtsync.errors import CrdtSyncError
from crdtsync.log.sqlite import SqliteLog
from crdtsync_relay.access import Access, revoke_token
from crdtsync_relay.rules import rules_of

__all__ = ["Housekeeper"]

HOUSE_S: Final = 600.0
"""How often it is looked what is in use."""

_PAUSE_MS: Final = 3600 * 1000
"""A longer pause between two looks was none in which anybody could come."""

_DAY_MS: Final = 24 * 3600 * 1000
_SESSION: Final = "session"
_TOKEN: Final = "token"  # noqa: S105 - a kind of thing
_LOOK: Final = "look"

_logger = logging.getLogger(__name__)


class Housekeeper:
    """Keeps the house of one relay.

    Args:
        log: Holds the sessions.
        access: Has the tables.
        in_use: Which sessions and which tokens are in use now.
    """

    def __init__(
        self,
        log: SqliteLog,
        access: Access,
        in_use: Callable[[], tuple[Iterable[str], Iterable[str]]],
    ) -> None:
        self._log = log
        self._access = access
        self._in_use = in_use

    async def keep_house(self) -> None:
        """Look after it from time to time; run it in a task of its own."""
        while True:
            try:
                await self.look()
            except CrdtSyncError as error:
                _logger.error("what is idle cannot be looked for: %s", error)
            await anyio.sleep(HOUSE_S)

    async def look(self) -> None:
        """Note what is in use, and clear away what has not been for too long."""
        sessions, tokens = map(list, self._in_use())
        run, now_ms = self._access.writer.run, self._access.now_ms()
        await run(partial(_note_used, sessions=sessions, tokens=tokens, now_ms=now_ms))
        revoked = await run(partial(_revoke_idle, now_ms=now_ms))
        for session in await run(partial(_left, now_ms=now_ms)):
            # The last word on who is there: nobody came in since the look.
            if session not in set(self._in_use()[0]):
                await self._log.remove(session)
                await run(partial(_forget, session=session))
                _logger.info("session %s was removed: nobody used it", session)
        if revoked:
            _logger.info("%d tokens were revoked: nobody used them", revoked)


def _note_used(
    connection: sqlite3.Connection,
    *,
    sessions: Iterable[str],
    tokens: Iterable[str],
    now_ms: int,
) -> None:
    row = connection.execute(
        "SELECT at FROM relay_used WHERE kind = ?", (_LOOK,)
    ).fetchone()
    passed_ms = now_ms - row[0] if row else 0
    if not 0 <= passed_ms <= _PAUSE_MS:
        connection.execute("UPDATE relay_used SET at = at + ?", (passed_ms,))
    connection.execute(
        "INSERT OR REPLACE INTO relay_used VALUES (?, '', ?)", (_LOOK, now_ms)
    )
    # What is stored and was never noted counts from now.
    for kind, known, used in (
        (_SESSION, "SELECT ?, doc, ? FROM relay_rooms WHERE session", sessions),
        (_TOKEN, "SELECT ?, id, ? FROM relay_tokens WHERE session <> ''", tokens),
    ):
        connection.execute(
            f"INSERT OR IGNORE INTO relay_used {known}",
            (kind, now_ms),
        )
        connection.executemany(
            "UPDATE relay_used SET at = ? WHERE kind = ? AND id = ?",
            [(now_ms, kind, each) for each in used],
        )


def _revoke_idle(connection: sqlite3.Connection, *, now_ms: int) -> int:
    """Revoke the idle tokens of sessions with such a rule; an owner's are kept."""
    rows = connection.execute(
        "SELECT t.id, t.session, u.at FROM relay_tokens t JOIN relay_used u"
        " ON u.kind = ? AND u.id = t.id"
        " WHERE t.session <> '' AND t.role <> 'owner' AND t.revoked_at IS NULL",
        (_TOKEN,),
    ).fetchall()
    idle = [
        token
        for token, session, at in rows
        if _is_over(now_ms - at, rules_of(connection, session).idle_token_days)
    ]
    for token in idle:
        revoke_token(connection, token, "", now_ms)
    return len(idle)


def _left(connection: sqlite3.Connection, *, now_ms: int) -> list[str]:
    rows = connection.execute(
        "SELECT r.doc, u.at FROM relay_rooms r JOIN relay_used u"
        " ON u.kind = ? AND u.id = r.doc WHERE r.session",
        (_SESSION,),
    ).fetchall()
    return [
        session
        for session, at in rows
        if _is_over(now_ms - at, rules_of(connection, session).keep_days)
    ]


def _is_over(idle_ms: int, days: int) -> bool:
    return days > 0 and idle_ms >= days * _DAY_MS


def _forget(connection: sqlite3.Connection, *, session: str) -> None:
    for statement in (
        "DELETE FROM relay_used WHERE kind = 'token'"
        " AND id IN (SELECT id FROM relay_tokens WHERE session = ?)",
        "DELETE FROM relay_used WHERE kind = 'session' AND id = ?",
        "DELETE FROM relay_tokens WHERE session = ?",
        "DELETE FROM relay_invites WHERE session = ?",
        "DELETE FROM relay_rules WHERE session = ?",
        "DELETE FROM relay_rooms WHERE doc = ?",
    ):
        connection.execute(statement, (session,))
