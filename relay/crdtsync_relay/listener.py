"""What a room does with what a member said. Pure: effects go through the hall."""

from __future__ import annotations

from crdtsync.errors import ProtocolError
from crdtsync.identity import owner_of
from crdtsync.sync.admission import INLINE_BYTES_MAX, without_deletions
from crdtsync.sync.arrivals import (
    Arrival,
    Asked,
    Came,
    Closed,
    Greeted,
    LeaseCame,
    PresenceAsked,
    PresenceCame,
)
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.leasing import LeaseRequest, request_from_json
from crdtsync.sync.protocol import FrameTooLarge
from crdtsync.sync.untyped import UntypedDocument
from crdtsync_relay.effects import Try
from crdtsync_relay.hall import Hall
from crdtsync_relay.limits import LEASES_WAITING_MAX, SILENT_RETRY_S
from crdtsync_relay.member import Guest, Member

__all__ = ["Listener"]


class Listener:
    """Hears the members of one room.

    Args:
        hall: Who is there.
    """

    __slots__ = ("_hall",)

    def __init__(self, hall: Hall) -> None:
        self._hall = hall

    def hear(self, member: Member, document: UntypedDocument, now: float) -> None:
        """Handle what a member said, until a large update has to be tried first."""
        while member.backlog and not member.trying:
            arrival = member.backlog.popleft()
            try:
                self._handle(member, document, arrival, now)
            except ProtocolError as error:
                code = CloseCode.PROTOCOL_ERROR
                self._hall.close(member, code, str(error), retry_after_s=1.0, now=now)
            except FrameTooLarge as error:
                code = CloseCode.TOO_LARGE
                self._hall.close(member, code, str(error), retry_after_s=None, now=now)
        self._hall.push(member)

    def keep_time(self, member: Member, now: float) -> None:
        """Let time pass for one connection."""
        protocol = member.protocol
        if protocol is None or protocol.next_tick_s > now:
            return
        for arrival in protocol.tick(now):
            if isinstance(arrival, Closed):
                code, reason = arrival.code, arrival.reason
                self._hall.close(
                    member, code, reason, retry_after_s=SILENT_RETRY_S, now=now
                )
        self._hall.push(member)

    def _handle(
        self, member: Member, document: UntypedDocument, arrival: Arrival, now: float
    ) -> None:
        match arrival:
            case Came(update, number, whole):
                if whole and not member.has_told:
                    member.telling = number
                self._take(member, document, number, update)
            case Asked(state_vector):
                self._answer(member, document, state_vector, now)
            case PresenceCame(states):
                guest = member.guest
                passed = self._hall.presence.receive(
                    guest.peer, states, guest.stamp, now=now
                )
                self._hall.show(passed, guest.peer)
            case Greeted() | PresenceAsked():
                self._hall.show_everybody(member, now)
            case LeaseCame(body):
                self._ask(member, request_from_json(body), now)
            case Closed(code, reason):
                self._hall.close(member, code, reason, retry_after_s=None, now=now)
            case _:
                # Answers to what a relay never asks.
                pass

    def _take(
        self, member: Member, document: UntypedDocument, number: int, update: bytes
    ) -> None:
        member.progress.received = number
        if member.guest.notes_only:
            # Of a Yjs document everybody deletes anything: so a viewer deletes nothing.
            update = without_deletions(update)
        if len(update) > INLINE_BYTES_MAX:
            member.trying = number
            self._hall.ask(Try(member.guest.peer, document.state(), update))
        else:
            self._hall.intake.offer(member, number, update)

    def _answer(
        self,
        member: Member,
        document: UntypedDocument,
        state_vector: bytes,
        now: float,
    ) -> None:
        # What the protocol has said by now goes first, as what it is.
        self._hall.push(member)
        assert member.protocol is not None  # noqa: S101 - it asked through it
        member.protocol.answer(document.diff(state_vector), now)
        self._hall.heeds_anew()
        self._hall.push(member, "sync")

    def _ask(self, member: Member, request: LeaseRequest, now: float) -> None:
        """Queue a question behind the updates that came before it (05: A6, X4)."""
        if not _may_ask(member.guest, request):
            reason = "turns are for editors, under their own name"
            code = CloseCode.FORBIDDEN
            self._hall.close(member, code, reason, retry_after_s=None, now=now)
        elif len(member.leases) >= LEASES_WAITING_MAX:
            raise ProtocolError("too many questions to the arbiter wait")
        else:
            member.leases.append((member.progress.received, request))
            self._hall.ask_leases(member)


def _may_ask(guest: Guest, request: LeaseRequest) -> bool:
    """Whether the asker may run turns, and under the name that it gives."""
    if not guest.writes:
        return False
    stamp = guest.stamp
    if stamp is None or not stamp.participant:
        return True
    return owner_of(request.runner) == stamp.participant
