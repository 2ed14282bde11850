"""What an operator does on the relay's own folder, while a relay runs or not.

The relay sees it at once: tokens and invites are looked up in the same file. It serves
nobody and asks for no token; whoever can write the folder may do all this.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread

from crdtsync.clock import SystemClock
from crdtsync.errors import OperationFailed, UsageError
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync_relay.access import Access, open_access
from crdtsync_relay.grants import Grant, check_id, check_role
from crdtsync_relay.invites import Invite, Invites
from crdtsync_relay.server import LOG_FILE

__all__ = ["Kept", "Operator", "open_operator"]

_SESSIONS = """
SELECT docs.doc, coalesce(relay_rooms.session, 1), docs.head,
    docs.bytes + coalesce(
        (SELECT sum(length(bytes)) FROM snapshots WHERE doc = docs.id), 0),
    (SELECT count(*) FROM relay_tokens WHERE session = docs.doc
        AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)),
    max(docs.created_at,
        coalesce((SELECT max(at) FROM updates WHERE doc = docs.id), 0),
        coalesce((SELECT max(at) FROM snapshots WHERE doc = docs.id), 0)) AS changed
FROM docs LEFT JOIN relay_rooms ON relay_rooms.doc = docs.doc
ORDER BY changed DESC
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that the relay keeps.

    Attributes:
        id: The session's id, or the document's name.
        kind: session, or document for those of other Yjs clients.
        updates: How many it has taken.
        bytes: On disk.
        tokens: How many are good for it alone.
        changed_at: ISO 8601, UTC.
    """

    id: str
    kind: str
    updates: int
    bytes: int
    tokens: int
    changed_at: str


@asynccontextmanager
async def open_operator(data: Path) -> AsyncGenerator[Operator]:
    """Open a relay's folder.

    Raises:
        UsageError: No relay has ever run there.
        DataError: Its file cannot be opened.
    """
    path, clock = data / LOG_FILE, SystemClock()
    if not await anyio.to_thread.run_sync(path.exists):
        raise UsageError(
            f"there is no relay's data in {data}",
            hint="Start the relay once, or name its folder with --data.",
        )
    async with (
        open_sqlite_log(path, clock=clock, must_exist=True),
        open_access(path, clock=clock) as access,
    ):
        yield Operator(access)


class Operator:
    """The tokens, invites and sessions of a relay. Made by `open_operator`.

    Args:
        access: Has the tables open.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._invites = Invites(access)

    async def make_token(
        self,
        session: str,
        participant: str,
        role: str,
        *,
        life_s: int | None = None,
        can_approve: bool = False,
    ) -> str:
        """Make a token; it is shown this once.

        Raises:
            UsageError: An id or a role is none.
            AccessDenied: The participant has a token of the session already.
        """
        check_id(session)
        check_id(participant)
        token, _ = await self._access.grant(
            check_role(role),
            session=session,
            participant=participant,
            can_approve=can_approve,
            life_s=life_s,
        )
        return token

    def tokens(self, session: str | None = None) -> list[Grant]:
        """The good tokens, of all sessions or of one."""
        return self._access.tokens(session)

    async def revoke(self, token: str) -> None:
        """Revoke a token; its connections end within seconds.

        Args:
            token: Its id, not itself.

        Raises:
            OperationFailed: There is no such token.
        """
        if not await self._access.revoke(token):
            raise OperationFailed(
                "there is no such token", hint="`crdtsync relay tokens` lists them."
            )

    def invites(self, session: str = "") -> list[Invite]:
        """The open invites, of all sessions or of one."""
        return self._invites.open(session)

    async def withdraw(self, invite: str) -> None:
        """Close an invite.

        Raises:
            OperationFailed: There is no such invite.
        """
        if not await self._invites.withdraw(invite, ""):
            raise OperationFailed(
                "there is no such invite", hint="`crdtsync relay invites` lists them."
            )

    def sessions(self) -> list[Kept]:
        """Everything that is kept, the last changed first."""
        rows = self._access.reader.execute(_SESSIONS, (self._access.now_ms(),))
        return [
            Kept(
                doc,
                "session" if session else "document",
                updates,
                size,
                tokens,
                _iso(changed_ms),
            )
            for doc, session, updates, size, tokens, changed_ms in rows.fetchall()
        ]


def _iso(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="seconds")
