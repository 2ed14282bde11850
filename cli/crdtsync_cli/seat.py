"""The seat for an agent in one window: taken, changed and left while it is open.

It runs no turn itself; that does the host which `running` starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup, TaskStatus

from crdtsync.agents.spec import AgentSpec
from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import OperationFailed
from crdtsync_cli.running import Ways, find_agent, running
from crdtsync_cli.settings import Settings

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Seat", "seated"]


@asynccontextmanager
async def seated(
    session: Session, spec: AgentSpec | None, ways: Ways, settings: Settings
) -> AsyncIterator[Seat]:
    """Keep a seat, with this agent at first, while the block is open.

    At its end a running turn is stopped and the lease given back. Errors of the block
    come out as they are.

    Raises:
        DataError: The session is read-only here.
        UsageError: The agent's working folder is none.
    """
    async with open_tasks() as tasks:
        seat = Seat(session, ways, settings, tasks)
        try:
            if spec is not None:
                await seat.take(spec)
            yield seat
        finally:
            with anyio.CancelScope(shield=True):
                await seat.leave()


class Seat:
    """Which agent one window runs.

    Args:
        session: Open.
        ways: How turns are run, whichever agent does.
        settings: Hold agents of one's own.
        tasks: Where its host runs.
    """

    def __init__(
        self, session: Session, ways: Ways, settings: Settings, tasks: TaskGroup
    ) -> None:
        self._session = session
        self._ways = ways
        self._settings = settings
        self._tasks = tasks
        self._leaving = anyio.Event()
        self._left = anyio.Event()
        self._left.set()

    @property
    def name(self) -> str:
        """What the agent is called; "" if the seat is free."""
        host = self._session.host
        return "" if host is None else host.spec.name

    async def change(self, wanted: str) -> None:
        """Have another agent run turns from now on, or none.

        Args:
            wanted: As given to --agent.

        Raises:
            UsageError: Nobody knows it, or it is not installed.
            OperationFailed: The one that is there is in the middle of a turn.
            DataError: The session is read-only here.
        """
        spec = find_agent(wanted, self._settings)
        if self._in_a_turn():
            raise OperationFailed(
                f"{self.name} is in the middle of a turn",
                hint="/cancel stops it; or try again when it is over.",
            )
        self._session.check_storable()
        await self.leave()
        if spec is not None:
            await self.take(spec)

    def _in_a_turn(self) -> bool:
        """Whether a turn runs here; what is left to do for one that is over is done."""
        host = self._session.host
        turn = None if host is None else host.runner.turn
        states = self._session.view.reading.states
        return turn is not None and states.get(turn, "open") == "open"

    async def take(self, spec: AgentSpec) -> None:
        """Run turns with this agent; the seat is free."""
        self._leaving, self._left = anyio.Event(), anyio.Event()
        await self._tasks.start(self._hold, spec)

    async def leave(self) -> None:
        """Run no turns any more; returns when the lease is given back."""
        self._leaving.set()
        await self._left.wait()

    async def _hold(self, spec: AgentSpec, *, task_status: TaskStatus[None]) -> None:
        left = self._left
        try:
            async with running(self._session, spec, self._ways):
                task_status.started()
                await self._leaving.wait()
        finally:
            left.set()
