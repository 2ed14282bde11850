"""Hands one stream of events to any number of readers, each with a bounded buffer."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import anyio

from crdtsync.events import SessionEvent
from crdtsync.limits import EVENTS_WAITING_MAX


class Broadcast:
    """Delivers events in order to every reader.

    Args:
        reset: Makes the event that a reader gets which fell too far behind.
    """

    def __init__(self, reset: Callable[[], SessionEvent]) -> None:
        self._readers: set[Reader] = set()
        self._reset = reset
        self._closed = False

    def publish(self, events: Sequence[SessionEvent]) -> None:
        """Give events to all readers; never waits."""
        for reader in self._readers:
            if len(reader.waiting) + len(events) > EVENTS_WAITING_MAX:
                reader.waiting.clear()
                reader.waiting.append(self._reset())
            else:
                reader.waiting.extend(events)
            reader.arrived.set()

    def close(self, last: SessionEvent) -> None:
        """End every reader after what it has not read yet, and this last event."""
        self._closed = True
        for reader in self._readers:
            reader.waiting.append(last)
            reader.closed = True
            reader.arrived.set()

    @contextmanager
    def reader(self, first: Sequence[SessionEvent]) -> Iterator[Reader]:
        """Read from now on; `first` comes before everything else."""
        reader = Reader(first)
        reader.closed = self._closed
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)


class Reader(AsyncIterator[SessionEvent]):
    """One reader of the stream; get one from `Broadcast.reader`."""

    def __init__(self, first: Sequence[SessionEvent]) -> None:
        self.waiting = deque(first)
        self.arrived = anyio.Event()
        self.closed = False

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> SessionEvent:
        await self._fill()
        if not self.waiting:
            raise StopAsyncIteration
        return self.waiting.popleft()

    def take(self) -> SessionEvent | None:
        """Take the next event if one waits; None if none does."""
        return self.waiting.popleft() if self.waiting else None

    def skip(self) -> None:
        """Leave out what waits by now, and nothing that comes later.

        For a reader that has just read the view, which holds all of it.
        """
        self.waiting.clear()

    async def batch(self) -> list[SessionEvent]:
        """Wait for events and take all that wait; none at the end.

        With the last one its reader knows everything up to that event's `seq`.
        """
        await self._fill()
        batch = list(self.waiting)
        self.waiting.clear()
        return batch

    async def _fill(self) -> None:
        while not self.waiting and not self.closed:
            self.arrived = anyio.Event()
            await self.arrived.wait()
