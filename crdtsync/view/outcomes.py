"""Which turns began and ended in a change, and which questions opened and closed.

A turn that is told to have started is told to have ended exactly once, and a question
that was asked is told to be resolved, also if the turn died.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from crdtsync import schema
from crdtsync.entities import Approval
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    ApprovalVoted,
    Happening,
    Notice,
    PlanChanged,
    TurnEnded,
    TurnStarted,
    UsageChanged,
)
from crdtsync.turns.claim import TurnRecord
from crdtsync.turns.order import Reading
from crdtsync.view import SessionView
from crdtsync.view.bodies import Bodies
from crdtsync.view.touched import Touched

CANCELLED = "cancelled"
"""The decision told of a question whose turn is over."""


@dataclass(slots=True)
class Told:
    """Happenings about turns, by when they are told."""

    started: list[Happening] = field(default_factory=list)
    streamed: list[Happening] = field(default_factory=list)
    asked: list[Happening] = field(default_factory=list)
    ended: list[Happening] = field(default_factory=list)


class Outcomes:
    """What a stream of events has said of turns and questions so far.

    What it has not spoken of yet is worked out from the document and the change at
    hand, so that opening a session reads nothing for it.
    """

    def __init__(self, view: SessionView, bodies: Bodies) -> None:
        self._view = view
        self._bodies = bodies
        self._open_turns: dict[str, bool] = {}
        self._open_questions: dict[str, bool] = {}

    def forget(self) -> None:
        """Work everything out anew."""
        self._open_turns.clear()
        self._open_questions.clear()

    def tell(self, touched: Touched) -> Told:
        """Tell what a change, taken up by the view, means."""
        told = Told()
        turned: dict[str, bool] = {}
        for record in self._concerned(touched):
            was, now = self._was_open(record, touched), self._is_open(record.id)
            self._open_turns[record.id] = now
            if was != now or _keys(touched, record) is None:
                turned[record.id] = was
            self._turn(record, was, touched, told)
        self._questions(touched, turned, told)
        return told

    def _concerned(self, touched: Touched) -> list[TurnRecord]:
        """The turns that changed or were closed by a claim, in the order shown."""
        found = {turn: self._view.turn_table.get(turn) for turn in touched.turns}
        for turn in touched.turns:
            record = found[turn]
            if record is not None and record.claim is not None and _new(touched, turn):
                for closed in record.claim.closes:
                    found.setdefault(closed, self._view.turn_table.get(closed))
        records = [record for record in found.values() if record is not None]
        if len(records) > 1:
            place = {turn: at for at, turn in enumerate(self._view.reading.order)}
            records.sort(key=lambda record: place[record.id])
        return records

    def _is_open(self, turn: str) -> bool:
        return self._view.reading.states.get(turn) == "open"

    def _was_open(self, record: TurnRecord, touched: Touched) -> bool:
        """Whether more of a turn could come before the change."""
        known = self._open_turns.get(record.id)
        if known is not None:
            return known
        keys = _keys(touched, record)
        if keys is None or (record.final and not keys & {"ended", "void"}):
            return False
        return not any(
            record.id in other.claim.closes
            for other in self._view.turns.values()
            if other.claim is not None and not _new(touched, other.id)
        )

    def _turn(
        self, record: TurnRecord, was: bool, touched: Touched, told: Told
    ) -> None:
        keys = _keys(touched, record)
        actor = record.claim.runner if record.claim else ""
        begun = record.started and (keys is None or "started" in keys)
        if begun:
            told.started.append(Happening(turn_started(record), actor))
        if record.plan is not None and (keys is None or "plan" in keys):
            told.streamed.append(Happening(plan_changed(record), actor))
        if record.usage is not None and (keys is None or "usage" in keys):
            told.streamed.append(Happening(usage_changed(record), actor))
        if self._is_open(record.id) or not record.started:
            return
        if was or begun:
            told.ended += self._bodies.finish(record.id)
            told.ended.append(Happening(turn_ended(record, self._view.reading), actor))
        elif keys and "ended" in keys:
            agent = record.claim.agent if record.claim else ""
            text = f"{agent or 'an agent'} finished a turn after another took over"
            told.ended.append(Happening(Notice("turn.finished_late", text), actor))

    # Permission questions.

    def _questions(self, touched: Touched, turned: dict[str, bool], told: Told) -> None:
        for approval in self._asked(touched, turned):
            keys = touched.approvals.get(approval.id, frozenset())
            was = self._was_asking(approval, touched, turned)
            now = approval.open and self._is_open(approval.turn)
            self._open_questions[approval.id] = now
            decided = not approval.open and (keys is None or "decision" in keys)
            if decided or (was and not now):
                told.asked.append(resolved(approval))
            elif now and not was:
                told.asked.append(Happening(ApprovalRequested(approval)))
            elif now and keys and "votes" in keys:
                told.asked.append(Happening(ApprovalVoted(approval)))

    def _asked(self, touched: Touched, turned: dict[str, bool]) -> Iterable[Approval]:
        """The questions that changed or whose turn did, by number."""
        found = [self._view.approval_table.get(key) for key in touched.approvals]
        asked = {approval.id: approval for approval in found if approval is not None}
        if turned:
            of_turns = self._view.approvals.values()
            asked.update((a.id, a) for a in of_turns if a.turn in turned)
        return sorted(asked.values(), key=lambda a: (a.number, a.id))

    def _was_asking(
        self, approval: Approval, touched: Touched, turned: dict[str, bool]
    ) -> bool:
        known = self._open_questions.get(approval.id)
        if known is not None:
            return known
        keys = touched.approvals.get(approval.id, frozenset())
        if keys is None or (not approval.open and "decision" not in keys):
            return False
        return turned.get(approval.turn, self._is_open(approval.turn))


def _keys(touched: Touched, record: TurnRecord) -> frozenset[str] | None:
    return touched.turns.get(record.id, frozenset())


def _new(touched: Touched, turn: str) -> bool:
    """Whether a turn's claim is new."""
    keys = touched.turns.get(turn, frozenset())
    return keys is None or "claim" in keys


def resolved(approval: Approval) -> Happening:
    """What is told of a question that waits no more."""
    if approval.open:
        approval = replace(approval, decision=CANCELLED)
    return Happening(ApprovalResolved(approval), approval.decided_by)


def turn_started(record: TurnRecord) -> TurnStarted:
    """What is told of a turn that begins."""
    claim = record.claim
    return TurnStarted(
        turn=record.id,
        prompts=claim.prompts if claim else (),
        agent=claim.agent if claim else "",
        epoch=claim.epoch if claim else 0,
        grant=claim.grant if claim else "",
    )


def plan_changed(record: TurnRecord) -> PlanChanged:
    """What is told of a turn's plan."""
    return PlanChanged(record.id, tuple(schema.plain(e) for e in record.plan or ()))


def usage_changed(record: TurnRecord) -> UsageChanged:
    """What is told of what a turn used."""
    usage = (record.usage or {}).items()
    return UsageChanged(record.id, {key: schema.plain(value) for key, value in usage})


def turn_ended(record: TurnRecord, reading: Reading) -> TurnEnded:
    """What is told of a turn that is over."""
    return TurnEnded(
        turn=record.id,
        state=reading.states[record.id],
        reading=reading.classes[record.id],
        stop_reason=record.stop_reason or "",
        error=record.error or "",
        started_at=record.started_at or "",
        ended_at=record.ended_at or "",
    )
