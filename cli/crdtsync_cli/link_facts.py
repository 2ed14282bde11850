"""What is to be said of the links of a session, also by processes that have none.

A window that has links writes down how they stand; other processes read that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crdtsync.catalog import Catalog
from crdtsync.errors import DataError
from crdtsync.log.untold import count_untold
from crdtsync.remotes import Remote, Remotes
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject
from crdtsync.sync.conduct import NOTES
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
    counts = [_unsynced(remotes, entry.path, entry.id, remote) for remote in known]
    least = min((count for count in counts if count is not None), default=None)
    return Whereabouts(tuple(remote.host for remote in known), least)


def _unsynced(remotes: Remotes, path: Path, session: str, remote: Remote) -> int | None:
    """Updates in a session's file that are not known to be at a remote."""
    if remote.role == "viewer":
        # A viewer has nothing to tell.
        return 0
    notes = remotes.seen(session, remote.name)
    seqs = [note.safe_seq for note in notes if note.safe_seq is not None]
    return count_untold(path, session, max(seqs), remote.name) if seqs else None


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
    return [_seen(remotes, session, remote, windows) for remote in known]


def _fact(link: Link) -> LinkFact:
    status = link.status
    # A viewer has nothing to tell, but for notes.
    silent = link.state == "read-only" and NOTES not in (status.features or ())
    unsynced = 0 if silent else link.unsynced
    return LinkFact(link.name, link.state, status.reason, unsynced, status.round_trip_s)


def _seen(
    remotes: Remotes, session: Session, remote: Remote, windows: tuple[str, ...]
) -> LinkFact:
    name = remote.name
    path = Catalog(session.place.data).path(session.id)
    unsynced = _unsynced(remotes, path, session.id, remote)
    for note in remotes.seen(session.id, name):
        if note.window in windows:
            trip = note.round_trip_s
            return LinkFact(name, note.state, note.reason, unsynced, trip)
    return LinkFact(name, "offline", "no window is open", unsynced, None)
