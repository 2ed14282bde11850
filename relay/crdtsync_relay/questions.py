"""A room's questions to the arbiter, put one after the other; it decides none."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import anyio

from crdtsync.errors import CrdtSyncError
from crdtsync_relay.disk import Disk, Shared
from crdtsync_relay.effects import AskArbiter
from crdtsync_relay.leases import overrules
from crdtsync_relay.room import Room

__all__ = ["Questions"]

_logger = logging.getLogger(__name__)


class Questions:
    """What waits for the arbiter of one room.

    Args:
        room: Told each answer.
        disk: Of the room; it is made before its first lease.
        shared: Of the relay.
        carry_out: Called after the room was told.
    """

    def __init__(
        self, room: Room, disk: Disk, shared: Shared, carry_out: Callable[[], None]
    ) -> None:
        self._room = room
        self._disk = disk
        self._shared = shared
        self._carry_out = carry_out
        self._waiting: deque[AskArbiter] = deque()
        self._came = anyio.Event()

    def put(self, question: AskArbiter) -> None:
        """Queue a question."""
        self._waiting.append(question)
        self._came.set()

    async def attend(self) -> None:
        """Ask what waits, but nothing of a peer that has left (A6)."""
        while True:
            await self._came.wait()
            self._came = anyio.Event()
            while self._waiting:
                question = self._waiting.popleft()
                member = self._room.hall.members.get(question.peer)
                if member is not None:
                    await self._ask(question, may_take=overrules(member.guest))

    async def _ask(self, question: AskArbiter, *, may_take: bool) -> None:
        arbitration, request = self._shared.arbitration, question.request
        try:
            await self._disk.make()
            name = self._room.name
            answer = await arbitration.ask(name, request, may_take=may_take)
        except CrdtSyncError as error:
            _logger.error("the arbiter cannot answer: %s", error)
            self._room.failed("the relay cannot write", now=self._now())
        else:
            self._room.arbitrated(question.peer, request, answer, now=self._now())
        self._carry_out()

    def _now(self) -> float:
        return self._shared.clock.boottime()
