"""What a link does about what a connection brings, one arrival after the other.

It moves no frames: `connection` reads and writes, and calls `react` in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import anyio

from crdtsync.errors import LogUnwritable, UpdateRefused
from crdtsync.events import Notice
from crdtsync.links.bridge import Bridge
from crdtsync.links.ending import Ending, Stop
from crdtsync.links.feed import Feed
from crdtsync.links.intake import Intake
from crdtsync.links.naming import name_for_owner
from crdtsync.links.questions import Questions
from crdtsync.links.status import LinkStatus
from crdtsync.session import Session
from crdtsync.sync.arrivals import (
    Acked,
    Arrival,
    Asked,
    Came,
    Closed,
    Denied,
    Evicted,
    Greeted,
    LeaseCame,
    Mismatch,
    PresenceCame,
    Refused,
    Synced,
)
from crdtsync.sync.closing import CloseCode, NackCode, is_final
from crdtsync.sync.conduct import HOLD, NOTES
from crdtsync.sync.messages import ClientState
from crdtsync.sync.protocol import Peer
from crdtsync.sync.vectors import lacks

__all__ = ["Reactions"]

NOTHING: Final = b"\0\0"
"""The update that says nothing."""

RATE_LIMITED_S: Final = 1.0
"""Pause before coming back to a relay that found this window too fast."""


class Reactions:
    """What one connection changes here.

    Args:
        session: Open.
        intake: Of the session.
        peer: Of the connection.
        status: Of the link.
        bridge: Of the link's presence.
        origin: Of rows that come through this link.

    Attributes:
        feed: What is passed on.
        questions: To the arbiter.
        evicted: What the other end said before closing.
        live_at_s: Since when the connection is live; None before.
        shown: Set once presence may be sent.
    """

    def __init__(
        self,
        session: Session,
        intake: Intake,
        peer: Peer,
        status: LinkStatus,
        *,
        bridge: Bridge,
        origin: str,
    ) -> None:
        self.feed = Feed(session, peer, status, origin)
        self.questions = Questions()
        self.evicted: Evicted | None = None
        self.live_at_s: float | None = None
        self.shown = anyio.Event()
        self._session = session
        self._intake = intake
        self._peer = peer
        self._status = status
        self._bridge = bridge
        self._origin = origin

    async def react(self, arrival: Arrival) -> None:
        """Act upon an arrival; what follows it may build on that.

        Raises:
            Stop: The connection is to end.
            UpdateRefused: An update from there is not safe to apply.
            CrdtSyncError: It cannot be applied now.
        """
        match arrival:
            case Came(update, _, whole):
                await self._take(update, whole=whole)
            case Asked(state_vector):
                self._answer(state_vector)
            case Acked(count):
                self._status.settled(count)
            case PresenceCame(states):
                self._bring(states)
            case LeaseCame(body):
                self.questions.answered(body)
            case Greeted(hello):
                self._status.role = hello.role
                self._status.features = hello.features
                self._status.to("syncing")
                self.shown.set()
            case Synced():
                self._live()
            case _:
                self._mind(arrival)

    def _mind(self, arrival: Arrival) -> None:
        match arrival:
            case Refused(_, code, reason):
                self._refused(code, reason)
            case Denied(reason):
                self._status.to("read-only", reason)
            case Evicted():
                self.evicted = arrival
            case Mismatch():
                self._status.mismatches += 1
                text = "this window and the relay differed and were synced anew"
                self._session.notify(Notice("link.mismatch", text))
            case Closed(code, reason):
                raise Stop(Ending(code, reason, not is_final(code)))
            case _:
                # A window tells who it is without being asked.
                pass

    async def _take(self, update: bytes, *, whole: bool) -> None:
        hello = self._peer.hello
        holds = hello is not None and HOLD in hello.features
        try:
            await self._intake.take(update, self._origin, hold=whole and not holds)
        except UpdateRefused as refusal:
            if refusal.rule != "T2-1":
                raise
            # Too much waits for something that never came: ask for all of it.
            self._peer.resync(self._now())

    def _answer(self, state_vector: bytes) -> None:
        """Tell the other end what it lacks; a viewer has nothing to tell."""
        missing = NOTHING if self._is_viewer else self._intake.hold_for(state_vector)
        head, own = self._session.head, self._session.replica.document.state_vector()
        if not lacks(state_vector, own) and not self._session.replica.unsaved:
            self._status.safe(head)
        found = self._peer.answer(missing, self._now())
        self.feed.answered(head)
        self._live_if_synced(found)

    def _live_if_synced(self, found: Sequence[Arrival]) -> None:
        if any(isinstance(arrival, Synced) for arrival in found):
            self._live()

    def _live(self) -> None:
        self.live_at_s = self._now()
        self.shown.set()
        self._name_relay()
        hello = self._peer.hello
        if self._is_viewer:
            self._status.to("read-only", "you can look at this session, not write")
        elif hello is not None and hello.role == "viewer":
            self._status.to("read-only", "you can write notes in this session only")
        else:
            self._status.to("live")

    def _name_relay(self) -> None:
        hello = self._peer.hello
        if hello is not None and not self._is_viewer:
            # A disk that takes nothing now says so elsewhere, and this is tried again.
            with suppress(LogUnwritable):
                name_for_owner(self._session, self._status, hello.relay)

    @property
    def _is_viewer(self) -> bool:
        hello = self._peer.hello
        viewer = hello is not None and hello.role == "viewer"
        return viewer and hello is not None and NOTES not in hello.features

    def _refused(self, code: str, reason: str) -> None:
        match code:
            case NackCode.READ_ONLY:
                self._status.to("read-only", reason)
            case NackCode.DENIED:
                # Only this was; the relay takes it from whoever may write it.
                self._session.notify(Notice("link.denied", reason))
            case NackCode.RATE_LIMITED:
                ending = Ending(CloseCode.RATE_LIMITED, reason)
                raise Stop(ending)
            case _:
                # Everything that builds on it would be refused as well.
                text = f"the relay does not take what was written here: {reason}"
                raise Stop(Ending(CloseCode.FORBIDDEN, text, reconnect=False))

    def _bring(self, states: tuple[ClientState, ...]) -> None:
        brought = self._bridge.incoming(states)
        for payload in brought.payloads:
            self._session.company.bring(payload)
        self._session.company.dead(brought.gone)

    def _now(self) -> float:
        return self._session.place.clock.boottime()
