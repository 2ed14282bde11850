"""Who is told what of a room's lease: an answer its asker, "free" everybody else.

Pure; the arbiter's word comes through the shell, and effects go through the hall.
"""

from __future__ import annotations

from crdtsync.sync.leasing import Freed, LeaseAnswer, LeaseRequest, answer_to_json
from crdtsync.sync.protocol import Stage
from crdtsync.turns.arbiter import Denied, Granted
from crdtsync_relay.hall import Hall
from crdtsync_relay.member import Guest, Member

__all__ = ["Leases", "overrules"]


def overrules(guest: Guest) -> bool:
    """Whether a guest may take the lease from a living holder: owners may."""
    return guest.writes and (guest.stamp is None or guest.stamp.role == "owner")


class Leases:
    """What one room says of its lease.

    Args:
        hall: Who is there.
    """

    __slots__ = ("_ends_s", "_hall", "_ttl_s")

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._ends_s: float | None = None
        self._ttl_s: float | None = None

    def answered(
        self, peer: int, request: LeaseRequest, answer: LeaseAnswer, now: float
    ) -> None:
        """Pass on an answer, behind all updates that were sent before."""
        member = self._hall.members.get(peer)
        if member is not None:
            self._tell(member, request.id, answer, now)
        self._note(request, answer, now)
        if request.op == "release" and answer is True:
            self._tell_freed(now, but=member)

    def tick(self, now: float) -> None:
        """Say that the lease is free once its holder has not renewed it in time."""
        if self._ends_s is not None and now >= self._ends_s:
            self._tell_freed(now)

    def _note(self, request: LeaseRequest, answer: LeaseAnswer, now: float) -> None:
        """Note when the lease runs out, as far as that can be told."""
        match answer:
            case Granted(ttl_s=ttl_s):
                self._ttl_s = ttl_s
                self._ends_s = now + ttl_s
            case Denied(remaining_s=left_s):
                self._ends_s = now + left_s
            case True if request.op in {"begin", "renew"} and self._ttl_s is not None:
                self._ends_s = now + self._ttl_s
            case _:
                pass

    def _tell_freed(self, now: float, but: Member | None = None) -> None:
        self._ends_s = None
        for member in self._hall.members.values():
            if member is not but:
                self._tell(member, 0, Freed(), now)

    def _tell(
        self, member: Member, id_: int, answer: LeaseAnswer | Freed, now: float
    ) -> None:
        protocol = member.protocol
        if protocol is None or protocol.stage is not Stage.LIVE:
            return
        if member.guest.layer_2:
            protocol.send_lease(answer_to_json(id_, answer), now)
            self._hall.push(member)
