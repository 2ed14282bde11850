"""The events of a session from its log, for `watch --since`; it follows nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from crdtsync.catalog import Catalog
from crdtsync.clock import SystemClock
from crdtsync.document import Document
from crdtsync.events import Happening, Reset, SessionEvent
from crdtsync.log import Stored
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["past_events"]


async def past_events(session: Session, since: int, upto: int) -> list[SessionEvent]:
    """Derive the events of the updates after `since`, up to `upto`, from the log.

    If some of them were compacted away, the first event is a `reset`, and the events
    are those after the snapshot.
    """
    path = Catalog(session.place.data).path(session.id)
    async with open_sqlite_log(path, clock=SystemClock(), read_only=True) as log:
        stored = await log.load(session.id)
    return list(_derive(session, stored, since, upto))


def _derive(
    session: Session, stored: Stored, since: int, upto: int
) -> Iterator[SessionEvent]:
    start = max(since, stored.snapshot_seq)
    known = stored.updates[: start - stored.snapshot_seq]
    later = stored.updates[start - stored.snapshot_seq : upto - stored.snapshot_seq]
    document = Document.load([u for u in (stored.snapshot, *known) if u])
    view = SessionView(document)
    if since < stored.snapshot_seq:
        reset = Happening(Reset("compacted", view.message_count))
        yield from _events(session, start, [reset])
    folder = Folder(document, view)
    for seq, update in enumerate(later, start + 1):
        yield from _events(session, seq, folder.fold(document.apply([update])))


def _events(
    session: Session, seq: int, happenings: Sequence[Happening]
) -> Iterator[SessionEvent]:
    now = SystemClock().now()
    for happening in happenings:
        actor = session.actor(happening.actor)
        yield SessionEvent(seq, now, session.id, actor, happening.body)
