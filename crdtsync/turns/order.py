"""The reading rule: which turns are the main line, and in which order all are shown.

Pure: the same turns give the same reading in every replica, however they came in. What
the rule compares pair by pair it compares only within stretches of concurrent turns
(`stretch`); along a chain it costs one step per turn. It looks at no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from crdtsync.turns.claim import Claim, Cut, TurnRecord
from crdtsync.turns.cutter import Cutter
from crdtsync.turns.sequence import in_sequence
from crdtsync.turns.stretch import settles

TurnClass = Literal["void", "main", "stale", "parallel"]
ItemClass = Literal["void", "main", "stale", "parallel", "late", "detached"]
TurnState = Literal["open", "ended", "void", "abandoned", "finished_after_takeover"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the turns of a document are to be shown.

    Attributes:
        order: Every turn once, in the order shown.
        main: The main line, in order; each is before the next.
        classes: What each turn is to the others.
        states: What is known of each turn's end.
        missing: Turns that are named but not here yet.
        answers: The turns that are not void, by the prompts they took, main first.
        closers: The least that a claim closing a turn had seen of it.
        detached: Where a turn's runner lost its lease and went on.
        tail: The turns of the last stretch; all others are before them.
        over: Turns that a claim says to be over.
    """

    order: tuple[str, ...]
    main: tuple[str, ...]
    classes: Mapping[str, TurnClass]
    states: Mapping[str, TurnState]
    missing: frozenset[str]
    answers: Mapping[str, tuple[str, ...]]
    closers: Mapping[str, Cut]
    detached: Mapping[str, Cut]
    tail: tuple[str, ...]
    over: frozenset[str]

    def alternatives(self, prompt: str) -> tuple[str, ...]:
        """List the turns that took a prompt, main first; two are alternatives."""
        return self.answers.get(prompt, ())

    def item(self, turn: str, message: int, offset: int = 0) -> ItemClass:
        """Classify a piece of a turn.

        Args:
            turn: The turn's id; one that is not here counts as parallel.
            message: Index of the message within the turn, from 0.
            offset: Where the piece starts within that message's text.
        """
        detached, closed = self.detached.get(turn), self.closers.get(turn)
        if detached is not None and detached.passed(message, offset):
            return "detached"
        if closed is not None and closed.passed(message, offset):
            return "late"
        return self.classes.get(turn, "parallel")


def read_turns(records: Iterable[TurnRecord]) -> Reading:
    """Read all turns of a document.

    A turn whose claim cannot be read is shown as parallel and never as main.
    """
    turns = {turn.id: turn for turn in records}
    order: list[str] = []
    main: set[str] = set()
    stale: set[str] = set()
    epochs: dict[str, int] = {}
    tail: tuple[str, ...] = ()
    for stretch in Cutter(in_sequence(turns)).stretches():
        told = stretch.read(epochs)
        tail = tuple(told.order[-1:] if stretch.chain else told.order)
        order += told.order
        main |= told.main
        stale |= told.stale
        for turn in stretch.turns:
            if (claim := turn.claim) and claim.epoch > epochs.get(claim.arb, 0):
                epochs[claim.arb] = claim.epoch
    closers = _closers(turns.values())
    classes = {i: _class(turns[i], main, stale) for i in order}
    return Reading(
        order=tuple(order),
        main=tuple(turn for turn in order if turn in main),
        classes=classes,
        states={turn: _state(turns[turn], closers) for turn in order},
        missing=_named(turns.values()) - turns.keys(),
        answers=_answers(turns, order, classes),
        closers=closers,
        detached={t.id: t.detached_at for t in turns.values() if t.detached_at},
        tail=tail,
        over=frozenset(over for t in turns.values() for over in settles(t.claim)),
    )


def extend(reading: Reading, turn: TurnRecord) -> Reading | None:
    """Add a turn that comes after everything read; None asks for `read_turns`.

    The common case, a chain: it costs a copy of the tables and no comparison.
    """
    claim = turn.claim
    known = turn.id in reading.classes or turn.id in reading.missing
    if claim is None or turn.void or known or not _follows(reading, claim):
        return None
    closers = dict(reading.closers)
    states = dict(reading.states)
    for closed, cut in claim.closes.items():
        closers[closed] = _least(closers.get(closed), cut)
        if closed in states:
            states[closed] = _closed_state(states[closed])
    states[turn.id] = _state(turn, closers)
    answers = dict(reading.answers)
    for prompt in dict.fromkeys(claim.prompts):
        answers[prompt] = _main_first(
            (*answers.get(prompt, ()), turn.id), {**reading.classes, turn.id: "main"}
        )
    detached = {turn.id: turn.detached_at} if turn.detached_at else {}
    return replace(
        reading,
        order=(*reading.order, turn.id),
        main=(*reading.main, turn.id),
        classes={**reading.classes, turn.id: "main"},
        states=states,
        answers=answers,
        closers=closers,
        detached={**reading.detached, **detached},
        missing=reading.missing | (_named((turn,)) - states.keys()),
        tail=(turn.id,),
        over=reading.over | frozenset(settles(claim)),
    )


def restate(reading: Reading, turn: TurnRecord) -> Reading | None:
    """Take up that a turn read before has ended or lost its lease; None as `extend`.

    Only its state changes; a turn that became void needs the whole rule.
    """
    if turn.void or turn.id not in reading.classes:
        return None
    detached = {turn.id: turn.detached_at} if turn.detached_at else {}
    return replace(
        reading,
        states={**reading.states, turn.id: _state(turn, reading.closers)},
        detached={**reading.detached, **detached},
    )


def _follows(reading: Reading, claim: Claim) -> bool:
    """Whether a claim by itself puts all turns of the last stretch before it.

    All earlier turns are before each of these, and thereby before it.
    """
    over = frozenset(settles(claim))
    return all(
        seen in claim.after and (seen in over or seen in reading.over)
        for seen in reading.tail
    )


def _class(turn: TurnRecord, main: set[str], stale: set[str]) -> TurnClass:
    if turn.void:
        return "void"
    if turn.id in main:
        return "main"
    return "stale" if turn.id in stale else "parallel"


def _state(turn: TurnRecord, closers: Mapping[str, Cut]) -> TurnState:
    if turn.void:
        return "void"
    state: TurnState = "ended" if turn.ended else "open"
    return _closed_state(state) if turn.id in closers else state


def _closed_state(state: TurnState) -> TurnState:
    """Tell what closing makes of a state; an `ended` came after the closing."""
    match state:
        case "open":
            return "abandoned"
        case "ended":
            return "finished_after_takeover"
        case _:
            return state


def _closers(turns: Iterable[TurnRecord]) -> dict[str, Cut]:
    closers: dict[str, Cut] = {}
    for turn in turns:
        if turn.claim is not None:
            for closed, cut in turn.claim.closes.items():
                closers[closed] = _least(closers.get(closed), cut)
    return closers


def _least(one: Cut | None, other: Cut) -> Cut:
    return other if one is None else min(one, other, key=_extent)


def _extent(cut: Cut) -> tuple[int, int]:
    return cut.messages, cut.length


def _named(turns: Iterable[TurnRecord]) -> frozenset[str]:
    return frozenset(
        name
        for turn in turns
        if turn.claim is not None
        for name in (*turn.claim.after, *turn.claim.closes)
    )


def _answers(
    turns: Mapping[str, TurnRecord],
    order: Sequence[str],
    classes: Mapping[str, TurnClass],
) -> dict[str, tuple[str, ...]]:
    answers: dict[str, tuple[str, ...]] = {}
    for turn in order:
        claim = turns[turn].claim
        if claim is not None and not turns[turn].void:
            for prompt in dict.fromkeys(claim.prompts):
                answers[prompt] = (*answers.get(prompt, ()), turn)
    return {
        prompt: _main_first(of, classes) if len(of) > 1 else of
        for prompt, of in answers.items()
    }


def _main_first(
    turns: tuple[str, ...], classes: Mapping[str, TurnClass]
) -> tuple[str, ...]:
    return tuple(sorted(turns, key=lambda turn: classes[turn] != "main"))
