"""The desks of a relay: one per session that the API reads or writes now."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from crdtsync_relay.api.bounds import ANSWER_S, DESKS_MAX
from crdtsync_relay.api.desk import Desk, Source, Unavailable

__all__ = ["Desks", "open_desks"]

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_desks(source: Source) -> AsyncGenerator[Desks]:
    """Have desks; leaving ends them."""
    async with anyio.create_task_group() as group:
        try:
            yield Desks(source, group)
        finally:
            group.cancel_scope.cancel()


class Desks:
    """The desks. Made by `open_desks`."""

    def __init__(self, source: Source, group: TaskGroup) -> None:
        self._source = source
        self._group = group
        self._desks: dict[str, Desk] = {}

    @asynccontextmanager
    async def at(self, session: str) -> AsyncGenerator[Desk]:
        """Use the desk of a stored session, which is opened if need be.

        Raises:
            Unavailable: It cannot be opened now.
        """
        desk: Desk | None = None
        with anyio.move_on_after(ANSWER_S):
            desk = await self._find(session)
        if desk is None:
            raise _slow()
        with desk.used():
            with anyio.move_on_after(ANSWER_S) as opening:
                await desk.ready.wait()
            if opening.cancelled_caught:
                raise _slow()
            yield desk

    async def _find(self, session: str) -> Desk:
        """Find a desk or make it; there is no await between the two."""
        while True:
            desk = self._desks.get(session)
            if desk is None:
                self._make_place()
                desk = self._desks[session] = Desk(session, self._source)
                self._group.start_soon(self._run, session, desk)
                return desk
            if not desk.is_closing:
                return desk
            await desk.ended.wait()

    def _make_place(self) -> None:
        if len(self._desks) < DESKS_MAX:
            return
        idle = [desk for desk in self._desks.values() if desk.is_idle]
        if not idle:
            raise Unavailable("too many sessions are in use")
        idle[0].leave()

    async def _run(self, session: str, desk: Desk) -> None:
        try:
            await desk.run()
        except Exception:
            # One session that fails takes no other with it.
            _logger.exception("the API has lost a session")
        finally:
            if self._desks.get(session) is desk:
                del self._desks[session]


def _slow() -> Unavailable:
    return Unavailable("the session takes long to open")
