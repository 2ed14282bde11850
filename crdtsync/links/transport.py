"""The transport seam: whole frames, both ways, in order, until somebody closes.

Implementations: `memory_pair` here, and `crdtsync.links.websocket`. Both pass
tests/seams/test_transport.py. A transport knows nothing of what the frames say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import anyio

from crdtsync.errors import ConnectionFailed

__all__ = ["ABNORMAL", "Faults", "Transport", "TransportClosed", "memory_pair"]

ABNORMAL: Final = 1006
"""The code of a connection that broke without a word, as in RFC 6455."""

WAITING_FRAMES_MAX: Final = 64
"""Frames a memory transport holds for its reader; then the sender waits."""


class TransportClosed(ConnectionFailed):
    """The connection is over, or never came about.

    Attributes:
        code: A WebSocket close code; `ABNORMAL` if it broke.
        reason: What the other end said, for people; may be empty.
        retry_after_s: The other end wants to be left alone for so long.
    """

    def __init__(self, code: int, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason or f"the connection was closed with code {code}")
        self.code = code
        self.reason = reason
        self.retry_after_s = retry_after_s


class Transport(Protocol):
    """One open connection; one task may send while another one receives."""

    @property
    def subprotocol(self) -> str:
        """What was agreed on in the handshake; empty if nothing was."""
        ...

    async def send(self, frame: bytes) -> None:
        """Hand over a frame; returns when the transport has room for more.

        Raises:
            TransportClosed: The connection is over; what was sent may be lost.
        """
        ...

    async def receive(self) -> bytes:
        """Wait for the next frame.

        Raises:
            TransportClosed: The connection is over, and all that came was received.
        """
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and close; does nothing the second time, raises nothing."""
        ...


class Faults:
    """What goes wrong between the two ends of a memory pair.

    Attributes:
        stalled: Frames are swallowed, as by a proxy or a cable pulled out: neither
            end is told.
    """

    def __init__(self) -> None:
        self.stalled = False
        self._ends: list[_MemoryEnd] = []

    def cut(self) -> None:
        """Break the connection; both ends notice at once."""
        for end in self._ends:
            end.end(ABNORMAL, "the connection broke")


class _MemoryEnd:
    """One end of a pair; frames wait at the end that receives them."""

    def __init__(self, subprotocol: str, faults: Faults) -> None:
        self.other: _MemoryEnd
        self._subprotocol = subprotocol
        self._faults = faults
        self._waiting: deque[bytes] = deque()
        self._changed = anyio.Event()
        self._closed: tuple[int, str] | None = None

    @property
    def subprotocol(self) -> str:
        return self._subprotocol

    async def send(self, frame: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        while self._closed is None and self.other.full:
            await self.other.changed()
        if self._closed is not None:
            raise TransportClosed(*self._closed)
        if not self._faults.stalled:
            self.other.arrive(frame)

    @property
    def full(self) -> bool:
        """Whether whoever sends to this end has to wait."""
        return len(self._waiting) >= WAITING_FRAMES_MAX

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed is not None:
                raise TransportClosed(*self._closed)
            await self.changed()
        frame = self._waiting.popleft()
        self._wake()
        return frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closed is None:
            self._waiting.clear()
            self.end(code, reason)
            if not self._faults.stalled:
                self.other.end(code, reason)
        await anyio.lowlevel.checkpoint()

    def arrive(self, frame: bytes) -> None:
        """Take a frame of the other end."""
        self._waiting.append(frame)
        self._wake()

    def end(self, code: int, reason: str) -> None:
        """Be closed; frames that are here already can still be received."""
        if self._closed is None:
            self._closed = (code, reason)
            self._wake()
            self.other.wake()

    async def changed(self) -> None:
        await self._changed.wait()

    def wake(self) -> None:
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def memory_pair(
    faults: Faults | None = None, *, subprotocol: str = "crdtsync.v1"
) -> AsyncGenerator[tuple[Transport, Transport]]:
    """Connect two ends in memory; both are closed when the block ends."""
    faults = faults or Faults()
    one, other = _MemoryEnd(subprotocol, faults), _MemoryEnd(subprotocol, faults)
    one.other, other.other = other, one
    faults._ends += [one, other]  # noqa: SLF001 - the two belong together
    try:
        yield one, other
    finally:
        for end in (one, other):
            end.end(1000, "")
