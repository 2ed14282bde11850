"""Finds whom a person means by a name they typed; it changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync_cli.routing import nearest

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["find_participant"]


def find_participant(session: Session, word: str) -> tuple[str, str]:
    """The id and the name of a person or an agent of the session.

    Args:
        session: Open.
        word: The name in any case, also with @; or the id.

    Raises:
        UsageError: Nobody is called so.
    """
    wanted = word.strip().removeprefix("@").casefold()
    known = {p.id: p.name for p in session.view.participants.values()}
    known |= {person.participant: person.name for person in session.presence}
    for participant, name in known.items():
        if wanted in (name.casefold(), participant.casefold()):
            return participant, clean_line(name)
    near = nearest(wanted, tuple(name.casefold() for name in known.values()))
    raise UsageError(
        f"nobody here is called {clean_line(word)!r}",
        hint=f"Did you mean {clean_line(near)}?" if near else "/who lists who is here.",
    )
