"""All rooms of a relay: made once per name, found, unloaded, drained (R-4, R-7).

It knows no WebSocket; `attend` connects a room with whatever reads and writes frames.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from crdtsync.clock import Clock
from crdtsync.log.sqlite import SqliteLog
from crdtsync.sync.closing import CloseCode
from crdtsync_relay.arbitration import Arbitration
from crdtsync_relay.attendance import Attendance, TurnedAway
from crdtsync_relay.budget import Budget
from crdtsync_relay.disk import Shared
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.limits import (
    DIGESTS_AT_ONCE_MAX,
    DRAIN_S,
    DRAIN_SPREAD_S,
    GIVE_BACK_ROOMS,
    LOADS_AT_ONCE_MAX,
    TRIALS_AT_ONCE_MAX,
    VISITED_MAX,
    Limits,
)
from crdtsync_relay.member import Guest
from crdtsync_relay.memory import give_back
from crdtsync_relay.peer import Outbox
from crdtsync_relay.presence import Stamp
from crdtsync_relay.pump import Pump
from crdtsync_relay.room import Room, State
from crdtsync_relay.running import Running
from crdtsync_relay.tally import Tally

__all__ = ["Hub", "open_hub"]

TICK_S = 0.1
"""How often presence that was held back is passed on."""

_TICKS_PER_SECOND = 10

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_hub(
    log: SqliteLog, kinds: Kinds, *, clock: Clock, limits: Limits
) -> AsyncGenerator[Hub]:
    """Serve rooms; leaving ends them at once, `Hub.drain` ends them in peace."""
    async with anyio.create_task_group() as group:
        hub = Hub(log, kinds, clock, limits, group)
        hub.arb = await log.arb()
        for task in (hub.keep_time, hub.pump.run):
            group.start_soon(task)
        try:
            yield hub
        finally:
            group.cancel_scope.cancel()


class Hub:
    """The rooms of one relay. Made by `open_hub`.

    Attributes:
        tally: Counts of everything.
        limits: The relay's.
        draining: Whether it takes no guests any more.
        arb: The id of the relay's store, by which it grants leases.
    """

    def __init__(
        self,
        log: SqliteLog,
        kinds: Kinds,
        clock: Clock,
        limits: Limits,
        group: TaskGroup,
    ) -> None:
        self.tally = Tally()
        self.limits = limits
        self.draining = False
        self.arb = ""
        self._kinds = kinds
        self._clock = clock
        self._group = group
        self._rooms: dict[str, Running] = {}
        self._visited: set[str] = set()
        self._ended = 0
        self._peers = count(1)
        self._budgets: WeakValueDictionary[str, Budget] = WeakValueDictionary()
        self._shared = Shared(
            log=log,
            clock=clock,
            tally=self.tally,
            arbitration=Arbitration(log, clock, kinds.made_at, limits.lease_ttl_s),
            loads=anyio.CapacityLimiter(LOADS_AT_ONCE_MAX),
            digests=anyio.CapacityLimiter(DIGESTS_AT_ONCE_MAX),
            trials=anyio.CapacityLimiter(TRIALS_AT_ONCE_MAX),
            made=kinds.note,
            pump=Pump(log, clock),
        )

    @property
    def pump(self) -> Pump:
        """Serves its rooms."""
        return self._shared.pump

    @property
    def rooms(self) -> int:
        """Rooms in memory."""
        return len(self._rooms)

    @property
    def peers(self) -> int:
        """Connections in all rooms."""
        return sum(running.room.peers for running in self._rooms.values())

    def visited(self) -> set[str]:
        """The rooms where somebody was since this was asked last, or is."""
        lately, self._visited = self._visited, set()
        return lately | set(self._rooms)

    def budget(self, token: str) -> Budget:
        """The budget of a token, shared by its connections; without one, a new one."""
        found = self._budgets.get(token) if token else None
        if found is None:
            found = Budget(self.limits, now=self._clock.boottime())
            if token:
                self._budgets[token] = found
        return found

    @asynccontextmanager
    async def attend(
        self,
        name: str,
        *,
        writes: bool,
        layer_2: bool,
        stamp: Stamp | None,
        budget: Budget,
    ) -> AsyncGenerator[Attendance]:
        """Bring a guest into a room, which is loaded if need be.

        Raises:
            TurnedAway: The relay stops or is full, or the room holds no session.
        """
        running = await self._find(name, layer_2=layer_2)
        peer = next(self._peers)
        outbox = Outbox(self.limits.outbox_bytes_max, joins=layer_2)
        running.add(peer, outbox)
        try:
            guest = Guest(peer, writes, layer_2, stamp, budget)
            running.join(guest)
            yield Attendance(peer, running, outbox)
        finally:
            running.remove(peer)

    async def _find(self, name: str, *, layer_2: bool) -> Running:
        """Find a room or make it; there is no await between the two (R-4)."""
        while True:
            if self.draining:
                raise TurnedAway(CloseCode.RESTART, "the relay stops")
            running = self._rooms.get(name)
            if running is None:
                await self._make_place()
                if name in self._rooms or self.draining:
                    continue
                return self._make(name, layer_2=layer_2)
            if running.room.state in {State.DRAINING, State.DEAD}:
                await running.ended.wait()
                continue
            if layer_2 and not running.room.session:
                raise _no_session()
            return running

    def _make(self, name: str, *, layer_2: bool) -> Running:
        session = self._kinds.is_session(name)
        if session is False and layer_2:
            raise _no_session()
        # Whoever comes first to an empty room says what it will hold.
        holds = layer_2 if session is None else session
        room = Room(name, self.limits, session=holds, arb=self.arb)
        running = Running(room, self._shared)
        self._rooms[name] = running
        if len(self._visited) < VISITED_MAX:
            self._visited.add(name)
        self._group.start_soon(self._run, name, running)
        return running

    async def _run(self, name: str, running: Running) -> None:
        try:
            await running.run()
        finally:
            self.tally.refused += running.room.hall.refused
            self._ended += 1
            if self._rooms.get(name) is running:
                del self._rooms[name]

    async def _make_place(self) -> None:
        """Unload the room that has been idle for longest if there are too many."""
        while len(self._rooms) >= self.limits.rooms_max:
            rooms = self._rooms.values()
            idle = [running for running in rooms if running.is_idle]
            ending = [r for r in rooms if r.room.state in {State.DRAINING, State.DEAD}]
            if idle:
                oldest = min(idle, key=lambda r: r.idle_since_s or 0.0)
                await self._unload(oldest)
            elif ending:
                await ending[0].ended.wait()
            else:
                raise TurnedAway(CloseCode.RATE_LIMITED, "the relay is full")

    async def _unload(self, running: Running) -> None:
        running.room.begin_draining()
        await running.disk.compact(idle=True)
        running.room.end()
        running.carry_out()
        await running.ended.wait()

    async def keep_time(self) -> None:
        """Tick all rooms, and unload those that are left."""
        for tick in count(1):
            await anyio.sleep(TICK_S)
            now = self._clock.boottime()
            if self._ended >= GIVE_BACK_ROOMS:
                self._ended = 0
                self._group.start_soon(anyio.to_thread.run_sync, give_back)
            for running in list(self._rooms.values()):
                if tick % _TICKS_PER_SECOND == 0:
                    running.tick()
                else:
                    running.release_presence()
                if self._is_left(running, now):
                    running.room.begin_draining()
                    self._group.start_soon(self._unload, running)

    def _is_left(self, running: Running, now: float) -> bool:
        since_s = running.idle_since_s
        if since_s is None or not running.is_idle:
            return False
        return now - since_s >= self.limits.idle_room_s

    async def drain(self, most_s: float = DRAIN_S) -> None:
        """Send everybody away, and return when all is on disk (R-7)."""
        self.draining = True
        with anyio.move_on_after(most_s) as scope:
            async with anyio.create_task_group() as group:
                for running in list(self._rooms.values()):
                    group.start_soon(self._drain_room, running)
        if scope.cancelled_caught:
            _logger.warning("not every connection was closed in %g s", most_s)

    async def _drain_room(self, running: Running) -> None:
        await running.until_settled()
        running.evict(CloseCode.RESTART, "the relay restarts", DRAIN_SPREAD_S)
        await running.until_settled()
        await running.until_empty()
        if running.room.state is State.LIVE:
            await self._unload(running)


def _no_session() -> TurnedAway:
    return TurnedAway(
        CloseCode.NO_SUCH_SESSION, "under this address is a document, not a session"
    )
