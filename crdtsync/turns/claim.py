"""The claim of a turn and what a document says of a turn; it decides no order.

A claim is one immutable JSON value, written once by the runner of the turn. This module
reads and writes that value and works out what a new claim has to say (05: 1.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeGuard, cast

from crdtsync.errors import ProtocolError

Grant = Literal["relay", "local", "offline"]
Seen = Literal["final", "open"]

GRANTS: Final = ("relay", "local", "offline")
# Integers above this are not exact in every JSON reader.
EPOCH_MAX: Final = 2**53 - 1
# An epoch this far above the next lower one is a mistake or a forgery. Each grant adds
# one, so that honest epochs leave no such gap; and to climb to `EPOCH_MAX` in steps
# that are taken seriously, a forger needs 2**33 of them.
EPOCH_LEAP_MAX: Final = 2**20


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a turn was seen.

    Attributes:
        messages: Number of its messages.
        length: Length of the last one's text, in the units of the document's texts.
    """

    messages: int
    length: int

    def passed(self, message: int, offset: int) -> bool:
        """Whether a piece lies after the cut.

        Args:
            message: Index of the message within its turn, from 0.
            offset: Where the piece starts within the text of that message.
        """
        last = self.messages - 1
        return message > last or (message == last and offset >= self.length)

    def to_json(self) -> list[int]:
        """Encode as `[messages, length]`."""
        return [self.messages, self.length]

    @classmethod
    def from_json(cls, value: object) -> Cut:
        """Decode; raises `ProtocolError` on anything else."""
        if not _is_list(value) or len(value) != len(cls.__slots__):
            raise ProtocolError("a cut is a list of two numbers")
        return cls(_count(value[0], "cut"), _count(value[1], "cut"))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who runs a turn, under which grant, and what was there before.

    Attributes:
        epoch: Of the grant; above every epoch the claimer had seen (C1).
        arb: The arbiter that granted it.
        grant: The kind of arbiter; "offline" means local, for want of the relay.
        runner: The claimer's runner id, unique per process.
        machine: Names the reach of one local arbiter: one data folder on one machine.
            Two data folders on one machine must have two names, as a turn of the same
            `machine` may be closed by whoever holds that machine's lease.
        agent: The agent's name, for people.
        prompts: The prompts it answers, in order.
        after: Turns seen at the claim; "final" if they were ended or void.
        closes: Turns seen open whose lease was proved to be over, and how much of
            each was seen.
    """

    epoch: int
    arb: str
    grant: Grant
    runner: str
    machine: str
    agent: str
    prompts: tuple[str, ...]
    after: Mapping[str, Seen] = field(default_factory=dict)
    closes: Mapping[str, Cut] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Encode as the JSON value that the document holds."""
        return {
            "epoch": self.epoch,
            "arb": self.arb,
            "grant": self.grant,
            "runner": self.runner,
            "machine": self.machine,
            "agent": self.agent,
            "prompts": list(self.prompts),
            "after": dict(self.after),
            "closes": {turn: cut.to_json() for turn, cut in self.closes.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> Claim:
        """Decode what a document holds; unknown keys are ignored.

        Raises:
            ProtocolError: It is no claim.
        """
        if not _is_dict(value):
            raise ProtocolError("a claim is a JSON object")
        grant = value.get("grant")
        if grant not in GRANTS:
            raise ProtocolError("a claim names an unknown kind of grant")
        epoch = _count(value.get("epoch"), "epoch")
        if epoch > EPOCH_MAX:
            raise ProtocolError("the epoch of a claim is too large")
        after = _mapping(value.get("after"), "after")
        closes = _mapping(value.get("closes"), "closes")
        return cls(
            epoch=epoch,
            arb=_text(value.get("arb"), "arb"),
            grant=grant,
            runner=_text(value.get("runner"), "runner"),
            machine=_text(value.get("machine"), "machine"),
            agent=_text(value.get("agent", ""), "agent"),
            prompts=_texts(value.get("prompts"), "prompts"),
            after={turn: _seen(seen) for turn, seen in after.items()},
            closes={turn: Cut.from_json(cut) for turn, cut in closes.items()},
        )


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What a document says of one turn.

    Attributes:
        id: The turn's id.
        claim: None if it is missing or cannot be read (a newer or a broken writer).
        started: The arbiter confirmed the claim, before the agent was spoken to.
        ended: Its runner said that it ended.
        stop_reason: How it ended.
        error: What went wrong, for people.
        void: It never started; its prompts are pending again (Q2).
        detached_at: What follows this cut was written without a lease.
        usage: What the agent says it used.
        plan: The agent's plan.
        started_at: ISO time, for people only (D-7).
        ended_at: ISO time, for people only.
    """

    id: str
    claim: Claim | None = None
    started: bool = False
    ended: bool = False
    stop_reason: str | None = None
    error: str | None = None
    void: bool = False
    detached_at: Cut | None = None
    usage: Mapping[str, object] | None = None
    plan: Sequence[object] | None = None
    started_at: str | None = None
    ended_at: str | None = None

    @property
    def final(self) -> bool:
        """Whether its runner will write nothing more to it."""
        return self.ended or self.void


@dataclass(frozen=True, slots=True)
class Basis:
    """What a claim made now has to say of the turns before it.

    Attributes:
        after: See `Claim`.
        closes: See `Claim`.
    """

    after: Mapping[str, Seen]
    closes: Mapping[str, Cut]


def epoch_max(turns: Iterable[TurnRecord]) -> int:
    """Find the highest epoch in a document that is to be taken seriously.

    One that leaps too far is passed over, lest a single forged claim leaves no epoch
    for anybody. Whatever order the claims came in, the answer is the same.

    Returns:
        0 without turns.
    """
    highest = 0
    for epoch in sorted({t.claim.epoch for t in turns if t.claim is not None}):
        if epoch > highest + EPOCH_LEAP_MAX:
            break
        highest = epoch
    return highest


def survey(
    turns: Iterable[TurnRecord],
    cuts: Mapping[str, Cut],
    *,
    arb: str,
    machine: str,
    grant: Grant,
) -> Basis:
    """Work out `after` and `closes` of a claim made now.

    A turn that an earlier claim has seen final, or has closed, is reached through
    that claim and not named again, so claims do not grow with the history.

    Args:
        turns: Every turn of the document.
        cuts: How much of each unfinished turn is in the document; none counts as
            nothing seen.
        arb: The arbiter of the new claim.
        machine: The claimer's machine.
        grant: The kind of the new claim's grant.
    """
    seen = tuple(turns)
    settled: set[str] = set()
    closed: set[str] = set()
    for turn in seen:
        if turn.claim is not None:
            settled |= {t for t, how in turn.claim.after.items() if how == "final"}
            closed |= turn.claim.closes.keys()
    after: dict[str, Seen] = {
        turn.id: "final" if turn.final else "open"
        for turn in seen
        if turn.id not in settled and turn.id not in closed
    }
    closes = {
        turn.id: cuts.get(turn.id, Cut(0, 0))
        for turn in seen
        if not turn.final
        and turn.id not in closed
        and _over(turn.claim, arb=arb, machine=machine, grant=grant)
    }
    return Basis(after, closes)


def _over(claim: Claim | None, *, arb: str, machine: str, grant: Grant) -> bool:
    """Whether holding the new grant proves that the lease of a claim is over."""
    if claim is None:
        return False
    if claim.machine == machine:
        return True
    if claim.grant == "offline":
        return False
    return claim.arb == arb or claim.grant == grant == "relay"


def _is_dict(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"{name} of a claim is not a text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not _is_list(value):
        raise ProtocolError(f"{name} of a claim is not a list")
    return tuple(_text(item, name) for item in value)


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not _is_dict(value):
        raise ProtocolError(f"{name} of a claim is not an object")
    return value


def _count(value: object, name: str) -> int:
    """Read a whole number, which a document may give back as a float."""
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (whole or isinstance(value, int)):
        raise ProtocolError(f"{name} is not a whole number")
    number = int(cast("float", value))
    if number < 0:
        raise ProtocolError(f"{name} is negative")
    return number


def _seen(value: object) -> Seen:
    if value not in ("final", "open"):
        raise ProtocolError("a turn in `after` is neither final nor open")
    return value
