"""The leases of a runner as it knows them, by its own clock; it asks for none."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.log import Holding
from crdtsync.turns.effects import RaiseEpoch, Release, Renew
from crdtsync.turns.signals import Given, Side
from crdtsync.turns.timing import Timing


@dataclass(slots=True)
class Lease:
    """One lease that was granted to this runner.

    Attributes:
        side: The arbiter that granted it.
        attempt: The attempt it was granted to; shown with every request.
        epoch: Of the grant.
        arb: The arbiter's id.
        ttl_s: Its life, as the arbiter told.
        idle_s: How long no turn was running before; None if unknown.
        sent_s: When the last confirmed request was sent.
        asked_s: When the last request was sent, confirmed or not.
    """

    side: Side
    attempt: int
    epoch: int
    arb: str
    ttl_s: float
    idle_s: float | None
    sent_s: float
    asked_s: float

    @classmethod
    def of(cls, given: Given) -> Lease:
        """Take up a grant; it counts from when it was asked for."""
        granted = given.granted
        return cls(
            side=given.side,
            attempt=given.attempt,
            epoch=granted.epoch,
            arb=granted.arb,
            ttl_s=granted.ttl_s,
            idle_s=granted.idle_s,
            sent_s=given.sent_s,
            asked_s=given.sent_s,
        )

    def confirm(self, sent_s: float) -> None:
        """Note that a request sent at that time was granted."""
        self.sent_s = max(self.sent_s, sent_s)

    def deadline_s(self, margin_s: float) -> float:
        """When the holder has to have begun to stop."""
        return self.sent_s + self.ttl_s - margin_s


class Leases:
    """The local lease and, under a relay's grant, the relay's.

    Args:
        timing: How long everything takes.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._held: dict[Side, Lease] = {}

    def add(self, lease: Lease) -> None:
        """Take up a grant."""
        self._held[lease.side] = lease

    def get(self, side: Side) -> Lease:
        """Look up a lease that is held."""
        return self._held[side]

    def door(self) -> Holding:
        """What to show at the log's door; the local lease must be held."""
        local = self._held["local"]
        return Holding(local.epoch, local.attempt)

    def deadline_s(self) -> float | None:
        """When the first of them ends for their holder; None if none is held."""
        margin_s = self._timing.margin_s
        return min((x.deadline_s(margin_s) for x in self._held.values()), default=None)

    def over(self, now: float) -> bool:
        """Whether one of them has ended."""
        deadline_s = self.deadline_s()
        return deadline_s is not None and now >= deadline_s

    def confirm(self, side: Side, sent_s: float) -> None:
        """Prolong a lease that is held."""
        self._held[side].confirm(sent_s)

    def holds(self, side: Side, attempt: int) -> bool:
        """Whether the lease of this attempt is held."""
        lease = self._held.get(side)
        return lease is not None and lease.attempt == attempt

    def renew_s(self) -> float | None:
        """When the next renewal is due; None if nothing is held."""
        beat_s = self._timing.heartbeat_s
        return min((x.asked_s + beat_s for x in self._held.values()), default=None)

    def renew(self, now: float) -> list[Renew]:
        """Ask for each renewal that is due."""
        asked = []
        for lease in self._held.values():
            if now >= lease.asked_s + self._timing.heartbeat_s:
                lease.asked_s = now
                asked.append(Renew(lease.side, lease.epoch, lease.attempt, now))
        return asked

    def raise_local(self) -> list[RaiseEpoch]:
        """Lift the local epoch to the relay's, so that it grows along every chain."""
        local, relay = self._held["local"], self._held["relay"]
        if relay.epoch <= local.epoch:
            return []
        lifted = RaiseEpoch(local.epoch, local.attempt, relay.epoch)
        local.epoch = relay.epoch
        return [lifted]

    def release(self) -> list[Release]:
        """Give all back, the relay's first: taken last, given first."""
        sides: tuple[Side, ...] = ("relay", "local")
        held = [self._held[side] for side in sides if side in self._held]
        self._held = {}
        return [Release(x.side, x.epoch, x.attempt) for x in held]

    def drop(self) -> None:
        """Let all run out."""
        self._held = {}
