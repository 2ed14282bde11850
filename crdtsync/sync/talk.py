"""What both halves of the protocol share of one connection: how far it has come.

`hearing` changes it for what arrives, `protocol.Peer` for what this end wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from crdtsync.errors import OperationFailed
from crdtsync.sync.arrivals import Arrival, Closed, Synced
from crdtsync.sync.conduct import PARTS, Conduct
from crdtsync.sync.messages import Hello, Message, SyncStep1
from crdtsync.sync.parts import Assembly
from crdtsync.sync.pulse import Pulse
from crdtsync.sync.wire import encode, split

__all__ = ["Counts", "FrameTooLarge", "Stage", "Stateful", "Talk"]


class Stateful(Protocol):
    """The document at this end, as far as the protocol needs it."""

    def state_vector(self) -> bytes:
        """What it holds now, as a Yjs state vector."""
        ...


class Stage(Enum):
    """How far a connection has come."""

    GREETING = "greeting"
    SYNCING = "syncing"
    LIVE = "live"
    CLOSED = "closed"


class FrameTooLarge(OperationFailed):
    """What is to be sent is larger than the other end takes; nothing was sent."""


@dataclass(slots=True)
class Counts:
    """What was noticed on one connection and kept from doing harm.

    Attributes:
        unknown: Messages of types that this version does not know.
        mismatches: Checks that found the documents different.
        presence_dropped: Presence states that were too large or no JSON.
    """

    unknown: int = 0
    mismatches: int = 0
    presence_dropped: int = 0


class Talk:
    """The state of one connection.

    Attributes:
        conduct: How this end behaves.
        document: This end's.
        stage: How far the connection has come.
        hello: What the other end said of itself; None before, and in layer 1.
        counts: What was noticed.
        pulse: Its heartbeat.
        parts: The frame that is coming in parts.
        out: Frames to be sent, in order.
        opened_s: When it began.
        moved_s: When something of the document last came or went.
        arrived: Updates that came, steps 2 included.
        sent: Updates that were sent, steps 2 included.
        acked: So many of the first ones sent are settled.
        refused: Numbers of those above `acked` that were refused.
        asking: Whether an own step 1 waits for its step 2.
        told: Whether a step 2 came.
        answered: Whether a step 1 of the other end was answered.
        denied: Whether a client of layer 1 was told that it may not write.
    """

    def __init__(self, conduct: Conduct, document: Stateful, now: float) -> None:
        self.conduct = conduct
        self.document = document
        self.stage = Stage.GREETING if conduct.layer_2 else Stage.SYNCING
        self.hello: Hello | None = None
        self.counts = Counts()
        self.pulse = Pulse(conduct.beat_s, now, patient=conduct.is_relay)
        self.parts = Assembly(conduct.frame_bytes_max)
        self.out: list[bytes] = []
        self.opened_s = self.moved_s = now
        self.arrived = self.sent = self.acked = 0
        self.refused: set[int] = set()
        self.asking = self.told = self.answered = self.denied = False

    def send(self, message: Message, now: float) -> None:
        """Queue a message, in parts if it is large.

        Raises:
            FrameTooLarge: The other end does not take it.
        """
        frame = encode(message)
        most = self.hello.limits.frame_bytes if self.hello else 0
        if most and len(frame) > most:
            size, most = len(frame) >> 20, most >> 20
            raise FrameTooLarge(f"{size} MiB are to be sent, {most} MiB are taken")
        in_parts = self.hello is not None and PARTS in self.hello.features
        self.out += split(frame) if in_parts else (frame,)
        self.pulse.sent(now)

    def ask(self, now: float) -> None:
        """Send step 1, unless one waits for its answer."""
        if not self.asking:
            self.asking = True
            self.moved_s = now
            self.send(SyncStep1(self.document.state_vector()), now)

    def progress(self) -> list[Arrival]:
        """Become live once both ends have told each other everything.

        A relay need not ask a viewer for what it would refuse.
        """
        viewer = self.hello is not None and self.hello.role == "viewer"
        done = self.told and (self.answered or viewer)
        if self.stage is Stage.SYNCING and done:
            self.stage = Stage.LIVE
            return [Synced()]
        return []

    def close(self, code: int, reason: str) -> Closed:
        """Let nothing come or go any more, but for what waits to be sent."""
        self.stage = Stage.CLOSED
        self.parts.clear()
        return Closed(code, reason)
