"""One connection's sync protocol, without I/O, for both ends (docs: protocol, W-20 on).

Frames, the time and this end's updates go in; arrivals come back, and frames to send
collect in `frames()`. It applies nothing, logs nothing and holds no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject
from crdtsync.sync.arrivals import Arrival, Closed
from crdtsync.sync.closing import CloseCode, NackCode
from crdtsync.sync.conduct import Conduct
from crdtsync.sync.hearing import hear, hear_update, refuse
from crdtsync.sync.messages import (
    Ack,
    Awareness,
    Check,
    ClientState,
    Evict,
    Hello,
    Lease,
    Message,
    Part,
    Ping,
    QueryAwareness,
    SyncStep2,
    Update,
)
from crdtsync.sync.parts import TooLarge
from crdtsync.sync.talk import Counts, FrameTooLarge, Stage, Stateful, Talk
from crdtsync.sync.vectors import digest
from crdtsync.sync.wire import decode, short_update

__all__ = ["Counts", "FrameTooLarge", "Peer", "Stage", "Stateful"]

QUIET_S: Final = 2.0
"""A check waits for so long a pause, as what is on its way looks like a mismatch."""

CHECKS_LATE_MAX: Final = 5
"""After so many periods without a pause it is sent all the same."""


class Peer:
    """What this end knows of the other end of one connection, and has to tell it.

    After each call, send what `frames()` returns, in order, one WebSocket message
    each. `receive` and `tick` return what the shell has to act upon, in order. Call
    `tick` when `next_tick_s` has come, and `receive` first if frames wait.

    Args:
        conduct: How this end behaves.
        document: This end's; only its state vector is read.
        now: Boottime, seconds, as in every other method.
    """

    def __init__(self, conduct: Conduct, document: Stateful, *, now: float) -> None:
        self._talk = Talk(conduct, document, now)
        self._checked_s = now

    @property
    def stage(self) -> Stage:
        """How far the connection has come."""
        return self._talk.stage

    @property
    def hello(self) -> Hello | None:
        """What the other end said of itself; None before, and in layer 1."""
        return self._talk.hello

    @property
    def counts(self) -> Counts:
        """What was noticed and kept from doing harm."""
        return self._talk.counts

    @property
    def round_trip_s(self) -> float | None:
        """The last one measured."""
        return self._talk.pulse.round_trip_s

    @property
    def unsettled(self) -> int:
        """Updates sent that are neither on the relay's disk nor refused."""
        talk = self._talk
        return talk.sent - talk.acked - len(talk.refused)

    @property
    def wants_updates(self) -> bool:
        """Whether updates are to be passed on: its step 1 was answered.

        What was applied before then is in the answer.
        """
        return self._talk.answered and self._talk.stage is not Stage.CLOSED

    def frames(self) -> list[bytes]:
        """Take what is to be sent."""
        talk = self._talk
        if not talk.out:
            return []
        out, talk.out = talk.out, []
        return out

    def open(self, now: float) -> None:
        """Say the first words: HELLO, and what this end has (W-20)."""
        talk = self._talk
        if talk.conduct.layer_2:
            talk.send(talk.conduct.hello, now)
        talk.ask(now)

    def receive(self, frame: bytes, now: float) -> list[Arrival]:
        """Take in a frame, whatever it holds."""
        talk = self._talk
        found: list[Arrival] = []
        if talk.stage is Stage.CLOSED:
            return found
        talk.pulse.heard(now)
        try:
            if len(frame) > talk.conduct.frame_bytes_max:
                raise TooLarge(f"a frame of {len(frame)} bytes")
            if talk.stage is not Stage.GREETING and (update := short_update(frame)):
                return hear_update(talk, update, now)
            for message in decode(frame):
                found += self._hear(message, now)
                if self.stage is Stage.CLOSED:
                    break
        except TooLarge as error:
            found.append(talk.close(CloseCode.TOO_LARGE, str(error)))
        except ProtocolError as error:
            found.append(talk.close(CloseCode.PROTOCOL_ERROR, str(error)))
        return found

    def _hear(self, message: Message, now: float) -> list[Arrival]:
        talk = self._talk
        if not isinstance(message, Part) or not talk.conduct.layer_2:
            return hear(talk, message, now)
        if talk.hello is None:
            raise ProtocolError("W-20: the first message was no HELLO")
        talk.moved_s = now
        frame = talk.parts.add(message)
        found: list[Arrival] = []
        for inner in decode(frame) if frame is not None else ():
            if isinstance(inner, Part):
                raise ProtocolError("W-10: a part within a part")
            found += hear(talk, inner, now)
        return found

    def answer(self, update: bytes, now: float) -> list[Arrival]:
        """Answer `Asked`: send the other end what it lacks.

        From now on every update has to be passed on to it. The update counts like
        those of `send_update`, and its number is `sent` afterwards.

        Raises:
            FrameTooLarge: The other end does not take so much; nothing was sent.
        """
        talk = self._talk
        if talk.stage is Stage.CLOSED:
            return []
        talk.send(SyncStep2(update), now)
        talk.sent += 1
        talk.answered = True
        talk.moved_s = now
        return talk.progress()

    @property
    def sent(self) -> int:
        """Number of the last update sent, steps 2 included."""
        return self._talk.sent

    def send_update(self, update: bytes, now: float) -> int:
        """Pass on an update; returns its number.

        A relay may as well send one frame, `encode(Update(...))`, to all of its peers
        that want updates (through `split` where `hello` has the feature "parts").

        Raises:
            ValueError: The other end did not ask for anything yet.
            FrameTooLarge: The other end does not take so much; nothing was sent.
        """
        if not self.wants_updates:
            raise ValueError("updates are sent after the first answer")
        self._talk.send(Update(update), now)
        self._talk.sent += 1
        self._talk.moved_s = now
        return self._talk.sent

    def send_presence(self, states: Sequence[ClientState], now: float) -> None:
        """Send presence of some clients."""
        if states and self.stage in (Stage.SYNCING, Stage.LIVE):
            self._talk.send(Awareness(tuple(states)), now)

    def ask_presence(self, now: float) -> None:
        """Ask for everybody's presence."""
        if self.stage in (Stage.SYNCING, Stage.LIVE):
            self._talk.send(QueryAwareness(), now)

    def send_lease(self, body: JsonObject, now: float) -> None:
        """Ask the arbiter, or answer for it; see `leasing`.

        Raises:
            ValueError: The connection is not live (W-26).
        """
        if self.stage is not Stage.LIVE or not self._talk.conduct.layer_2:
            raise ValueError("lease messages are sent while the connection is live")
        self._talk.send(Lease(body), now)

    def acknowledge(self, count: int, now: float) -> None:
        """Of a relay: the first `count` updates are committed, or were refused."""
        if self._talk.conduct.layer_2 and self.stage is not Stage.CLOSED:
            self._talk.send(Ack(count), now)

    def refuse(self, number: int, code: NackCode, reason: str, now: float) -> None:
        """Of a relay: one update is not taken; it counts as settled."""
        if self.stage is not Stage.CLOSED:
            refuse(self._talk, number, code, reason, now)

    def resync(self, now: float) -> None:
        """Ask anew for what this end lacks; in layer 2 the other end does the same."""
        if self.stage in (Stage.SYNCING, Stage.LIVE):
            self._talk.ask(now)

    def evict(
        self, code: int, reason: str, now: float, *, retry_after_s: float | None
    ) -> Closed:
        """Close, and say when the other end may come back; None for never.

        Also after `receive` or `tick` has closed; once, and nothing follows it.
        """
        if self._talk.conduct.layer_2:
            wait_ms = int((retry_after_s or 0) * 1000)
            self._talk.send(Evict(code, wait_ms, retry_after_s is not None), now)
        return self.close(code, reason)

    def close(self, code: int, reason: str) -> Closed:
        """Close; nothing comes or goes any more, but for what waits to be sent."""
        return self._talk.close(code, reason)

    def heard(self, now: float) -> None:
        """Note a sign of life that was no frame: this end is too busy to read."""
        self._talk.pulse.heard(now)

    @property
    def next_tick_s(self) -> float:
        """The boottime at which `tick` has something to do."""
        talk, conduct = self._talk, self._talk.conduct
        if not conduct.layer_2:
            return talk.pulse.last_sent_s + conduct.keepalive_s
        due_s = min(talk.pulse.dead_s, talk.pulse.ping_s)
        if talk.stage is Stage.GREETING:
            return min(due_s, talk.opened_s + conduct.hello_timeout_s)
        return min(due_s, self._check_s)

    def tick(self, now: float) -> list[Arrival]:
        """Let time pass: beats, checks, and waits that come to nothing."""
        talk = self._talk
        if talk.stage is Stage.CLOSED:
            return []
        if not talk.conduct.layer_2:
            self._keep_alive(now)
            return []
        if (over := self._overdue(now)) is not None:
            return [over]
        if talk.stage is Stage.GREETING:
            return []
        if now >= talk.pulse.ping_s:
            talk.send(Ping(talk.pulse.ping(now)), now)
        if now >= self._check_s:
            self._checked_s = now
            talk.send(Check(digest(talk.document.state_vector())), now)
        return []

    def _keep_alive(self, now: float) -> None:
        talk = self._talk
        if now >= talk.pulse.last_sent_s + talk.conduct.keepalive_s:
            talk.send(Awareness(()), now)

    def _overdue(self, now: float) -> Closed | None:
        talk, conduct = self._talk, self._talk.conduct
        if talk.stage is Stage.GREETING:
            if now < talk.opened_s + conduct.hello_timeout_s:
                return None
            return talk.close(CloseCode.AUTH_TIMEOUT, "no HELLO came")
        if now >= talk.pulse.dead_s:
            return talk.close(CloseCode.SILENT, "nothing was heard for two beats")
        if talk.asking and now >= talk.moved_s + conduct.sync_timeout_s:
            return talk.close(CloseCode.SILENT, "a step 1 was never answered")
        return None

    @property
    def _check_s(self) -> float:
        """When the documents are to be compared."""
        talk, conduct = self._talk, self._talk.conduct
        if conduct.is_relay or talk.stage is not Stage.LIVE:
            return float("inf")
        latest_s = self._checked_s + CHECKS_LATE_MAX * conduct.check_s
        if self.unsettled:
            return latest_s
        quiet_s = talk.moved_s + QUIET_S
        return min(latest_s, max(self._checked_s + conduct.check_s, quiet_s))
