"""How one end of a connection behaves: the few differences between the two ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from crdtsync.sync.messages import Hello, Limits
from crdtsync.sync.wire import FRAME_BYTES_MAX

__all__ = [
    "APPROVE",
    "FEATURES",
    "HOLD",
    "NOTES",
    "PARTS",
    "PROTOCOL",
    "PROTOCOL_OLDEST",
    "Conduct",
    "relay_hello",
    "window_hello",
]

PROTOCOL: Final = 1
"""The version of layer 2 that this program speaks."""

PROTOCOL_OLDEST: Final = 1
"""The oldest one that it still speaks."""

PARTS: Final = "parts"
HOLD: Final = "hold"
APPROVE: Final = "approve"
NOTES: Final = "notes"

FEATURES: Final = frozenset({PARTS, HOLD, "check", "lease"})
"""parts: takes frames in parts. hold: vouches that what it sends in a handshake
holds no prompt that would run unasked (Q3). check, lease: knows these messages. Of a
relay, approve: the receiver may answer an agent's questions. notes: it may write notes
although it is a viewer."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one end behaves on one connection.

    Attributes:
        hello: What it says of itself; `hello.end` tells the relay from the window.
        layer_2: Whether `crdtsync.v1` was agreed on; if not, HELLO and everything
            else of it is neither sent nor taken.
        others_write: Of a relay: whether the other end may change the document.
        frame_bytes_max: Larger frames from outside end the connection.
        presence_bytes_max: Larger presence states from outside are dropped.
        beat_s: Nothing heard for two of them: the connection is dead. Each end sends
            something in every beat.
        hello_timeout_s: The other end has to say HELLO by then.
        sync_timeout_s: A step 1 has to be answered, or a part of the answer to come,
            by then.
        check_s: A window compares state vectors so often.
        keepalive_s: A client of layer 1 hears something so often: y-websocket
            gives up after 30 s of silence.
    """

    hello: Hello = field(default_factory=lambda: window_hello(""))
    layer_2: bool = True
    others_write: bool = True
    frame_bytes_max: int = FRAME_BYTES_MAX
    presence_bytes_max: int = 4096
    beat_s: float = 5.0
    hello_timeout_s: float = 10.0
    sync_timeout_s: float = 60.0
    check_s: float = 60.0
    keepalive_s: float = 15.0

    @property
    def is_relay(self) -> bool:
        """Whether this end keeps the session for others, and acknowledges."""
        return self.hello.end == "relay"


def window_hello(document: str, *, participant: str = "", program: str = "") -> Hello:
    """Make the HELLO of a window.

    Args:
        document: The session's id.
        participant: Who it says it is; the relay goes by the token.
        program: Name and version, for people.
    """
    return Hello(
        protocol=PROTOCOL,
        oldest=PROTOCOL_OLDEST,
        end="window",
        document=document,
        participant=participant,
        limits=Limits(frame_bytes=FRAME_BYTES_MAX, presence_bytes=4096),
        features=FEATURES,
        program=program,
    )


def relay_hello(  # noqa: PLR0913 - one for each field
    document: str,
    *,
    role: str,
    participant: str,
    limits: Limits,
    features: frozenset[str] = FEATURES,
    program: str = "",
    relay: str = "",
) -> Hello:
    """Make the HELLO of a relay to one peer.

    Args:
        document: The session's id (`meta.id`); empty while the room is empty.
        role: What the peer is here: owner, editor or viewer.
        participant: Whom the token names; empty without tokens.
        limits: What this relay takes.
        features: Without `HOLD` where this relay cannot vouch for prompts (Q3, Q4).
        program: Name and version, for people.
        relay: The id of its store.
    """
    return Hello(
        protocol=PROTOCOL,
        oldest=PROTOCOL_OLDEST,
        end="relay",
        document=document,
        role=role,
        participant=participant,
        limits=limits,
        features=features,
        program=program,
        relay=relay,
    )
