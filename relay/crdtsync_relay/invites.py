"""Invites: a link, and a code to be said aloud, that turn into a token (06-relay).

Wrong tries are counted where they cannot be undone. Who may invite is checked by the
routes.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from crdtsync.errors import AccessDenied, UsageError
from crdtsync_relay.access import Access, insert_token, revoke_token
from crdtsync_relay.codes import (
    is_code,
    make_code,
    make_invite,
    make_token,
    number_of,
    secret_hash,
)
from crdtsync_relay.grants import Grant, Role, check_id, check_role, new_grant
from crdtsync_relay.limits import (
    CODE_LIFE_S,
    CODE_TRIES_MAX,
    INVITE_LIFE_S_MAX,
    INVITE_USES_MAX,
    INVITES_PER_SESSION_MAX,
)

__all__ = ["Invite", "Invites", "Made"]

_COLUMNS: Final = "id, session, role, can_approve, expires_at, uses_left"


@dataclass(frozen=True, slots=True)
class Invite:
    """An open invite.

    Attributes:
        id: Names it where its secret must not be shown.
        expires_at: Of its link; wall time, milliseconds since 1970.
        uses_left: How many people can still come in by it.
    """

    id: str
    session: str
    role: Role
    can_approve: bool
    expires_at: int
    uses_left: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new invite with its secrets, which are shown this once.

    Attributes:
        secret: For the fragment of a link.
        code: To be said aloud; empty if too many codes are open.
    """

    invite: Invite
    secret: str
    code: str


class Invites:
    """The invites of a relay.

    Args:
        access: Has their table open.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def make(
        self,
        session: str,
        role: str,
        *,
        can_approve: bool = False,
        uses: int = 1,
        life_s: int = int(CODE_LIFE_S),
    ) -> Made:
        """Make an invite; its code lives for 15 minutes at most.

        Raises:
            UsageError: A value is out of range.
            AccessDenied: The session has too many open invites.
        """
        check_id(session)
        if not (1 <= uses <= INVITE_USES_MAX and 1 <= life_s <= INVITE_LIFE_S_MAX):
            raise UsageError(
                f"an invite is for 1 to {INVITE_USES_MAX} people and up to 30 days"
            )
        now_ms = self._access.now_ms()
        invite = Invite(
            id=secrets.token_hex(6),
            session=session,
            role=check_role(role),
            can_approve=can_approve or role == "owner",
            expires_at=now_ms + life_s * 1000,
            uses_left=uses,
        )
        return await self._access.writer.run(lambda c: _insert(c, invite, now_ms))

    def open(self, session: str) -> list[Invite]:
        """The open invites of a session, or of all if none is given."""
        rows = self._access.reader.execute(
            f"SELECT {_COLUMNS} FROM relay_invites"  # noqa: S608
            " WHERE (? = '' OR session = ?) AND uses_left > 0 AND expires_at > ?"
            " ORDER BY created_at",
            (session, session, self._access.now_ms()),
        ).fetchall()
        return [_invite(row) for row in rows]

    async def withdraw(self, invite_id: str, session: str) -> bool:
        """Close an invite, of one session if one is given; False if there is none.

        Tokens made by it stay good.
        """

        def work(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "DELETE FROM relay_invites WHERE id = ? AND (? = '' OR session = ?)",
                (invite_id, session, session),
            )
            return cursor.rowcount > 0

        return await self._access.writer.run(work)

    async def redeem(
        self,
        secret: str,
        participant: str,
        name: str,
        *,
        former: str = "",
        session: str = "",
    ) -> tuple[str, Grant]:
        """Turn the secret of a link, or a code, into a token of one's own.

        Args:
            secret: The secret, or the code.
            participant: Whom the token is to stand for.
            name: What they are called.
            former: Id of the token they have by now; it is revoked with this, if it
                is of the same session.
            session: The session they want; empty for whichever it is for.

        Raises:
            UsageError: The participant's id is none.
            AccessDenied: The invite is wrong, used up or expired, or somebody has
                the participant's place.
        """
        check_id(participant)
        now_ms = self._access.now_ms()
        code = secret.strip().lower()
        if is_code(code):
            # A wrong try has to stay counted: nothing is raised in its transaction.
            found = await self._access.writer.run(lambda c: _try(c, code, now_ms))
        else:
            found = secret_hash(secret)
        if found is None:
            raise _wrong()
        digest = found

        def work(connection: sqlite3.Connection) -> tuple[str, Grant]:
            invite = _use(connection, digest, session, now_ms)
            grant = new_grant(invite.session, invite.role, participant, name, None)
            grant = replace(grant, can_approve=invite.can_approve)
            token = make_token()
            if former:
                revoke_token(connection, former, invite.session, now_ms)
            insert_token(connection, token, grant, now_ms)
            return token, grant

        return await self._access.writer.run(work)


def _insert(connection: sqlite3.Connection, invite: Invite, now_ms: int) -> Made:
    connection.execute(
        "DELETE FROM relay_invites WHERE expires_at <= ? OR uses_left = 0", (now_ms,)
    )
    connection.execute(
        "UPDATE relay_invites SET number = NULL, code_hash = NULL"
        " WHERE code_expires_at <= ?",
        (now_ms,),
    )
    (count,) = connection.execute(
        "SELECT count(*) FROM relay_invites WHERE session = ?", (invite.session,)
    ).fetchone()
    if count >= INVITES_PER_SESSION_MAX:
        raise AccessDenied(
            "the session has too many open invites", hint="Withdraw some."
        )
    taken = connection.execute(
        "SELECT number FROM relay_invites WHERE number IS NOT NULL"
    ).fetchall()
    number, code = make_code({row[0] for row in taken}) or (None, "")
    secret = make_invite()
    connection.execute(
        "INSERT INTO relay_invites VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (
            secret_hash(secret),
            invite.id,
            secret_hash(code) if code else None,
            number,
            min(invite.expires_at, now_ms + int(CODE_LIFE_S * 1000)),
            invite.session,
            invite.role,
            invite.can_approve,
            now_ms,
            invite.expires_at,
            invite.uses_left,
        ),
    )
    return Made(invite, secret, code)


def _try(connection: sqlite3.Connection, code: str, now_ms: int) -> bytes | None:
    """Find the invite of a code; a wrong one counts, and the fifth burns the code."""
    row = connection.execute(
        "SELECT hash, code_hash, tries FROM relay_invites"
        " WHERE number = ? AND code_expires_at > ?",
        (number_of(code), now_ms),
    ).fetchone()
    if row is None:
        return None
    digest, code_hash, tries = row
    if hmac.compare_digest(code_hash, secret_hash(code)):
        return bytes(digest)
    if tries + 1 >= CODE_TRIES_MAX:
        connection.execute(
            "UPDATE relay_invites SET number = NULL, code_hash = NULL WHERE hash = ?",
            (digest,),
        )
    else:
        connection.execute(
            "UPDATE relay_invites SET tries = tries + 1 WHERE hash = ?", (digest,)
        )
    return None


def _use(
    connection: sqlite3.Connection, digest: bytes, session: str, now_ms: int
) -> Invite:
    row = connection.execute(
        f"UPDATE relay_invites SET uses_left = uses_left - 1 WHERE hash = ?"  # noqa: S608
        " AND (? = '' OR session = ?)"
        f" AND uses_left > 0 AND expires_at > ? RETURNING {_COLUMNS}",
        (digest, session, session, now_ms),
    ).fetchone()
    if row is None:
        raise _wrong()
    return _invite(row)


def _wrong() -> AccessDenied:
    return AccessDenied(
        "that invite is wrong, used up or expired", hint="Ask for a new one."
    )


def _invite(row: tuple[str, str, str, int, int, int]) -> Invite:
    invite_id, session, role, can_approve, expires_at, uses_left = row
    known = check_role(role)
    return Invite(invite_id, session, known, bool(can_approve), expires_at, uses_left)
