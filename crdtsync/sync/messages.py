"""The messages of the wire as types (docs: protocol); bytes are made by `wire`.

Layer 1 is the Yjs protocol; layer 2, from `Hello` on, is `crdtsync.v1`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from crdtsync.schema import JsonObject

__all__ = [
    "Ack",
    "AuthDenied",
    "Awareness",
    "Check",
    "ClientState",
    "End",
    "Evict",
    "Hello",
    "Lease",
    "Limits",
    "Message",
    "Nack",
    "Part",
    "Ping",
    "Pong",
    "QueryAwareness",
    "SyncStep1",
    "SyncStep2",
    "Unknown",
    "Update",
]

End: TypeAlias = Literal["relay", "window"]
"""Who keeps the session for others, and who takes part in it."""


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has: a Yjs state vector."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """The answer to a step 1: what its sender lacks."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """A change, sent as it happens."""

    update: bytes


@dataclass(frozen=True, slots=True)
class ClientState:
    """One Yjs client's entry of an awareness message.

    Attributes:
        client: Its Yjs client id.
        clock: Grows with every state of that client.
        state: A JSON text, kept as it came; None if the client is gone.
    """

    client: int
    clock: int
    state: str | None


@dataclass(frozen=True, slots=True)
class Awareness:
    """Presence of some clients."""

    states: tuple[ClientState, ...]


@dataclass(frozen=True, slots=True)
class AuthDenied:
    """Layer 1's word for something that is not allowed."""

    reason: str


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The sender wants everybody's presence."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the sender of a HELLO takes; 0 where it says nothing.

    Attributes:
        frame_bytes: Largest frame, also one that comes in parts.
        presence_bytes: Largest presence state; larger ones are not passed on.
        messages_per_s: Messages of one connection, on average.
        bytes_per_s: Bytes of one connection, on average.
    """

    frame_bytes: int = 0
    presence_bytes: int = 0
    messages_per_s: int = 0
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, for which document, and within which limits.

    Attributes:
        protocol: The highest version the sender speaks.
        oldest: The lowest one.
        end: What the sender is.
        document: The session's id; empty if the sender has nothing of it yet.
        role: Of a relay: what the receiver is here. Of a window: empty.
        participant: Of a relay: whom it takes the receiver for. Of a window: who it
            says it is.
        features: Parts of the protocol that not every version has.
        program: Name and version, for people.
        relay: Of a relay: the id of its store, by which it grants leases (A8).
    """

    protocol: int
    oldest: int = 1
    end: End = "window"
    document: str = ""
    role: str = ""
    participant: str = ""
    limits: Limits = field(default_factory=Limits)
    features: frozenset[str] = frozenset()
    program: str = ""
    relay: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """The first `count` updates of this connection are committed to disk, or refused.

    Steps 2 and updates count alike, from 1.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Nack:
    """One update of this connection was not taken.

    Attributes:
        number: Which one, counted as in `Ack`.
        code: A `NackCode`, or one of a later version.
        reason: For people.
    """

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A question to, or an answer of, the relay's arbiter (see `leasing`)."""

    body: JsonObject


@dataclass(frozen=True, slots=True)
class Evict:
    """The sender is about to close the connection.

    Attributes:
        code: The close code that follows.
        retry_after_ms: Do not come back earlier.
        reconnect: Whether to come back at all.
    """

    code: int
    retry_after_ms: int
    reconnect: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with a pong of the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""

    number: int


@dataclass(frozen=True, slots=True)
class Check:
    """Digest of the sender's state vector; a mismatch restarts the sync."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a frame that is too large to be sent in one go.

    Attributes:
        left: How many bytes of the frame are still to come after this part.
        data: The next ones.
    """

    left: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that this version does not know; to be counted."""

    type: int


Message: TypeAlias = (
    SyncStep1
    | SyncStep2
    | Update
    | Awareness
    | AuthDenied
    | QueryAwareness
    | Hello
    | Ack
    | Nack
    | Lease
    | Evict
    | Ping
    | Pong
    | Check
    | Part
    | Unknown
)
