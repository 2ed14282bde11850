"""The relay's live state of one session: events in, effects out (R-1 to R-6).

It does no I/O and knows no clock. The shell does what the effects say, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from crdtsync.errors import UpdateRefused
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.leasing import LeaseAnswer, LeaseRequest
from crdtsync.sync.protocol import Peer
from crdtsync.sync.untyped import Broken, Outcome, UntypedDocument
from crdtsync.sync.vectors import EMPTY_VECTOR
from crdtsync_relay.batch import Batch
from crdtsync_relay.effects import Close, Commit, Digest, Effect, Load
from crdtsync_relay.greeting import conduct_for
from crdtsync_relay.hall import Hall
from crdtsync_relay.intake import Applied
from crdtsync_relay.leases import Leases
from crdtsync_relay.limits import (
    DIGEST_BYTES_MIN,
    FLOOD_RETRY_S,
    UNCOMMITTED_BYTES_MAX,
    Limits,
)
from crdtsync_relay.listener import Listener
from crdtsync_relay.member import Guest, Member

__all__ = ["Room", "State"]


class State(Enum):
    """Where a room is in its life (R-4)."""

    LOADING = "loading"
    LIVE = "live"
    DRAINING = "draining"
    DEAD = "dead"


class Room:
    """The live state of one session, or of any Yjs document.

    Its first effect is `Load`; until `loaded` or `failed`, whoever joins waits.

    Args:
        name: The session's id.
        limits: Of the relay.
        session: Whether it holds a session.
        arb: The id of the relay's store.

    Attributes:
        hall: Who is there; for reading only.
    """

    def __init__(
        self, name: str, limits: Limits, *, session: bool, arb: str = ""
    ) -> None:
        self.name = name
        self.session = session
        self.state = State.LOADING
        self.hall = Hall()
        self._limits = limits
        self._arb = arb
        self._listener = Listener(self.hall)
        self._leases = Leases(self.hall)
        self.hall.ask(Load())

    def take(self) -> Sequence[Effect]:
        """Take what is to be done, in this order; call it after each other call."""
        return self.hall.take()

    @property
    def peers(self) -> int:
        """How many peers are in the room."""
        return len(self.hall.members)

    @property
    def has_work(self) -> bool:
        """Whether `flush` has something to apply."""
        return self.state is State.LIVE and self.hall.intake.has_work

    @property
    def waiting(self) -> int:
        """How many updates `flush` has to apply."""
        return self.hall.intake.waiting

    @property
    def is_congested(self) -> bool:
        """Whether frames are to be left unread for now."""
        intake = self.hall.intake
        if self.state is State.LOADING or intake.is_lent:
            return True
        return intake.waiting_bytes > UNCOMMITTED_BYTES_MAX

    @property
    def is_settled(self) -> bool:
        """Whether everything that came is on disk."""
        return self.state is not State.LOADING and self.hall.intake.is_settled

    @property
    def is_idle(self) -> bool:
        """Whether nobody is here and everything that came is on disk."""
        return not self.hall.members and self.is_settled

    def listens_to(self, peer: int) -> bool:
        """Whether the next frame of a peer may be received.

        Not while a large update of it is being tried, nor while the room is congested.
        """
        if self.is_congested:
            return False
        member = self.hall.members.get(peer)
        return member is None or not member.trying

    def join(self, guest: Guest, *, now: float) -> None:
        """Let a peer in.

        Raises:
            ValueError: The room ends; make it anew.
        """
        if self.state in {State.DRAINING, State.DEAD}:
            raise ValueError("nobody joins a room that ends")
        if self.peers >= self._limits.peers_per_room_max:
            code, reason = CloseCode.RATE_LIMITED, "the session is full"
            self.hall.ask(Close(guest.peer, code, reason))
            return
        member = Member(guest)
        self.hall.members[guest.peer] = member
        if self.state is State.LIVE:
            self._welcome(member, now)

    def leave(self, peer: int, *, now: float) -> None:
        """Note that a connection is gone; its lease requests are dropped (A6)."""
        self.hall.leave(peer, now=now)

    def loaded(self, document: UntypedDocument, *, now: float) -> None:
        """Go live with the document, and serve everybody who waited."""
        try:
            self.hall.intake.restore(document)
        except Broken:
            self.failed("the session cannot be loaded", now=now)
            return
        self.state = State.LIVE
        for member in list(self.hall.members.values()):
            if member.protocol is None:
                self._welcome(member, now)
            self._hear(member, now)

    def failed(self, reason: str, *, now: float) -> None:
        """End the room: it could not be loaded, or its log takes no more (4500).

        Nothing that was acknowledged is lost; what was not, its authors still have.
        """
        self.evict(CloseCode.LOAD_ERROR, reason, spread_s=5.0, now=now)
        self.state = State.DEAD

    def evict(
        self, code: CloseCode, reason: str, *, spread_s: float, now: float
    ) -> None:
        """Send everybody away, to come back spread over some time (R-7)."""
        members = list(self.hall.members.values())
        for index, member in enumerate(members, 1):
            wait_s = spread_s * index / len(members)
            self.hall.close(member, code, reason, retry_after_s=wait_s, now=now)

    def expel(
        self,
        peer: int,
        code: CloseCode,
        reason: str,
        *,
        retry_after_s: float | None = None,
        now: float,
    ) -> None:
        """Send one peer away; for good, unless it is told when to come back."""
        if (member := self.hall.members.get(peer)) is not None:
            self.hall.close(member, code, reason, retry_after_s=retry_after_s, now=now)

    def begin_draining(self) -> None:
        """Let nobody in any more; `end` follows."""
        self.state = State.DRAINING

    def end(self) -> None:
        """End a drained room."""
        self.state = State.DEAD

    def receive(self, peer: int, frame: bytes, *, now: float) -> None:
        """Take in a frame of a peer (R-3); whatever is wrong with it ends that peer."""
        member = self.hall.members.get(peer)
        if member is None:
            return
        if len(frame) > self._limits.frame_bytes_max:
            reason = f"a frame has at most {self._limits.frame_bytes_max} bytes"
            self.expel(peer, CloseCode.TOO_LARGE, reason, now=now)
            return
        wait_s = member.guest.budget.spend(len(frame), now=now)
        if wait_s > 0:
            code, reason = CloseCode.RATE_LIMITED, "too much in too short a time"
            wait_s = max(wait_s, FLOOD_RETRY_S)
            self.expel(peer, code, reason, retry_after_s=wait_s, now=now)
            return
        member.frames.append(frame)
        self._hear(member, now)

    def flush(self, *, now: float) -> None:
        """Apply a batch: log it once, send it once, refuse and park what must be."""
        intake = self.hall.intake
        batch = intake.take(self.hall.judge)
        if batch.size < DIGEST_BYTES_MIN:
            self._conclude(intake.finish(batch, batch.digest()), now)
            return
        batch.judge = self.hall.judge_of(batch.members)
        intake.lend(batch)
        self.hall.ask(Digest(batch))

    def digested(self, batch: Batch, outcome: Outcome | None, *, now: float) -> None:
        """Take in what a large batch came to, and hear whoever waited."""
        self._conclude(self.hall.intake.finish(batch, outcome), now)
        for member in list(self.hall.members.values()):
            self._hear(member, now)

    def _conclude(self, applied: Applied, now: float) -> None:
        if applied.update:
            self.hall.pass_on(applied.update, applied.author)
            self.hall.ask(Commit(applied.number, applied.update))
        if applied.settled:
            self.hall.settle(applied.settled, now)
        for member, number, refusal in applied.refused:
            self.hall.refuse(member, number, refusal, now)
        for member in applied.early:
            self.hall.ask_for_missing(member, now)
        if applied.broken:
            self.state = State.LOADING
            self.hall.ask(Load())

    def committed(self, number: int, *, now: float) -> None:
        """Note that every commit up to this number is on disk: acknowledge (I-5)."""
        self.hall.settle(self.hall.intake.committed(number), now)

    def tried(
        self, peer: int, update: bytes, refusal: UpdateRefused | None, *, now: float
    ) -> None:
        """Take the outcome of a trial; what the peer said after it follows."""
        member = self.hall.members.get(peer)
        if member is None or not member.trying:
            return
        number, member.trying = member.trying, 0
        if refusal is None:
            self.hall.intake.offer(member, number, update)
        else:
            self.hall.refuse(member, number, refusal, now)
        self._hear(member, now)

    def arbitrated(
        self, peer: int, request: LeaseRequest, answer: LeaseAnswer, *, now: float
    ) -> None:
        """Pass on the arbiter's answer, and to all others that the lease is free."""
        self._leases.answered(peer, request, answer, now)

    def tick(self, *, now: float) -> None:
        """Keep time for every connection, and ask for what is missing."""
        self.release_presence(now=now)
        self._leases.tick(now)
        for member in list(self.hall.members.values()):
            self._listener.keep_time(member, now)
        for member in self.hall.intake.parked():
            self.hall.ask_for_missing(member, now)

    def release_presence(self, *, now: float) -> None:
        """Pass on presence that was held back for its rate."""
        if self.hall.presence.holds_back:
            self.hall.show(self.hall.presence.release(now=now))

    def show_again(self, peer: int, *, now: float) -> None:
        """Tell a peer who is here, after presence was dropped as it read slowly."""
        if (member := self.hall.members.get(peer)) is not None:
            self.hall.show_everybody(member, now)

    def is_alive(self, peer: int, *, now: float) -> None:
        """Note that a peer sends faster than this relay reads for now."""
        member = self.hall.members.get(peer)
        if member is not None and member.protocol is not None:
            member.protocol.heard(now)

    def _hear(self, member: Member, now: float) -> None:
        """Let a member say what it has to, if the room can listen now."""
        document = self.hall.intake.document
        protocol = member.protocol
        if document is None or protocol is None or self.state is not State.LIVE:
            return
        while not member.trying:
            if member.backlog:
                self._listener.hear(member, document, now)
            elif member.frames:
                member.backlog.extend(protocol.receive(member.frames.popleft(), now))
                if not member.backlog:
                    self.hall.push(member)
            else:
                return

    def _welcome(self, member: Member, now: float) -> None:
        """Say who is here, what the room holds, and who else is there."""
        # While the room is empty it says of no document that it is this one.
        empty = self.hall.intake.state_vector() == EMPTY_VECTOR
        document = self.name if self.session and not empty else ""
        conduct = conduct_for(member.guest, document, self._limits, self._arb)
        member.protocol = Peer(conduct, self.hall.intake, now=now)
        member.protocol.open(now)
        self.hall.push(member)
        if not member.guest.layer_2:
            self.hall.show_everybody(member, now)
