"""The API's place in a room: a guest like any other, but in this process.

It hands updates over and waits until they are on disk. It reads no update: what was
written is read from the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio

from crdtsync.clock import Clock
from crdtsync.errors import CrdtSyncError
from crdtsync.sync.arrivals import (
    Acked,
    Arrival,
    Asked,
    Closed,
    PresenceCame,
    Refused,
    Synced,
)
from crdtsync.sync.conduct import Conduct, window_hello
from crdtsync.sync.messages import ClientState
from crdtsync.sync.protocol import Peer
from crdtsync.sync.untyped import EMPTY_UPDATE
from crdtsync_relay.attendance import Attendance

__all__ = ["Seat", "SeatLost"]

TICK_MIN_S: Final = 0.05
"""The protocol is looked after at most so often."""


class SeatLost(CrdtSyncError):
    """The room has sent the API away, or does not take what it wrote."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the API says to have: the room need not send it."""

    vector: bytes

    def state_vector(self) -> bytes:
        return self.vector


class Seat:
    """One guest of the API.

    Args:
        attendance: Of the room.
        session: The session's id.
        vector: What was in the log at first, as a Yjs state vector.
        clock: For its boottime.
        show: Told the presence of others.
    """

    def __init__(
        self,
        attendance: Attendance,
        session: str,
        vector: bytes,
        clock: Clock,
        show: Callable[[tuple[ClientState, ...]], None],
    ) -> None:
        # The room holds what is not on disk yet: the two never compare.
        conduct = Conduct(window_hello(session), check_s=float("inf"))
        self._attendance = attendance
        self._clock = clock
        self._show = show
        self._peer = Peer(conduct, _Known(vector), now=clock.boottime())
        self._settled = 0
        self._live = anyio.Event()
        self._changed = anyio.Event()

    async def attend(self) -> None:
        """Talk with the room until it ends; run it in a task of its own.

        Raises:
            SeatLost: It has ended.
        """
        self._peer.open(self._now())
        self._say()
        async with anyio.create_task_group() as group:
            group.start_soon(self._tick)
            while (frame := await self._attendance.outbox.take()) is not None:
                for arrival in self._peer.receive(frame, self._now()):
                    self._react(arrival)
                self._say()
            group.cancel_scope.cancel()
        _, reason = self._attendance.outbox.closing or (0, "")
        raise SeatLost(reason or "the room has ended")

    async def until_live(self) -> None:
        """Wait until the room takes updates."""
        await self._live.wait()

    async def hand_over(self, update: bytes) -> int:
        """Give the room an update; returns its number."""
        await self._attendance.until_ready()
        number = self._peer.send_update(update, self._now())
        self._say()
        return number

    async def until_settled(self, number: int) -> None:
        """Wait until the room has everything up to this number on disk.

        Whoever waits does so no longer than `attend` runs.
        """
        while self._settled < number:
            await self._changed.wait()

    async def until_beyond(self, seq: int) -> None:
        """Wait until the room's log holds more than up to a sequence number."""
        await self._attendance.until_beyond(seq)

    def _react(self, arrival: Arrival) -> None:
        match arrival:
            case Asked():
                # All that is here comes from the log, or goes by `hand_over`.
                for found in self._peer.answer(EMPTY_UPDATE, self._now()):
                    self._react(found)
            case Synced():
                self._live.set()
            case Acked(count):
                self._settled = count
                self._changed.set()
                self._changed = anyio.Event()
            case PresenceCame(states):
                self._show(states)
            case Refused(_, _, reason) | Closed(_, reason):
                raise SeatLost(reason)
            case _:
                # Updates are read from the log, once they are in it.
                pass

    async def _tick(self) -> None:
        while True:
            now = self._now()
            # Who is in this process is not silent, only busy.
            self._peer.heard(now)
            for arrival in self._peer.tick(now):
                self._react(arrival)
            self._say()
            await anyio.sleep(max(TICK_MIN_S, self._peer.next_tick_s - now))

    def _say(self) -> None:
        for frame in self._peer.frames():
            self._attendance.receive(frame)

    def _now(self) -> float:
        return self._clock.boottime()
