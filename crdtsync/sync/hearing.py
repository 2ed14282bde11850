"""What a message from the other end changes and brings: one function for each type.

It reads no bytes and applies nothing; see `protocol.Peer`, which is its only caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from crdtsync.errors import ProtocolError
from crdtsync.sync.arrivals import (
    Acked,
    Arrival,
    Asked,
    Came,
    Denied,
    Evicted,
    Greeted,
    LeaseCame,
    Mismatch,
    PresenceAsked,
    PresenceCame,
    Refused,
)
from crdtsync.sync.bodies import is_presence
from crdtsync.sync.closing import CloseCode, NackCode
from crdtsync.sync.conduct import PROTOCOL_OLDEST
from crdtsync.sync.messages import (
    Ack,
    AuthDenied,
    Awareness,
    Check,
    Evict,
    Hello,
    Lease,
    Message,
    Nack,
    Ping,
    Pong,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Unknown,
    Update,
)
from crdtsync.sync.talk import Stage, Talk
from crdtsync.sync.vectors import digest, read_vector, write_vector
from crdtsync.sync.wire import LAYER_2

__all__ = ["hear", "hear_update", "refuse"]

_NOTHING: Final = b"\0"
_LAYER_2_TYPES: Final = frozenset(kind for kind, _ in LAYER_2.values())


def hear(talk: Talk, message: Message, now: float) -> list[Arrival]:
    """Take in one message.

    Raises:
        ProtocolError: It breaks a rule.
    """
    if type(message) in _LAYER_2_TYPES and not talk.conduct.layer_2:
        talk.counts.unknown += 1
        return []
    if talk.stage is Stage.GREETING and not isinstance(message, Hello):
        raise ProtocolError("W-20: the first message was no HELLO")
    return _HEARD[type(message)](talk, message, now)


def refuse(talk: Talk, number: int, code: NackCode, reason: str, now: float) -> None:
    """Tell the other end that one of its updates is not taken."""
    if talk.conduct.layer_2:
        talk.send(Nack(number, code, reason), now)
    elif not talk.denied:
        # Layer 1 has one such word, and a client that says it often is a nuisance.
        talk.denied = True
        talk.send(AuthDenied(reason), now)


def _hello(talk: Talk, hello: Hello, now: float) -> list[Arrival]:
    if talk.hello is not None:
        raise ProtocolError("W-20: a second HELLO")
    ours = talk.conduct.hello
    if hello.protocol < PROTOCOL_OLDEST or ours.protocol < hello.oldest:
        newer = (
            "the other side" if hello.protocol < PROTOCOL_OLDEST else "crdtsync here"
        )
        return [talk.close(CloseCode.VERSION, f"{newer} has to be updated")]
    if hello.document and ours.document and hello.document != ours.document:
        reason = f"this is session {ours.document}, not {hello.document}"
        return [talk.close(CloseCode.WRONG_DOCUMENT, reason)]
    talk.hello = hello
    talk.stage = Stage.SYNCING
    talk.moved_s = now
    return [Greeted(hello)]


def _step_1(talk: Talk, message: SyncStep1, now: float) -> list[Arrival]:
    vector = write_vector(read_vector(message.state_vector))
    # The own step 1 has to leave before the answer, lest both ends ask in turns
    # for ever (W-22).
    if talk.conduct.layer_2:
        talk.ask(now)
    return [Asked(vector)]


def _step_2(talk: Talk, message: SyncStep2, now: float) -> list[Arrival]:
    talk.asking, talk.told = False, True
    return hear_update(talk, message.update, now, whole=True) + talk.progress()


def _live_update(talk: Talk, message: Update, now: float) -> list[Arrival]:
    return hear_update(talk, message.update, now)


def hear_update(
    talk: Talk, update: bytes, now: float, *, whole: bool = False
) -> list[Arrival]:
    """Take in an update, once the other end has said who it is.

    Args:
        talk: The connection.
        update: Nothing is known of it.
        now: Boottime, seconds.
        whole: It is a step 2.
    """
    talk.arrived += 1
    talk.moved_s = now
    if talk.conduct.others_write:
        return [Came(update, talk.arrived, whole)]
    if whole and update.startswith(_NOTHING):
        # What a reader lacks nothing of: a step 2 names all deletions each time.
        if talk.conduct.layer_2:
            talk.send(Ack(talk.arrived), now)
        return []
    reason = "viewers cannot change the session"
    refuse(talk, talk.arrived, NackCode.READ_ONLY, reason, now)
    return []


def _awareness(talk: Talk, message: Awareness, now: float) -> list[Arrival]:
    most = talk.conduct.presence_bytes_max
    states = tuple(
        entry
        for entry in message.states
        if entry.state is None or is_presence(entry.state, most)
    )
    talk.counts.presence_dropped += len(message.states) - len(states)
    return [PresenceCame(states)] if states else []


def _auth_denied(talk: Talk, message: AuthDenied, now: float) -> list[Arrival]:
    return [Denied(message.reason)]


def _query(talk: Talk, message: QueryAwareness, now: float) -> list[Arrival]:
    return [PresenceAsked()]


def _ack(talk: Talk, message: Ack, now: float) -> list[Arrival]:
    if not talk.acked <= message.count <= talk.sent:
        raise ProtocolError("W-23: an ACK of what was never sent, or a falling one")
    talk.acked = message.count
    talk.refused = {number for number in talk.refused if number > message.count}
    return [Acked(message.count)]


def _nack(talk: Talk, message: Nack, now: float) -> list[Arrival]:
    if not 0 < message.number <= talk.sent:
        raise ProtocolError("W-23: a NACK of what was never sent")
    if message.number > talk.acked:
        talk.refused.add(message.number)
    return [Refused(message.number, message.code, message.reason)]


def _lease(talk: Talk, message: Lease, now: float) -> list[Arrival]:
    if talk.stage is not Stage.LIVE:
        raise ProtocolError("W-26: a lease message before the connection is live")
    return [LeaseCame(message.body)]


def _evict(talk: Talk, message: Evict, now: float) -> list[Arrival]:
    return [Evicted(message.code, message.retry_after_ms / 1000, message.reconnect)]


def _ping(talk: Talk, message: Ping, now: float) -> list[Arrival]:
    talk.send(Pong(message.number), now)
    return []


def _pong(talk: Talk, message: Pong, now: float) -> list[Arrival]:
    talk.pulse.pong(message.number, now)
    return []


def _check(talk: Talk, message: Check, now: float) -> list[Arrival]:
    if message.digest == digest(talk.document.state_vector()):
        return []
    talk.counts.mismatches += 1
    talk.ask(now)
    return [Mismatch()]


def _unknown(talk: Talk, message: Unknown, now: float) -> list[Arrival]:
    talk.counts.unknown += 1
    return []


_HEARD: Final[Mapping[type[Message], Callable[[Talk, Any, float], list[Arrival]]]] = {
    SyncStep1: _step_1,
    SyncStep2: _step_2,
    Update: _live_update,
    Awareness: _awareness,
    AuthDenied: _auth_denied,
    QueryAwareness: _query,
    Hello: _hello,
    Ack: _ack,
    Nack: _nack,
    Lease: _lease,
    Evict: _evict,
    Ping: _ping,
    Pong: _pong,
    Check: _check,
    Unknown: _unknown,
}
