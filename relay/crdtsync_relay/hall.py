"""Who is in a room, and what is to be sent to them. It reads no message.

All that leaves a room goes through here; what goes to many is encoded once (R-2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, Authority, judge
from crdtsync.sync.closing import NackCode
from crdtsync.sync.conduct import PARTS
from crdtsync.sync.messages import Awareness, ClientState
from crdtsync.sync.protocol import Stage
from crdtsync.sync.wire import PART_BYTES_MAX, encode, encode_update, split
from crdtsync_relay.batch import Judge
from crdtsync_relay.effects import AskArbiter, Close, Effect, Send, Weight
from crdtsync_relay.intake import Intake, Settled
from crdtsync_relay.limits import RESYNC_S
from crdtsync_relay.member import Member
from crdtsync_relay.presence import Presence

__all__ = ["Hall"]

_SHOWN_TO = (Stage.SYNCING, Stage.LIVE)

_AUTHORITY = "T4"
"""The tier of rules on who may write what; the update itself is in order."""


class Hall:
    """The members of a room, their updates, their presence, and the effects to come.

    Attributes:
        members: By number of the connection.
        intake: Their updates on the way.
        presence: What they show.
        refused: Updates that were refused by admission, in all.
    """

    __slots__ = ("_out", "_wanting", "intake", "members", "presence", "refused")

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.intake = Intake()
        self.presence = Presence()
        self.refused = 0
        self._out: list[Effect] = []
        self._wanting: list[int] | None = None

    def take(self) -> Sequence[Effect]:
        """Take the effects so far."""
        if not self._out:
            return ()
        out, self._out = self._out, []
        return out

    def ask(self, effect: Effect) -> None:
        """Ask something of the shell."""
        self._out.append(effect)

    def push(self, member: Member, weight: Weight = "must") -> None:
        """Send what the protocol of a member has to say."""
        if member.protocol is not None and (frames := member.protocol.frames()):
            self.ask(Send((member.guest.peer,), tuple(frames), weight))

    def pass_on(self, update: bytes, author: int | None) -> None:
        """Send an update to all who want updates, but not to its only author."""
        if self._wanting is None:
            self._wanting = self._who_wants()
        wanting = [peer for peer in self._wanting if peer != author]
        if not wanting:
            return
        frame = encode_update(update)
        if len(frame) <= PART_BYTES_MAX:
            self._send(wanting, (frame,))
            return
        knowing = [peer for peer in wanting if self._knows_parts(peer)]
        self._send(knowing, split(frame))
        self._send([peer for peer in wanting if peer not in knowing], (frame,))

    def heeds_anew(self) -> None:
        """Note that other members want updates than before."""
        self._wanting = None

    def _who_wants(self) -> list[int]:
        """The peers that want updates; kept, as each update asks."""
        return [
            peer
            for peer, member in self.members.items()
            if member.protocol is not None and member.protocol.wants_updates
        ]

    def _knows_parts(self, peer: int) -> bool:
        protocol = self.members[peer].protocol
        hello = protocol.hello if protocol is not None else None
        return hello is not None and PARTS in hello.features

    def _send(
        self,
        peers: Sequence[int],
        frames: tuple[bytes, ...],
        weight: Weight = "must",
    ) -> None:
        if peers:
            self.ask(Send(tuple(peers), frames, weight))

    def show(self, states: Iterable[ClientState], said_by: int = 0) -> None:
        """Pass presence on to everybody but the one who said it."""
        shown = tuple(states)
        others = [
            peer
            for peer, member in self.members.items()
            if peer != said_by
            and member.protocol is not None
            and member.protocol.stage in _SHOWN_TO
        ]
        if shown and others:
            self._send(others, (encode(Awareness(shown)),), "presence")

    def show_everybody(self, member: Member, now: float) -> None:
        """Tell one member who is here."""
        if member.protocol is not None:
            member.protocol.send_presence(self.presence.everybody(), now)
            self.push(member)

    def judge(self, member: Member, update: bytes, admitted: Admitted) -> None:
        """Check who may write what, before an update is applied.

        Raises:
            UpdateRefused: The member may not write this.
        """
        if admitted.growth.claims or member.guest.notes_only:
            authority = self._authority(member)
            if authority is not None:
                judge(update, admitted, authority)

    def judge_of(self, members: Iterable[Member]) -> Judge:
        """Make a judge that knows what it needs; it may be asked in any thread."""
        known = {member: self._authority(member) for member in members}

        def judge_alone(member: Member, update: bytes, admitted: Admitted) -> None:
            if (authority := known[member]) is not None:
                judge(update, admitted, authority)

        return judge_alone

    def _authority(self, member: Member) -> Authority | None:
        """What a member may write; None where nobody has an account."""
        guest, stamp = member.guest, member.guest.stamp
        if stamp is None:
            return None
        present = self._present(member.participant)
        return Authority(stamp.participant, stamp.approves, guest.notes_only, present)

    def _present(self, besides: str) -> set[str]:
        """Who has told the relay all they have, and is still here.

        What comes in their names from others is theirs only if they send it too.
        """
        found = {
            member.participant for member in self.members.values() if member.has_told
        }
        return found - {besides, ""}

    def settle(self, settled: Sequence[Settled], now: float) -> None:
        """Acknowledge, once per member, and ask what waited for it (I-5)."""
        grown: dict[Member, None] = {}
        for member, number in settled:
            if number == member.telling:
                member.has_told = True
            if member.progress.settle(number):
                grown[member] = None
        for member in grown:
            self._acknowledge(member, now)

    def refuse(
        self, member: Member, number: int, why: UpdateRefused, now: float
    ) -> None:
        """Say that admission does not let an update in."""
        self.refused += 1
        if member.guest.peer not in self.members or member.protocol is None:
            return
        reason = f"{why} ({why.rule}) {why.hint}".rstrip()
        denied = why.rule.startswith(_AUTHORITY)
        code = NackCode.DENIED if denied else NackCode.INVALID
        member.protocol.refuse(number, code, reason, now)
        self.push(member)
        if member.progress.settle(number):
            self._acknowledge(member, now)

    def ask_for_missing(self, member: Member, now: float) -> None:
        """Ask a member for all it has, unless that was done just now."""
        if member.protocol is not None and now >= member.resync_at_s:
            member.resync_at_s = now + RESYNC_S
            member.protocol.resync(now)
            self.push(member)

    def _acknowledge(self, member: Member, now: float) -> None:
        if not member.guest.layer_2:
            # It knows no such word, and asks for no lease.
            return
        if member.guest.peer in self.members and member.protocol is not None:
            member.protocol.acknowledge(member.progress.settled, now)
            self.push(member)
            self.ask_leases(member)

    def ask_leases(self, member: Member) -> None:
        """Put those requests to the arbiter whose updates are all on disk."""
        leases, settled = member.leases, member.progress.settled
        while leases and leases[0][0] <= settled:
            self.ask(AskArbiter(member.guest.peer, leases.popleft()[1]))

    def close(
        self,
        member: Member,
        code: int,
        reason: str,
        *,
        retry_after_s: float | None,
        now: float,
    ) -> None:
        """Say farewell and close; the member has left then."""
        if (protocol := member.protocol) is not None:
            ended = protocol.stage is Stage.CLOSED
            # What the protocol ended itself has said its word, but not when to return.
            if not ended or retry_after_s is not None:
                protocol.evict(code, reason, now, retry_after_s=retry_after_s)
        self.push(member)
        self.ask(Close(member.guest.peer, code, reason))
        self.leave(member.guest.peer, now=now)

    def leave(self, peer: int, *, now: float) -> None:
        """Forget a member; what it sent completely is still applied."""
        member = self.members.pop(peer, None)
        if member is not None:
            self.heeds_anew()
            member.frames.clear()
            member.backlog.clear()
            member.leases.clear()
            self.intake.forget(member)
            self.show(self.presence.leave(peer, now=now))
