"""Where and as whom a session is open, and the times that go with it; it opens none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crdtsync.clock import Clock
from crdtsync.entities import Participant
from crdtsync.identity import Identity, new_id
from crdtsync.turns.timing import Timing


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom a session is open.

    Attributes:
        id: The session's id, the same everywhere.
        name: What it is called in this data folder.
        me: The participant this window writes as.
        window: This window's id.
        data: The data folder.
        identity: Of the data folder.
        clock: The machine's clock.
        timing: Times of turns; the same in every window of the session.
        seen: Whether the others see this window.
        read_only: Why nothing can be written here; "" if it can.
        linked: Whether the session is at a relay, so that its beginning may be there.
        viewer: Whether this person may only look: others write, through links.
    """

    id: str
    name: str
    me: Participant
    window: str
    data: Path
    identity: Identity
    clock: Clock
    timing: Timing
    seen: bool
    read_only: str
    linked: bool = False
    viewer: bool = False

    def new_id(self) -> str:
        """A new UUIDv7."""
        return new_id(self.clock.now())

    def now(self) -> str:
        """Wall time for people."""
        return stamp(self.clock)


def stamp(clock: Clock) -> str:
    """Write wall time for people: ISO 8601, UTC, milliseconds."""
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
