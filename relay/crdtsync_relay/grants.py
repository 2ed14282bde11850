"""What a token allows, and what roles and ids are; it keeps no token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, Literal

from crdtsync.errors import UsageError
from crdtsync.identity import ID

__all__ = ["ROLES", "Grant", "Role", "check_id", "check_role", "new_grant"]

Role = Literal["owner", "editor", "viewer"]

ROLES: Final[tuple[Role, ...]] = ("owner", "editor", "viewer")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows.

    Attributes:
        id: Names the token where it must not be shown itself.
        session: The only session it is for; empty for all, which owners have.
        participant: Whom it stands for; empty for the relay's own owner token.
        can_approve: Whether it may answer an agent's questions: that runs commands
            as the agent's host user.
        expires_at: Wall time, milliseconds since 1970; None for never.
    """

    id: str
    session: str
    role: Role
    participant: str
    name: str
    can_approve: bool
    expires_at: int | None

    @property
    def writes(self) -> bool:
        """Whether it may change documents."""
        return self.role != "viewer"

    def covers(self, session: str) -> bool:
        """Whether it is for this session."""
        return self.session in {"", session}


def new_grant(
    session: str, role: str, participant: str, name: str, expires_at: int | None
) -> Grant:
    """Make what a new token allows; owners may approve.

    Raises:
        UsageError: An id or a role is none.
    """
    for text in filter(None, (session, participant)):
        check_id(text)
    checked = check_role(role)
    return Grant(
        id=secrets.token_hex(6),
        session=session,
        role=checked,
        participant=participant,
        name=name,
        can_approve=checked == "owner",
        expires_at=expires_at,
    )


def check_role(role: str) -> Role:
    """Return a role.

    Raises:
        UsageError: It is none.
    """
    for known in ROLES:
        if role == known:
            return known
    raise UsageError(f"there is no role {role[:32]!r}", hint="owner, editor or viewer")


def check_id(text: str) -> None:
    """Refuse what is no id (X-3).

    Raises:
        UsageError: It is none.
    """
    if not ID.fullmatch(text):
        raise UsageError("an id has 1 to 128 letters, digits, '-' and '_'")
