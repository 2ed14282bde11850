"""One connection of the relay: its queue, its writer, its reader (R-2).

It knows WebSockets and a room's frames, and decides nothing about documents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from crdtsync.sync.wire import PART_BYTES_MAX
from crdtsync_relay.effects import Weight
from crdtsync_relay.lane import UNSENT_BYTES_MAX, Lane
from crdtsync_relay.limits import OUTBOX_PRESENCE_BYTES_MAX

__all__ = ["Outbox"]

_JOINED_FRAMES_MAX: Final = 200
"""Frames joined into one message: far below what a frame may hold (W-1)."""


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Outbox:
    """What a peer has yet to read, bounded in bytes.

    Args:
        bytes_max: Beyond it the peer is too slow.
        joins: Whether frames may be joined; clients of layer 1 read the first
            message of a frame and no other.

    Attributes:
        closing: Code and reason, once nothing is to follow what waits.
        on_close: Called once when it is to be closed.
        presence_dropped: Whether presence was dropped since it last was empty.
        lane: Takes small frames at once while nothing waits, where there is one.
    """

    bytes_max: int
    joins: bool
    closing: tuple[int, str] | None = None
    presence_dropped: bool = False
    on_close: Callable[[], None] = _nothing
    lane: Lane | None = None
    _frames: deque[tuple[bytes, Weight]] = field(default_factory=deque)
    _bytes: int = 0
    _sync_bytes: int = 0
    _filled: anyio.Event = field(default_factory=anyio.Event)

    def put(self, frames: Sequence[bytes], weight: Weight) -> bool:
        """Queue frames; False if the peer reads too slowly for them.

        The answer to a step 1 may be as large as the document, but the next one has
        to wait until most of it is gone.
        """
        if self.closing is not None:
            return True
        size = len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
        if self._passes(frames, size):
            return True
        if weight == "presence" and self.waiting_bytes > OUTBOX_PRESENCE_BYTES_MAX:
            self.presence_dropped = True
            return True
        if weight == "sync":
            if self._sync_bytes > self.bytes_max:
                return False
            self._sync_bytes += size
        else:
            if self._bytes + size > max(self.bytes_max, size):
                return False
            self._bytes += size
        self._frames.extend((frame, weight) for frame in frames)
        self._filled.set()
        return True

    def _passes(self, frames: Sequence[bytes], size: int) -> bool:
        """Whether frames could be sent at once, with no task to wake (R-2)."""
        if self.lane is None or self._frames or size > UNSENT_BYTES_MAX:
            return False
        return self.lane.write(frames)

    @property
    def waiting_bytes(self) -> int:
        """How much the peer has yet to read."""
        return self._bytes + self._sync_bytes

    def clear(self) -> None:
        """Drop what waits; a reader too slow for it synchronises anew later."""
        self._frames.clear()
        self._bytes = self._sync_bytes = 0

    def close(self, code: int, reason: str) -> None:
        """Let nothing follow what waits; the first closing counts."""
        if self.closing is None:
            self.closing = code, reason
            self.on_close()
        self._filled.set()

    async def take(self) -> bytes | None:
        """Wait for what is to be sent next; None when all is sent and it is closed."""
        while not self._frames:
            if self.closing is not None:
                return None
            self._filled = anyio.Event()
            await self._filled.wait()
        return self._join() if self.joins else self._pop()

    def _pop(self) -> bytes:
        frame, weight = self._frames.popleft()
        if weight == "sync":
            self._sync_bytes -= len(frame)
        else:
            self._bytes -= len(frame)
        return frame

    def _join(self) -> bytes:
        """Join what waits: a frame is a row of messages, so that rows can be joined."""
        frames = [self._pop()]
        size = len(frames[0])
        while self._frames and len(frames) < _JOINED_FRAMES_MAX:
            size += len(self._frames[0][0])
            if size > PART_BYTES_MAX:
                break
            frames.append(self._pop())
        return frames[0] if len(frames) == 1 else b"".join(frames)
