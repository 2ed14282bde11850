"""Moves updates of all rooms on: applied in turns, and written in common commits.

Two tasks serve every room, so that none has to be woken for each update (R-1, S-2). It
knows no room; `running` tells it when there is something to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import anyio
from anyio.lowlevel import checkpoint

from crdtsync.clock import Clock
from crdtsync.errors import CrdtSyncError
from crdtsync.log import Append, Appended, Log

__all__ = ["COMMIT_GAP_S", "Pump", "Pumped"]

COMMIT_GAP_S: Final = 0.006
"""Commits begin so far apart at least: others gather meanwhile, and one waits for none
if there was none just before."""

COMMIT_GAP_PER_ROOM_S: Final = 0.002
"""The more rooms one had, the longer the next one waits: what a room has by then costs
nearly the same. It counts once 500 rooms a second have something to write."""

COMMIT_GAP_MAX_S: Final = 0.1
"""So long at most. Acknowledgements wait for it, and leases that wait for these."""

_ROOMS_IN_A_ROW_MAX: Final = 64
"""Rooms that are served before connections are read again."""

_APPENDS_MIN: Final = 24
"""So many rooms that wait are written in one commit; of more a part."""

_PARTS: Final = 2
"""In so many commits all are written that wait: one for all would leave unread what
comes meanwhile."""

_APPENDS_MAX: Final = 512
"""Rooms that are written in one commit at most."""

_APPENDED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one commit; what one room has is written together in any case."""


class Pumped(Protocol):
    """A room, as far as this module needs it."""

    def flush(self) -> None:
        """Apply the next batch, if there is one."""

    def take_append(self) -> Append | None:
        """Take what is to be written; None if that is nothing."""

    def appended(self, answer: Appended | Exception) -> None:
        """Take what became of it."""


class Pump:
    """Serves all rooms of a relay.

    Args:
        log: Where they are kept.
        clock: The machine's.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._to_flush: dict[Pumped, None] = {}
        self._to_commit: dict[Pumped, None] = {}
        self._work = anyio.Event()
        self._writing = anyio.Event()

    def flush_soon(self, room: Pumped) -> None:
        """Have a room apply what waits, after all that is about to be read."""
        if not self._to_flush:
            self._work.set()
        self._to_flush[room] = None

    def commit_soon(self, room: Pumped) -> None:
        """Have what a room has applied written, as soon as the disk is free."""
        if not self._to_commit:
            self._writing.set()
        self._to_commit[room] = None

    async def run(self) -> None:
        """Serve the rooms until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._flush)
            group.start_soon(self._commit)

    async def _flush(self) -> None:
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            # Whatever could be read when this was woken has joined the batch.
            rooms, self._to_flush = self._to_flush, {}
            for number, room in enumerate(rooms, 1):
                room.flush()
                if number % _ROOMS_IN_A_ROW_MAX == 0:
                    await checkpoint()

    async def _commit(self) -> None:
        while True:
            await self._writing.wait()
            self._writing = anyio.Event()
            while self._to_commit:
                began_s = self._clock.boottime()
                rooms = await self._commit_together()
                took_s = self._clock.boottime() - began_s
                await anyio.sleep(max(0, _gap_s(rooms) - took_s))

    async def _commit_together(self) -> int:
        """Write what there is, but not too much; of how many rooms it was."""
        writing: list[Pumped] = []
        appends: list[Append] = []
        size = 0
        most = min(max(_APPENDS_MIN, len(self._to_commit) // _PARTS), _APPENDS_MAX)
        while self._to_commit and len(appends) < most and size < _APPENDED_BYTES_MAX:
            room = next(iter(self._to_commit))
            del self._to_commit[room]
            if (append := room.take_append()) is not None:
                writing.append(room)
                appends.append(append)
                size += sum(map(len, append.updates))
        if appends:
            answers = await self._append(appends)
            for room, answer in zip(writing, answers, strict=True):
                room.appended(answer)
        return len(appends)

    async def _append(self, appends: list[Append]) -> Sequence[Appended | Exception]:
        try:
            return await self._log.append_all(appends)
        except CrdtSyncError as error:
            # Of a log that takes nothing at all: the rooms end, and the relay goes on.
            return [error] * len(appends)


def _gap_s(rooms: int) -> float:
    return min(max(COMMIT_GAP_S, rooms * COMMIT_GAP_PER_ROOM_S), COMMIT_GAP_MAX_S)
