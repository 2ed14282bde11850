"""One peer of a room: who it is, how far its updates have come; it sends nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from crdtsync.sync.admission import Parking
from crdtsync.sync.arrivals import Arrival
from crdtsync.sync.leasing import LeaseRequest
from crdtsync.sync.protocol import Peer
from crdtsync_relay.budget import Budget
from crdtsync_relay.presence import Stamp

__all__ = ["Guest", "Member", "Progress"]


@dataclass(frozen=True, slots=True)
class Guest:
    """Who wants to come in, as the shell knows from the handshake.

    Attributes:
        peer: Number of the connection, from 1, unique in the process.
        writes: Whether its role may change the document.
        layer_2: Whether it speaks `crdtsync.v1`.
        stamp: What its token vouches for; None where nobody needs a token.
        budget: Of its participant, shared by the participant's connections.
    """

    peer: int
    writes: bool
    layer_2: bool
    stamp: Stamp | None
    budget: Budget

    @property
    def notes_only(self) -> bool:
        """Whether it may write notes and nothing else."""
        return not self.writes and self.stamp is not None and self.stamp.notes


class Progress:
    """Which of a connection's updates are settled: on disk, or refused for good.

    Attributes:
        received: How many updates have come.
        settled: So many of the first ones are settled, without a gap.
    """

    __slots__ = ("_early", "received", "settled")

    def __init__(self) -> None:
        self.received = 0
        self.settled = 0
        self._early: set[int] = set()

    def settle(self, number: int) -> bool:
        """Note that an update is settled; returns whether `settled` has grown."""
        if number != self.settled + 1:
            self._early.add(number)
            return False
        self.settled = number
        while self.settled + 1 in self._early:
            self.settled += 1
            self._early.remove(self.settled)
        return True


@dataclass(slots=True, eq=False)
class Member:
    """One peer of a room.

    Attributes:
        guest: Who it is.
        protocol: Its end of the connection; None before the room has loaded.
        frames: What it sent before that.
        backlog: What it said and waits for a trial.
        trying: The number of its update that is being tried elsewhere; 0 if none.
        progress: Of its updates.
        parking: Its updates that came too early.
        parked: The numbers of each of them.
        leases: Requests, each with the number of updates that has to be settled first.
        resync_at_s: When it may be asked again for what it has.
        telling: The number of its step 2, of all it has; 0 before.
        has_told: Whether that is in the document and on disk.
    """

    guest: Guest
    protocol: Peer | None = None
    frames: deque[bytes] = field(default_factory=deque)
    backlog: deque[Arrival] = field(default_factory=deque)
    trying: int = 0
    progress: Progress = field(default_factory=Progress)
    parking: Parking = field(default_factory=Parking)
    parked: dict[bytes, list[int]] = field(default_factory=dict)
    leases: deque[tuple[int, LeaseRequest]] = field(default_factory=deque)
    resync_at_s: float = 0.0
    telling: int = 0
    has_told: bool = False

    @property
    def participant(self) -> str:
        """Who it is: by its token, or by its own word if that names nobody."""
        stamp, protocol = self.guest.stamp, self.protocol
        if stamp is None:
            return ""
        hello = protocol.hello if protocol is not None else None
        return stamp.participant or (hello.participant if hello else "")
