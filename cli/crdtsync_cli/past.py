"""The events of a session from its log, for `watch --since`; it follows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.catalog import Catalog
from crdtsync.clock import SystemClock
from crdtsync.events import SessionEvent
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.session.past import past_happenings

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
    return [
        session.event_of(happening, seq)
        for seq, happenings in past_happenings(stored, since, upto)
        for happening in happenings
    ]
