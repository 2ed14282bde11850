"""A session as the API has it open, in step with its room, for as long as it is used.

One desk serves everybody who reads or writes a session through the API. It is a window
without a screen: a replica that reads the relay's log and writes through the room.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.bell.memory import MemoryExchange
from crdtsync.clock import Clock
from crdtsync.document import Document
from crdtsync.entities import Participant
from crdtsync.errors import CrdtSyncError
from crdtsync.identity import Identity, new_window
from crdtsync.links.bridge import Bridge
from crdtsync.log import Stored
from crdtsync.log.sqlite import SqliteLog
from crdtsync.session import Session
from crdtsync.session.place import Place
from crdtsync.sync.messages import ClientState
from crdtsync.turns.timing import Timing
from crdtsync_relay.api.bounds import ANSWER_S
from crdtsync_relay.api.lending import lend_client_id
from crdtsync_relay.api.seat import Seat, SeatLost
from crdtsync_relay.api.written import RoomRows
from crdtsync_relay.attendance import TurnedAway
from crdtsync_relay.budget import Budget
from crdtsync_relay.disk import LOAD_INLINE_BYTES_MAX
from crdtsync_relay.hub import Hub

__all__ = ["Desk", "Source", "Unavailable"]

_MUCH: Final = 1 << 40
"""Frames and bytes per second that no callers of a session reach together."""

_logger = logging.getLogger(__name__)


class Unavailable(CrdtSyncError):
    """The session cannot be read or written now; it may be later."""


@dataclass(frozen=True, slots=True)
class Source:
    """What desks are made of.

    Attributes:
        data: The relay's folder.
    """

    hub: Hub
    log: SqliteLog
    clock: Clock
    data: Path


class Desk:
    """One session of the API.

    Args:
        name: The session's id; it is stored.
        source: Of the relay.

    Attributes:
        ready: Set once `session` is there, or will never be.
        is_closing: Whether it takes nobody any more.
        ended: Set once everything of it is done.
    """

    def __init__(self, name: str, source: Source) -> None:
        self.ready = anyio.Event()
        self.ended = anyio.Event()
        self.is_closing = False
        self._name = name
        self._source = source
        self._session: Session | None = None
        self._reason = ""
        self._scopes: set[anyio.CancelScope] = set()
        self._users = 0
        self._left_s = 0.0
        self._changed = anyio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it."""
        return self.ready.is_set() and not self._users

    @property
    def session(self) -> Session:
        """The open session.

        Raises:
            Unavailable: It could not be opened.
        """
        if self._session is None:
            raise Unavailable(self._reason or "the session cannot be opened")
        return self._session

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep it open."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._let_go()
            self._left_s = self._source.clock.boottime()
            self._note_change()

    @contextmanager
    def while_open(self) -> Iterator[Session]:
        """Do something that ends in time, or when the session does.

        Raises:
            Unavailable: It did not come to its end.
        """
        with anyio.move_on_after(ANSWER_S) as scope:
            self._scopes.add(scope)
            try:
                yield self.session
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise Unavailable(self._reason or "the relay took too long")

    def leave(self) -> None:
        """Close it as soon as nobody uses it."""
        self._left_s = float("-inf")
        self._note_change()

    async def run(self) -> None:
        """Open the session, keep it in step, and close it when it is not used."""
        try:
            async with AsyncExitStack() as stack:
                session, seat = await stack.enter_async_context(self._opened())
                async with anyio.create_task_group() as group:
                    for task in (
                        seat.attend,
                        session.replica.save_forever,
                        session.company.attend,
                        partial(_follow, session, seat),
                    ):
                        group.start_soon(task)
                    self._session = session
                    self.ready.set()
                    await self._until_left()
                    with anyio.move_on_after(ANSWER_S):
                        await session.flush()
                    group.cancel_scope.cancel()
        except* (SeatLost, TurnedAway) as away:
            self._reason = str(_first(away))
        except* CrdtSyncError as failed:
            self._reason = "the session cannot be read or written now"
            _logger.error("the API has left a session: %s", _first(failed))
        finally:
            self._end()

    def _end(self) -> None:
        self.is_closing = True
        if self._session is not None:
            self._session.close(self._reason or "closed")
        for scope in self._scopes:
            scope.cancel()
        self.ready.set()
        self.ended.set()
        self._let_go()

    def _let_go(self) -> None:
        """Free the session once it is closed and nobody looks at it any more."""
        if self.ended.is_set() and not self._users and self._session is not None:
            self._session.replica.let_go()
            self._session = None

    async def _until_left(self) -> None:
        clock, idle_s = self._source.clock, self._source.hub.limits.api_idle_s
        self._left_s = clock.boottime()
        while True:
            over_s = self._left_s + idle_s - clock.boottime()
            if not self._users and over_s <= 0:
                self.is_closing = True
                return
            with anyio.move_on_after(None if self._users else over_s):
                await self._changed.wait()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[tuple[Session, Seat]]:
        """Load the session from the log, and take a seat in its room."""
        source, name = self._source, self._name
        async with AsyncExitStack() as stack:
            # Before loading, as in a window: no clock may be used twice (D-10).
            lent = await stack.enter_async_context(lend_client_id(source.log, name))
            stored = await source.log.load(name)
            document = await _load(stored, lent.client_id)
            place = _place(name, source, lent.read_only)
            bell = await stack.enter_async_context(MemoryExchange().open(place.window))
            # What callers may send is counted for each of them.
            limits = replace(source.hub.limits, frames_per_s=_MUCH, bytes_per_s=_MUCH)
            budget = Budget(limits, now=source.clock.boottime())
            attendance = await stack.enter_async_context(
                source.hub.attend(
                    name,
                    writes=True,
                    layer_2=True,
                    stamp=None,
                    budget=budget,
                )
            )
            guests = _Guests(document.client_id)
            vector = document.state_vector()
            seat = Seat(attendance, name, vector, source.clock, guests.show)
            rows = RoomRows(source.log, seat)
            session = Session(
                place, document, source.log, bell, head=stored.head, rows=rows
            )
            guests.session = lent.session = session
            yield session, seat


async def _load(stored: Stored, client_id: int | None) -> Document:
    updates = [u for u in (stored.snapshot, *stored.updates) if u]
    load = partial(Document.load, updates, client_id=client_id)
    if sum(map(len, updates)) < LOAD_INLINE_BYTES_MAX:
        return load()
    return await anyio.to_thread.run_sync(load)


class _Guests:
    """Brings the presence of a room into its session."""

    def __init__(self, client: int) -> None:
        self.session: Session | None = None
        self._bridge = Bridge(client, 0)

    def show(self, states: tuple[ClientState, ...]) -> None:
        """Take in what others show."""
        brought = self._bridge.incoming(states)
        if self.session is not None:
            for payload in brought.payloads:
                self.session.company.receive(payload)
            self.session.company.dead(brought.gone)


def _place(name: str, source: Source, read_only: str) -> Place:
    """Where the session is open; whoever writes does so under another name."""
    return Place(
        id=name,
        name=name,
        me=Participant("", ""),
        window=new_window(),
        data=source.data,
        identity=Identity(name, "relay"),
        clock=source.clock,
        timing=Timing(),
        seen=False,
        read_only=read_only,
    )


async def _follow(session: Session, seat: Seat) -> None:
    """Apply what the room has committed."""
    while True:
        await seat.until_beyond(session.head)
        await session.replica.catch_up()


def _first(group: BaseExceptionGroup[CrdtSyncError]) -> CrdtSyncError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
