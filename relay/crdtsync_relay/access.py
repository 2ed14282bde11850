"""Who may do what: tokens and invites, in tables beside the log (09-security, X-4).

Only hashes are kept. Reading is a look-up of microseconds on a connection of its own;
whatever writes goes through one thread. Who asks is checked by the routes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import anyio

from crdtsync.clock import Clock
from crdtsync.errors import AccessDenied
from crdtsync.log.faults import translated
from crdtsync.log.writer import Worker
from crdtsync_relay.codes import make_token, secret_hash
from crdtsync_relay.grants import Grant, Role, new_grant
from crdtsync_relay.rules import Rules, rules_of

__all__ = ["Access", "insert_token", "open_access", "revoke_token"]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS relay_tokens (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    role TEXT NOT NULL,
    participant TEXT NOT NULL,
    name TEXT NOT NULL,
    can_approve INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS relay_tokens_session ON relay_tokens (session);
CREATE TABLE IF NOT EXISTS relay_invites (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    code_hash BLOB,
    number INTEGER UNIQUE,
    tries INTEGER NOT NULL DEFAULT 0,
    code_expires_at INTEGER NOT NULL,
    session TEXT NOT NULL,
    role TEXT NOT NULL,
    can_approve INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses_left INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS relay_invites_session ON relay_invites (session);
CREATE TABLE IF NOT EXISTS relay_rules (
    session TEXT PRIMARY KEY,
    rules TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relay_used (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relay_rooms (
    doc TEXT PRIMARY KEY,
    session INTEGER NOT NULL,
    created_s REAL NOT NULL,
    boot TEXT NOT NULL
) WITHOUT ROWID;
"""

_COLUMNS: Final = "id, session, role, participant, name, can_approve, expires_at"


@asynccontextmanager
async def open_access(path: Path, *, clock: Clock) -> AsyncGenerator[Access]:
    """Open the tables in the file of a log that is open already."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    with translated(path), closing(connect()) as reader:
        writing = connect()
        writing.execute("PRAGMA synchronous = FULL")
        worker = Worker(writing, path, writes=True)
        try:
            await worker.run(_make_tables)
            yield Access(path, reader, worker, clock)
        finally:
            with anyio.CancelScope(shield=True):
                await worker.close()


def _make_tables(connection: sqlite3.Connection) -> None:
    # executescript would commit the worker's transaction.
    for statement in _TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)


class Access:
    """The tokens of a relay. Made by `open_access`.

    Attributes:
        reader: Reads only; used in the event loop's thread.
        writer: Runs what writes.
        rules: Of the sessions.
    """

    def __init__(
        self, path: Path, reader: sqlite3.Connection, writer: Worker, clock: Clock
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.rules = Rules(reader, writer)
        self._path = path
        self._clock = clock

    def now_ms(self) -> int:
        """Wall time, as the tables have it."""
        return int(self._clock.now().timestamp() * 1000)

    def find(self, token: str) -> Grant | None:
        """Look a token up; None if it is unknown, expired or revoked."""
        with translated(self._path):
            row = self.reader.execute(
                f"SELECT {_COLUMNS} FROM relay_tokens WHERE hash = ?"  # noqa: S608
                " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
                (secret_hash(token), self.now_ms()),
            ).fetchone()
        return _grant(row) if row else None

    def standing(self, ids: Iterable[str]) -> set[str]:
        """Which of these tokens are still good."""
        now_ms, good = self.now_ms(), set()
        with translated(self._path):
            for token_id in ids:
                row = self.reader.execute(
                    "SELECT 1 FROM relay_tokens WHERE id = ? AND revoked_at IS NULL"
                    " AND (expires_at IS NULL OR expires_at > ?)",
                    (token_id, now_ms),
                ).fetchone()
                if row:
                    good.add(token_id)
        return good

    def tokens(self, session: str | None) -> list[Grant]:
        """The good tokens of one session, those for all if empty, or every one."""
        with translated(self._path):
            rows = self.reader.execute(
                f"SELECT {_COLUMNS} FROM relay_tokens"  # noqa: S608
                " WHERE session = coalesce(?, session)"
                " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
                " ORDER BY created_at",
                (session, self.now_ms()),
            ).fetchall()
        return [_grant(row) for row in rows]

    async def grant(  # noqa: PLR0913 - one parameter per column
        self,
        role: Role,
        *,
        session: str,
        participant: str,
        name: str = "",
        can_approve: bool = False,
        life_s: int | None = None,
        token: str = "",
    ) -> tuple[str, Grant]:
        """Make a token; it is shown this once. One that is given is made good again.

        Raises:
            UsageError: An id or a role is none.
            AccessDenied: Somebody has that participant's place in the session.
        """
        expires = None if life_s is None else self.now_ms() + life_s * 1000
        grant = new_grant(session, role, participant, name, expires)
        if can_approve:
            grant = replace(grant, can_approve=True)
        token = token or make_token()
        await self.writer.run(lambda c: insert_token(c, token, grant, self.now_ms()))
        return token, grant

    async def revoke(self, token_id: str, *, session: str = "") -> bool:
        """Revoke a token, of one session if one is given; False if there is none."""
        return await self.writer.run(
            lambda c: revoke_token(c, token_id, session, self.now_ms())
        )


def revoke_token(
    connection: sqlite3.Connection, token_id: str, session: str, at_ms: int
) -> bool:
    """Revoke a token, of one session if one is given, in a transaction."""
    cursor = connection.execute(
        "UPDATE relay_tokens SET revoked_at = ? WHERE id = ?"
        " AND revoked_at IS NULL AND (? = '' OR session = ?)",
        (at_ms, token_id, session, session),
    )
    return cursor.rowcount > 0


def insert_token(
    connection: sqlite3.Connection, token: str, grant: Grant, at_ms: int
) -> None:
    """Keep a token's hash, in a transaction.

    Raises:
        AccessDenied: The participant has a token of this session, or there are too
            many: nobody can take another one's place.
    """
    count, taken = connection.execute(
        "SELECT count(*), coalesce(sum(participant = ? AND participant <> ''), 0)"
        " FROM relay_tokens WHERE session = ? AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > ?)",
        (grant.participant, grant.session, at_ms),
    ).fetchone()
    if taken:
        raise AccessDenied(
            f"{grant.participant} is in this session already",
            hint="Use the token you have, or have it revoked.",
        )
    most = rules_of(connection, grant.session).participants_max
    if count >= most:
        raise AccessDenied(
            f"the session takes {most} participants", hint="An owner may revoke some."
        )
    connection.execute(
        "INSERT INTO relay_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            secret_hash(token),
            grant.id,
            grant.session,
            grant.role,
            grant.participant,
            grant.name,
            grant.can_approve,
            at_ms,
            grant.expires_at,
        ),
    )


def _grant(row: tuple[str, str, str, str, str, int, int | None]) -> Grant:
    token_id, session, role, participant, name, can_approve, expires_at = row
    return Grant(
        token_id,
        session,
        cast(Role, role),
        participant,
        name,
        bool(can_approve),
        expires_at,
    )
