"""Updates that came too early, kept until what they build on is known.

It keeps bytes and checks nothing: whatever it hands back goes through scan and check
again, and may be refused then.
"""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.sync.admission.index import DocIndex, Pending
from crdtsync.sync.admission.rules import (
    PARKED_BYTES_MAX,
    PARKED_TRIES_MAX,
    PARKED_UPDATES_MAX,
    refuse,
)
from crdtsync.sync.admission.scan import Id

__all__ = ["Parked", "Parking"]


@dataclass(frozen=True, slots=True)
class Parked:
    """One update that waits.

    Attributes:
        update: Its bytes.
        missing: What it waits for.
        tries: How often it has been handed back before.
    """

    update: bytes
    missing: tuple[Id, ...]
    tries: int


class Parking:
    """The waiting updates of one document, each once, within bounds.

    Args:
        bytes_max: How many bytes may wait at a time.
        updates_max: How many updates may wait at a time.
    """

    __slots__ = ("_bytes", "_bytes_max", "_parked", "_updates_max")

    def __init__(
        self,
        bytes_max: int = PARKED_BYTES_MAX,
        updates_max: int = PARKED_UPDATES_MAX,
    ) -> None:
        self._bytes_max = bytes_max
        self._updates_max = updates_max
        self._bytes = 0
        self._parked: dict[bytes, Parked] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, update: bytes, pending: Pending, *, tries: int = 0) -> None:
        """Keep an update that was found pending.

        Args:
            update: Its bytes.
            pending: What `DocIndex.check` said of it.
            tries: 0 for a new one, `Parked.tries + 1` for one that was handed back.

        Raises:
            UpdateRefused: There is no room (T2-1), or it was handed back too often
                without ever being complete. The sender has to synchronise anew.
        """
        if update in self._parked:
            return
        if tries > PARKED_TRIES_MAX:
            refuse("T2-1", "The update kept waiting for more and more.")
        full = len(self._parked) >= self._updates_max
        if full or self._bytes + len(update) > self._bytes_max:
            refuse("T2-1", "Too many updates wait for others that never came.")
        self._parked[update] = Parked(update, pending.missing, tries)
        self._bytes += len(update)

    def take_ready(self, index: DocIndex) -> list[Parked]:
        """Remove and return the updates that wait for nothing that is not known.

        Call it after each commit, until it returns nothing; scan and check what it
        returns, in that order.
        """
        if not self._parked:
            return []
        ready = [
            parked
            for parked in self._parked.values()
            if all(index.knows(client, clock) for client, clock in parked.missing)
        ]
        for parked in ready:
            del self._parked[parked.update]
            self._bytes -= len(parked.update)
        return ready
