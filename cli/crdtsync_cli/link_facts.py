"""What is to be said of the links of a session, also by processes that have none.

A window that has links writes down how they stand; other processes read that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crdtsync.errors import DataError
from crdtsync.log.heads import read_head
from crdtsync.remotes import Remotes
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject
from crdtsync_cli.words import plural

if TYPE_CHECKING:
    from crdtsync.catalog import Entry
    from crdtsync.links.link import Link
    from crdtsync.session import Session

__all__ = ["LinkFact", "Whereabouts", "link_facts", "link_line", "whereabouts"]


@dataclass(frozen=True, slots=True)
class LinkFact:
    """How one link stands.

    Attributes:
        name: The relay's address.
        state: As in `LinkState`.
        reason: In words; may be empty.
        unsynced: Updates here that are not there; None if unknown.
        round_trip_s: None if unknown.
    """

    name: str
    state: str
    reason: str
    unsynced: int | None
    round_trip_s: float | None

    @property
    def line(self) -> str:
        """For people."""
        host = self.name.partition("://")[2] or self.name
        found = f"{clean_line(host)} {clean_line(self.state)}"
        if self.unsynced:
            found += f", {plural(self.unsynced, 'update')} not there yet"
        if self.round_trip_s is not None and self.state in {"live", "read-only"}:
            found += f", {self.round_trip_s * 1000:.0f} ms"
        return f"{found}: {clean_line(self.reason)}" if self.reason else found

    @property
    def json(self) -> JsonObject:
        """For programs."""
        trip = self.round_trip_s
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "unsynced": self.unsynced,
            "round_trip_ms": None if trip is None else round(trip * 1000, 1),
        }


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a session is, besides here.

    Attributes:
        hosts: Of its relays.
        unsynced: Updates here that no relay is known to have; None if unknown, and if
            it is on none.
    """

    hosts: tuple[str, ...]
    unsynced: int | None


def whereabouts(data: Path, entry: Entry) -> Whereabouts:
    """Where a session is that is not opened for this; the last that is known."""
    remotes = Remotes(data)
    try:
        known = remotes.of(entry.id)
    except DataError:
        return Whereabouts(("?",), None)
    notes = [note for r in known for note in remotes.seen(entry.id, r.name)]
    seqs = [note.safe_seq for note in notes if note.safe_seq is not None]
    head = read_head(entry.path, entry.id) if seqs else None
    unsynced = None if head is None else max(0, head - max(seqs))
    if known and all(remote.role == "viewer" for remote in known):
        unsynced = 0
    return Whereabouts(tuple(remote.host for remote in known), unsynced)


def link_line(link: Link) -> str:
    """How a link of this process stands, for people."""
    return _fact(link).line


def link_facts(session: Session) -> list[LinkFact]:
    """How the links of a session stand, here or in another window."""
    if session.links:
        return [_fact(link) for link in session.links]
    remotes = Remotes(session.place.data)
    known = remotes.of(session.id)
    windows = session.bell.others() if known else ()
    return [_seen(remotes, session, remote.name, windows) for remote in known]


def _fact(link: Link) -> LinkFact:
    status = link.status
    # A viewer has nothing to tell.
    unsynced = 0 if link.state == "read-only" else link.unsynced
    return LinkFact(link.name, link.state, status.reason, unsynced, status.round_trip_s)


def _seen(
    remotes: Remotes, session: Session, name: str, windows: tuple[str, ...]
) -> LinkFact:
    notes = remotes.seen(session.id, name)
    seqs = [note.safe_seq for note in notes if note.safe_seq is not None]
    unsynced = max(0, session.head - max(seqs)) if seqs else None
    if session.place.viewer:
        unsynced = 0
    for note in notes:
        if note.window in windows:
            return LinkFact(name, note.state, note.reason, unsynced, note.round_trip_s)
    return LinkFact(name, "offline", "no window is open", unsynced, None)
