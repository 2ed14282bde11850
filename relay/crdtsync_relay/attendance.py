"""One guest in one room, as whoever reads and writes its frames sees it."""

from __future__ import annotations

from crdtsync.errors import CrdtSyncError
from crdtsync.sync.closing import CloseCode
from crdtsync_relay.peer import Outbox
from crdtsync_relay.running import Running

__all__ = ["Attendance", "TurnedAway"]


class TurnedAway(CrdtSyncError):
    """There is no room for the guest.

    Attributes:
        code: The close code to use.
    """

    def __init__(self, code: CloseCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Attendance:
    """One guest in one room.

    Attributes:
        peer: The number of the connection.
        outbox: What is to be sent to it.
    """

    def __init__(self, peer: int, running: Running, outbox: Outbox) -> None:
        self.peer = peer
        self.outbox = outbox
        self._running = running

    @property
    def is_ready(self) -> bool:
        """Whether the room can listen; read nothing before."""
        return self._running.is_ready(self.peer)

    async def until_ready(self) -> None:
        """Wait until the room can listen, or the guest has left."""
        await self._running.until_ready(self.peer)

    def receive(self, frame: bytes) -> None:
        """Hand a frame of the guest to the room."""
        self._running.receive(self.peer, frame)

    def refuse_text(self) -> None:
        """Have the guest sent away for a text message."""
        reason = "W-1: a text message; frames are binary"
        self.expel(CloseCode.PROTOCOL_ERROR, reason)

    def expel(self, code: CloseCode, reason: str) -> None:
        """Have the guest sent away."""
        self._running.expel(self.peer, code, reason)

    def show_again(self) -> None:
        """Have it told who is here, after presence was dropped."""
        self._running.show_again(self.peer)

    async def until_beyond(self, seq: int) -> None:
        """Wait until the room's log holds more than up to a sequence number."""
        await self._running.disk.until_beyond(seq)
