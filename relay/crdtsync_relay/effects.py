"""What a room asks of its shell; plain data, nothing is done here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdtsync.sync.leasing import LeaseRequest
from crdtsync_relay.batch import Batch

__all__ = [
    "AskArbiter",
    "Close",
    "Commit",
    "Digest",
    "Effect",
    "Load",
    "Send",
    "Try",
    "Weight",
]

Weight: TypeAlias = Literal["must", "sync", "presence"]
"""What a slow reader means for frames: presence is dropped, of the rest only so much
may wait, and the answer to a step 1 may be as large as it is."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read the document from the log, then call `Room.loaded` or `Room.failed`."""


@dataclass(slots=True)
class Send:
    """Put encoded frames into the queues of some peers, in this order.

    Not frozen, like `Commit`: to make one would take three times as long.
    """

    peers: tuple[int, ...]
    frames: tuple[bytes, ...]
    weight: Weight = "must"


@dataclass(frozen=True, slots=True)
class Close:
    """Send what waits, then close the connection of a peer; it has left already."""

    peer: int
    code: int
    reason: str


@dataclass(slots=True)
class Commit:
    """Append an update to the log, then call `Room.committed` with the number.

    Attributes:
        number: Ascending by one; appends must not overtake each other.
    """

    number: int
    update: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """Digest a large batch in a thread, then call `Room.digested`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Try:
    """Try a large update elsewhere, then call `Room.tried`."""

    peer: int
    state: bytes
    update: bytes


@dataclass(frozen=True, slots=True)
class AskArbiter:
    """Put a question to the log's arbiter, then call `Room.arbitrated`.

    Questions of one room are asked in this order, one at a time, and none of a peer
    that has left (A6).
    """

    peer: int
    request: LeaseRequest


Effect: TypeAlias = Load | Send | Close | Commit | Digest | Try | AskArbiter
