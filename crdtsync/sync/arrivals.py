"""What one connection brought, as the protocol tells it to its shell; plain data.

Handle them in order. After `Closed` nothing follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crdtsync.schema import JsonObject
from crdtsync.sync.messages import ClientState, Hello

__all__ = [
    "Acked",
    "Arrival",
    "Asked",
    "Came",
    "Closed",
    "Denied",
    "Evicted",
    "Greeted",
    "LeaseCame",
    "Mismatch",
    "PresenceAsked",
    "PresenceCame",
    "Refused",
    "Synced",
]


@dataclass(frozen=True, slots=True)
class Greeted:
    """The other end has said who it is, and the two versions can talk."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Asked:
    """The other end asks for what it lacks: call `Peer.answer`, and soon.

    A window first holds its own prompts which the other end lacks (Q3).

    Attributes:
        state_vector: Checked and canonical.
    """

    state_vector: bytes


@dataclass(slots=True)
class Came:
    """An update, to be admitted and applied before anything that follows.

    Not frozen, as to make one would take three times as long, and most are this.

    Attributes:
        update: Nothing is known of it.
        number: Counted from 1 per connection; a relay settles it by
            `Peer.acknowledge` or `Peer.refuse`.
        whole: It is a step 2: all that this end lacked.
    """

    update: bytes
    number: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Synced:
    """Both ends have told each other everything: the connection is live."""


@dataclass(frozen=True, slots=True)
class Acked:
    """The first `count` updates sent are on the relay's disk, or were refused."""

    count: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An update that was sent is not taken.

    Attributes:
        number: As returned when it was sent.
        code: A `NackCode`, or one of a later version.
        reason: For people.
    """

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class PresenceCame:
    """Presence of some clients; each state is a JSON object as text, or None."""

    states: tuple[ClientState, ...]


@dataclass(frozen=True, slots=True)
class PresenceAsked:
    """The other end wants everybody's presence."""


@dataclass(frozen=True, slots=True)
class LeaseCame:
    """A question to, or an answer of, the relay's arbiter; `leasing` reads it."""

    body: JsonObject


@dataclass(frozen=True, slots=True)
class Evicted:
    """The other end will close the connection.

    Attributes:
        code: The close code that follows.
        retry_after_s: Not to come back earlier.
        reconnect: Whether to come back at all.
    """

    code: int
    retry_after_s: float
    reconnect: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """Layer 1's word that something is not allowed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The two documents turned out to differ; the sync has been started anew."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Send what waits, then close the connection with this code and reason."""

    code: int
    reason: str


Arrival: TypeAlias = (
    Greeted
    | Asked
    | Came
    | Synced
    | Acked
    | Refused
    | PresenceCame
    | PresenceAsked
    | LeaseCame
    | Evicted
    | Denied
    | Mismatch
    | Closed
)
