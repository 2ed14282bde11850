"""Changes what a person is called in one session; the participant stays the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.errors import UsageError
from crdtsync.identity import check_person_name
from crdtsync.schema import as_object, as_text
from crdtsync.session.place import Place

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["as_called", "take_name"]


async def take_name(session: Session, name: str) -> None:
    """Be called otherwise from now on, by everybody and in every window.

    The document remembers it: whoever opens the session under the former name is
    called so too.

    Args:
        session: Open and writable.
        name: 1 to 64 characters, nobody else's.

    Raises:
        UsageError: The name is none, or somebody else's here.
        DataError: The session is read-only here.
        LogUnwritable: It is not on disk yet; this window tries on.
    """
    name = check_person_name(name)
    session.check_writable()
    _check_free(session, name)
    me = session.me
    if name == me.name:
        return
    known = session.view.participants.get(me.id, me)
    told = Message(
        id=session.new_id(),
        role=schema.SYSTEM,
        author=me.id,
        at=session.now(),
        text=f"was called {me.name} until now",
        extra={"action": "name"},
    )
    with session.replica.edit() as (edit, ticket):
        session.introduce(edit, me)
        edit.add_participant(replace(known, name=name))
        edit.add_message(told)
    session.place = replace(session.place, me=replace(me, name=name))
    session.company.set_name(name)
    await ticket.wait()


def as_called(place: Place, document: Document) -> Place:
    """The place under the name that its participant has taken in the session."""
    known = as_object(document.entry(schema.PARTICIPANTS, place.me.id))
    name = as_text(known.get("name")) or place.me.name
    return replace(place, me=replace(place.me, name=name))


def _check_free(session: Session, name: str) -> None:
    others = {p.id: p.name for p in session.view.participants.values()}
    others |= {person.participant: person.name for person in session.presence}
    others.pop(session.me.id, None)
    if name.casefold() in {other.casefold() for other in others.values()}:
        raise UsageError(
            f"somebody here is called {name!r} already", hint="Choose another name."
        )
