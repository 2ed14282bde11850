"""What this window's person may do in a session, and why; it grants nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtsync.errors import AccessDenied
from crdtsync_cli.slashes import Role

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["check_role", "role_here"]

_ORDER: Final[tuple[Role, ...]] = ("viewer", "editor", "owner")


def role_here(session: Session) -> tuple[Role, str]:
    """The role of this window, and why it has it.

    Without links the session is this machine's own. With links the best of them counts;
    one that is not connected now has not said no.
    """
    if session.read_only:
        return "viewer", session.read_only
    if not session.links:
        return "owner", "the session is on this machine alone"
    refusals = [link for link in session.links if link.state == "read-only"]
    if len(refusals) == len(session.links):
        return "viewer", refusals[0].status.reason or "the relay lets you look only"
    names = ", ".join(link.name for link in session.links if link not in refusals)
    owner = any(link.status.role == "owner" for link in session.links)
    return "owner" if owner else "editor", f"you are linked to {names}"


def check_role(session: Session, needed: Role, what: str) -> None:
    """Refuse what this window's role does not allow, before anything is written.

    Args:
        session: Open.
        needed: The least role; an owner's rights are the relay's to check.
        what: Is refused, such as "/title".

    Raises:
        AccessDenied: The role does not allow it.
        DataError: Nothing can be written here, whoever asks.
    """
    if needed != "viewer":
        session.check_writable()
    role, why = role_here(session)
    least = min(_ORDER.index(needed), _ORDER.index("editor"))
    if _ORDER.index(role) < least:
        raise AccessDenied(
            f"{what} needs the role {needed}; you are a {role} here: {why}",
            hint="Ask an owner of the session for an invite as editor.",
        )
