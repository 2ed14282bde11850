"""One connection of a link, from the first word to the last: tasks around the protocol.

It moves frames between the transport and the protocol core, and ends with a reason.
Whether to connect again is the link's to decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from crdtsync.errors import (
    ConnectionFailed,
    CrdtSyncError,
    ProtocolError,
    UpdateRefused,
)
from crdtsync.links.bounded import ByteQueue
from crdtsync.links.bridge import Bridge
from crdtsync.links.ending import Ending, Stop, ending_of, ending_of_error
from crdtsync.links.intake import Intake
from crdtsync.links.questions import Question
from crdtsync.links.reactions import Reactions
from crdtsync.links.status import LinkStatus
from crdtsync.links.transport import Transport, TransportClosed
from crdtsync.session import Session
from crdtsync.sync.arrivals import Arrival, Came
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.conduct import Conduct, window_hello
from crdtsync.sync.leasing import LeaseRequest, request_to_json
from crdtsync.sync.protocol import FrameTooLarge, Peer, Stage
from crdtsync.sync.wire import SUBPROTOCOL

__all__ = ["Connection"]

OUT_BYTES_MAX: Final = 1024 * 1024
"""Bytes that may wait to be sent before the log is read on."""

OUT_FRAMES_MAX: Final = 10_000
"""Frames that may wait to be sent; more are answers to a flood."""

IN_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes that may wait to be applied before the transport is read on."""

PRESENCE_WAITS_BYTES: Final = 64 * 1024
"""With so much waiting to be sent, presence is left out: only the latest counts."""

LAST_WORDS_S: Final = 2.0
"""How long what waits may take to be sent before closing."""

TICK_MIN_S: Final = 0.05
"""The protocol is looked after at most so often."""

_ARRIVAL_BYTES: Final = 200


class Connection:
    """One connection of a link.

    Args:
        session: Open.
        intake: Of the session.
        transport: Connected; it is closed at the end.
        status: Of the link; told what happens.
        bridge: Of the link's presence.
        origin: Of rows that come through this link.
    """

    def __init__(
        self,
        session: Session,
        intake: Intake,
        transport: Transport,
        status: LinkStatus,
        *,
        bridge: Bridge,
        origin: str,
    ) -> None:
        place = session.place
        conduct = Conduct(
            window_hello(session.id, participant=session.me.id, program="crdtsync"),
            layer_2=transport.subprotocol == SUBPROTOCOL,
            beat_s=place.timing.beat_s,
        )
        self._session = session
        self._transport = transport
        self._status = status
        self._bridge = bridge
        self._clock = place.clock
        self._peer = Peer(conduct, session.replica.document, now=self._now())
        self._reactions = Reactions(
            session, intake, self._peer, status, bridge=bridge, origin=origin
        )
        self._out: ByteQueue[bytes] = ByteQueue(OUT_BYTES_MAX)
        self._in: ByteQueue[Arrival] = ByteQueue(IN_BYTES_MAX)
        self._ending: Ending | None = None
        self._scope = anyio.CancelScope()
        self._busy = False

    @property
    def live(self) -> bool:
        """Whether both ends have told each other everything."""
        over = self._reactions.questions.over
        return self._peer.stage is Stage.LIVE and not over

    @property
    def relay(self) -> str:
        """The id of the relay at the other end; "" if unknown, or if it is none."""
        hello = self._peer.hello
        return hello.relay if hello is not None and hello.end == "relay" else ""

    @property
    def live_s(self) -> float:
        """For how long it has been live."""
        since_s = self._reactions.live_at_s
        return 0.0 if since_s is None else self._now() - since_s

    @property
    def freed(self) -> anyio.Event:
        """Set when the relay next says that the lease is free, and at the end."""
        return self._reactions.questions.freed

    async def pose(self, request: LeaseRequest, *, after: int) -> Question:
        """Send a question to the relay's arbiter.

        Its answer comes after every update that the relay sent before was applied.

        Args:
            request: Its id is not in use.
            after: Every row of the log up to this one is passed on first.

        Raises:
            ConnectionFailed: The connection is not live, or ended meanwhile.
        """
        await self._reactions.feed.passed(after)
        if not self.live:
            raise ConnectionFailed("the connection has ended")
        question = self._reactions.questions.pose(request.id)
        self._peer.send_lease(request_to_json(request), self._now())
        self._drain()
        return question

    async def run(self) -> Ending:
        """Talk until the connection ends."""
        self._status.begin()
        self._peer.open(self._now())
        self._drain()
        try:
            async with anyio.create_task_group() as tasks:
                self._scope = tasks.cancel_scope
                for task in (
                    self._read,
                    self._react,
                    self._write,
                    self._tick,
                    self._pass_on,
                    self._show,
                ):
                    tasks.start_soon(self._guard, task)
        finally:
            self._reactions.questions.fail()
            self._reactions.feed.end()
            with anyio.move_on_after(LAST_WORDS_S, shield=True):
                await self._say_goodbye()
        return self._ending or Ending(CloseCode.NORMAL, "closed")

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        """Let any error of the connection end the connection, and nothing more."""
        try:
            await task()
        except Stop as stop:
            self._end(stop.ending)
        except TransportClosed as closed:
            self._end(ending_of(closed, self._reactions.evicted))
        except FrameTooLarge as error:
            reason = f"the session is too large for the relay: {error}"
            self._end(Ending(CloseCode.TOO_LARGE, reason, reconnect=False))
        except UpdateRefused as refusal:
            reason = f"an update is not safe to apply ({refusal.rule}): {refusal}"
            self._end(Ending(CloseCode.PROTOCOL_ERROR, reason, reconnect=False))
        except ProtocolError as error:
            self._end(Ending(CloseCode.PROTOCOL_ERROR, str(error)))
        except CrdtSyncError as error:
            self._end(ending_of_error(error))

    def _end(self, ending: Ending) -> None:
        self._ending = self._ending or ending
        self._scope.cancel()

    async def _say_goodbye(self) -> None:
        ending = self._ending or Ending(CloseCode.NORMAL, "")
        try:
            self._drain()
            while len(self._out):
                await self._transport.send(await self._out.get())
        except TransportClosed:
            return
        await self._transport.close(ending.code, ending.reason)

    async def _read(self) -> None:
        while True:
            frame = await self._transport.receive()
            for arrival in self._peer.receive(frame, self._now()):
                size = len(arrival.update) if isinstance(arrival, Came) else 0
                self._in.put(arrival, size + _ARRIVAL_BYTES)
            self._drain()
            if len(self._out) > OUT_FRAMES_MAX:
                reason = "the relay asks without reading the answers"
                raise Stop(Ending(CloseCode.SLOW_CONSUMER, reason))
            await self._in.room()

    async def _react(self) -> None:
        while True:
            self._busy = False
            arrival = await self._in.get()
            self._busy = True
            await self._reactions.react(arrival)
            self._drain()

    async def _write(self) -> None:
        while True:
            await self._transport.send(await self._out.get())

    async def _tick(self) -> None:
        while True:
            now = self._now()
            if self._busy or len(self._in):
                # What was read and not acted upon shows that the other end lives.
                self._peer.heard(now)
            for arrival in self._peer.tick(now):
                await self._reactions.react(arrival)
            self._drain()
            self._status.round_trip_s = self._peer.round_trip_s
            await anyio.sleep(max(TICK_MIN_S, self._peer.next_tick_s - now))

    async def _pass_on(self) -> None:
        feed = self._reactions.feed
        await feed.ready()
        while True:
            for row in await feed.next_rows():
                feed.send(row, self._now())
                self._drain()
                await self._out.room()

    async def _show(self) -> None:
        """Carry this window's presence to the other end."""
        await self._reactions.shown.wait()
        company = self._session.company
        while True:
            spoke = company.spoke
            if company.payload and self._out.bytes < PRESENCE_WAITS_BYTES:
                state = self._bridge.outgoing(company.payload)
                self._peer.send_presence([state] if state else [], self._now())
                self._drain()
            await spoke.wait()

    def _drain(self) -> None:
        for frame in self._peer.frames():
            self._out.put(frame, len(frame))

    def _now(self) -> float:
        return self._clock.boottime()
