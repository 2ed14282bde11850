"""Links: a session's outgoing connections to relays and listening windows.

A link connects, and connects again, until it is left or refused. It knows neither how
to connect nor what is said: a `Dial` makes transports, and `connection` talks.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import anyio
from anyio.abc import TaskGroup

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import ConnectionFailed, CrdtSyncError, UpdateRefused
from crdtsync.links.backoff import Backoff
from crdtsync.links.bridge import Bridge
from crdtsync.links.connection import Connection
from crdtsync.links.ending import Ending, ending_of
from crdtsync.links.intake import Intake, open_intake
from crdtsync.links.questions import Question
from crdtsync.links.status import LinkState, LinkStatus
from crdtsync.links.transport import Transport, TransportClosed
from crdtsync.session import Session
from crdtsync.sync.closing import CloseCode
from crdtsync.sync.leasing import LeaseAnswer, LeaseRequest

__all__ = ["Dial", "Link", "LinkState", "Links", "open_links"]

Dial: TypeAlias = Callable[[], AbstractAsyncContextManager[Transport]]
"""Makes one connected transport; raises `TransportClosed` if it cannot."""


class Link:
    """One link of a session; `Links.join` makes it and keeps it going.

    Attributes:
        name: What it is called: the address without the token, the same in every
            window, so that windows know what came from there.
        status: What it shows of itself.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        dial: Dial,
        intake: Callable[[], AbstractAsyncContextManager[Intake]],
        rng: random.Random | None,
    ) -> None:
        self.name = name
        self.status = LinkStatus(session, name)
        self._session = session
        self._dial = dial
        self._intake = intake
        self._backoff = Backoff(rng)
        clock = session.place.clock
        self._bridge = Bridge(
            session.replica.document.client_id, int(clock.now().timestamp())
        )
        self._origin = f"{session.bell.name}@{name}"
        self._connection: Connection | None = None
        self._wanted = anyio.Event()
        self._asked = 0

    @property
    def state(self) -> LinkState:
        """Where it stands."""
        return self.status.state

    @property
    def unsynced(self) -> int | None:
        """Updates here that the other end has not confirmed; None if unknown."""
        return self.status.unsynced

    @property
    def retry_at_s(self) -> float | None:
        """The boottime of the next try, or of the one under way, while offline."""
        return self.status.retry_at_s

    @property
    def live(self) -> bool:
        """Whether both ends have told each other everything."""
        return self._connection is not None and self._connection.live

    def retry(self) -> None:
        """Try now, also after a refusal: a person wants it."""
        self._backoff.reset()
        self._wanted.set()

    async def wait_for(self, *states: LinkState) -> None:
        """Wait until the link is in one of these states."""
        while self.state not in states:
            await self.status.changed.wait()

    async def wait_synced(self) -> None:
        """Wait until the other end has confirmed everything that is in the log."""
        while self.unsynced != 0:
            await self.status.changed.wait()

    async def wait_freed(self) -> None:
        """Wait until the relay says that the lease is free; returns if it is lost.

        Whoever waits asks again anyway after a while: the word may get lost.
        """
        if self._connection is not None:
            await self._connection.freed.wait()

    @property
    def relay(self) -> str:
        """The id of the relay at its other end; "" if unknown, or if it is none."""
        return self._connection.relay if self._connection is not None else ""

    async def ask_lease(self, request: LeaseRequest) -> LeaseAnswer:
        """Ask the relay's arbiter and wait for the answer, as `pose_lease`.

        Raises:
            ConnectionFailed: The link is not live, or ended before the answer.
        """
        question = await self.pose_lease(request)
        return await question.answer()

    async def pose_lease(self, request: LeaseRequest, *, after: int = 0) -> Question:
        """Ask the relay's arbiter; its answer comes in order with its updates (X4).

        Args:
            request: Its id is replaced by one of the link's own.
            after: Every row of the log up to this one is sent before the question,
                on the same connection.

        Raises:
            ConnectionFailed: The link is not live.
        """
        if self._connection is None or not self._connection.live:
            raise ConnectionFailed(f"the link to {self.name} is not live")
        self._asked += 1
        numbered = LeaseRequest(
            self._asked,
            request.op,
            request.runner,
            request.attempt,
            request.epoch,
            request.turn,
            request.first,
        )
        return await self._connection.pose(numbered, after=after)

    async def keep_going(self) -> None:
        """Connect, talk, wait, and connect again; run it in a task of its own."""
        while True:
            self._wanted = anyio.Event()
            ending, live_s = await self._once()
            if not ending.reconnect:
                self.status.to("refused", ending.reason)
                await self._wanted.wait()
                continue
            self.status.to("offline", ending.reason)
            pause_s = self._backoff.next_s(
                live_s=live_s, retry_after_s=ending.retry_after_s
            )
            self.status.retry_at_s = self._session.place.clock.boottime() + pause_s
            with anyio.move_on_after(pause_s):
                await self._wanted.wait()

    async def _once(self) -> tuple[Ending, float]:
        """Make one connection; returns why it ended and how long it was live."""
        if self.state != "offline":
            self.status.to("connecting")
        live_s = 0.0
        try:
            async with self._intake() as intake, self._dial() as transport:
                self._connection = connection = Connection(
                    self._session,
                    intake,
                    transport,
                    self.status,
                    bridge=self._bridge,
                    origin=self._origin,
                )
                try:
                    ending = await connection.run()
                finally:
                    self._connection, live_s = None, connection.live_s
                return ending, live_s
        except TransportClosed as closed:
            return ending_of(closed), live_s
        except UpdateRefused as refusal:
            reason = f"this session cannot be checked ({refusal.rule}): {refusal}"
            return Ending(CloseCode.FORBIDDEN, reason, reconnect=False), live_s
        except CrdtSyncError as error:
            return Ending(CloseCode.NORMAL, str(error), reconnect=False), live_s


class Links:
    """The links of one session; get one from `open_links`."""

    def __init__(
        self, session: Session, tasks: TaskGroup, stack: AsyncExitStack
    ) -> None:
        self._session = session
        self._tasks = tasks
        self._stack = stack
        self._links: dict[str, Link] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._intake: Intake | None = None
        self._building = anyio.Lock()

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def join(self, name: str, dial: Dial, *, rng: random.Random | None = None) -> Link:
        """Start a link, or return the one of that name.

        Args:
            name: The address without the token.
            dial: How to connect.
            rng: For the jitter of the pauses.
        """
        if name not in self._links:
            link = Link(self._session, name, dial, self._shared_intake, rng)
            self._links[name] = link
            self._session.links.append(link)
            self._scopes[name] = scope = anyio.CancelScope()
            self._tasks.start_soon(self._run, link, scope)
        return self._links[name]

    def leave(self, name: str) -> None:
        """End a link; what was not sent stays in the log."""
        if (link := self._links.pop(name, None)) is not None:
            self._session.links.remove(link)
            link.status.to("offline", "left")
        if (scope := self._scopes.pop(name, None)) is not None:
            scope.cancel()

    async def follow(self) -> None:
        """Notice what is typed from now on: it is just typed when a link comes up (Q3).

        Raises:
            UpdateRefused: The document holds what admission does not let in.
        """
        async with self._shared_intake():
            pass

    @staticmethod
    async def _run(link: Link, scope: anyio.CancelScope) -> None:
        with scope:
            await link.keep_going()

    @asynccontextmanager
    async def _shared_intake(self) -> AsyncGenerator[Intake]:
        """The intake of the session, built for the first link that needs it."""
        async with self._building:
            if self._intake is None:
                opened = open_intake(self._session)
                self._intake = await self._stack.enter_async_context(opened)
        yield self._intake


@asynccontextmanager
async def open_links(session: Session) -> AsyncGenerator[Links]:
    """Let a session have links; they end with the block.

    Use it inside `async with open_session(...)`.
    """
    session.check_storable()
    async with AsyncExitStack() as stack, open_tasks() as tasks:
        links = Links(session, tasks, stack)
        try:
            yield links
        finally:
            for link in links:
                session.links.remove(link)
