"""Lease messages as types: questions to the relay's arbiter, and answers (W-26).

The arbiter itself is `crdtsync.turns.arbiter`. Unknown fields are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast, get_args

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject
from crdtsync.sync.lib0 import NUMBER_MAX
from crdtsync.turns.arbiter import Denied, Granted

__all__ = [
    "Freed",
    "LeaseAnswer",
    "LeaseOperation",
    "LeaseRequest",
    "answer_from_json",
    "answer_to_json",
    "request_from_json",
    "request_to_json",
]

LeaseOperation: TypeAlias = Literal["acquire", "take", "begin", "renew", "release"]

_OPERATIONS: Final = get_args(LeaseOperation)
_TEXT_CHARS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """One question to the arbiter.

    Attributes:
        id: Chosen by the asker, not 0; the answer repeats it.
        op: What is asked for.
        runner: Who asks.
        attempt: The attempt of that runner.
        epoch: To acquire or take: the highest epoch in the document. Else: the
            epoch of the grant.
        turn: To begin: the turn.
        first: To acquire or take: the asker vouches that no relay has granted a
            lease of this session before, which spares a new relay its quarantine.
    """

    id: int
    op: LeaseOperation
    runner: str
    attempt: int
    epoch: int
    turn: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class Freed:
    """Nobody's answer: the lease has become free, who waits may ask now."""


LeaseAnswer: TypeAlias = Granted | Denied | bool
"""To acquire and take: granted or denied; to the others: whether it holds."""


def request_to_json(request: LeaseRequest) -> JsonObject:
    """Write a question."""
    return {
        "id": request.id,
        "op": request.op,
        "runner": request.runner,
        "attempt": request.attempt,
        "epoch": request.epoch,
        "turn": request.turn,
        "first": request.first,
    }


def request_from_json(body: JsonObject) -> LeaseRequest:
    """Read a question.

    Raises:
        ProtocolError: It breaks W-26.
    """
    op = body.get("op")
    if op not in _OPERATIONS:
        raise ProtocolError("W-26: an unknown question to the arbiter")
    return LeaseRequest(
        id=_count(body, "id"),
        op=cast(LeaseOperation, op),
        runner=_text(body, "runner"),
        attempt=_count(body, "attempt"),
        epoch=_count(body, "epoch"),
        turn=_text(body, "turn"),
        first=body.get("first") is True,
    )


def answer_to_json(id: int, answer: LeaseAnswer | Freed) -> JsonObject:  # noqa: A002
    """Write an answer; the id is 0 for `Freed`."""
    match answer:
        case Granted(arb, epoch, ttl_s, idle_s):
            return {
                "id": id,
                "answer": "granted",
                "arb": arb,
                "epoch": epoch,
                "ttl_s": ttl_s,
                "idle_s": idle_s,
            }
        case Denied(holder, turn, remaining_s):
            return {
                "id": id,
                "answer": "denied",
                "holder": holder,
                "turn": turn,
                "remaining_s": remaining_s,
            }
        case Freed():
            return {"id": 0, "answer": "freed"}
        case _:
            return {"id": id, "answer": "ok" if answer else "lost"}


def answer_from_json(body: JsonObject) -> tuple[int, LeaseAnswer | Freed]:
    """Read an answer, and the id of its question.

    Raises:
        ProtocolError: It breaks W-26.
    """
    number = _count(body, "id")
    match body.get("answer"):
        case "granted":
            idle = None if body.get("idle_s") is None else _seconds(body, "idle_s")
            arb, epoch = _text(body, "arb"), _count(body, "epoch")
            return number, Granted(arb, epoch, _seconds(body, "ttl_s"), idle)
        case "denied":
            holder, turn = _text(body, "holder"), _text(body, "turn")
            left_s = _seconds(body, "remaining_s")
            return number, Denied(holder or None, turn or None, left_s)
        case "freed":
            return 0, Freed()
        case "ok" | "lost" as word:
            return number, word == "ok"
        case _:
            raise ProtocolError("W-26: an unknown answer of the arbiter")


def _count(body: JsonObject, key: str) -> int:
    value = body.get(key, 0)
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ProtocolError(f"W-26: {key} of a lease message is no number")
    return value


def _seconds(body: JsonObject, key: str) -> float:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"W-26: {key} of a lease message is no time")
    return float(value)


def _text(body: JsonObject, key: str) -> str:
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX:
        raise ProtocolError(f"W-26: {key} of a lease message is no short text")
    return value
