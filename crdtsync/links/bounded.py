"""A queue bounded by bytes, between two tasks of one connection."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio

__all__ = ["ByteQueue"]

T = TypeVar("T")


class ByteQueue(Generic[T]):
    """Things in order, and how many bytes they take.

    Putting never waits, so that cores can be drained; who can wait calls `room` first.

    Args:
        bytes_max: With so many bytes or more there is no room.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self._bytes_max = bytes_max
        self._items: deque[tuple[T, int]] = deque()
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, size: int) -> None:
        """Append a thing of so many bytes."""
        self._items.append((item, size))
        self.bytes += size
        self._wake()

    async def get(self) -> T:
        """Wait for the first thing and take it."""
        while not self._items:
            await self._changed.wait()
        item, size = self._items.popleft()
        self.bytes -= size
        self._wake()
        return item

    async def room(self) -> None:
        """Wait until there is room."""
        while self.bytes >= self._bytes_max:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
