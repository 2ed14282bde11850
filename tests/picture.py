"""What somebody knows of a session who reads its events and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from crdtsync.entities import ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    AssistantDelta,
    AssistantMessage,
    Happening,
    LeaseChanged,
    MessageAdded,
    QueueChanged,
    QueuedPrompt,
    Reset,
    ThoughtDelta,
    TitleChanged,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from crdtsync.view import SessionView


class Picture:
    """Starts from a view and goes on by events; `Reset` makes it look again."""

    def __init__(self, view: SessionView) -> None:
        self._view = view
        self.started: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.resets = 0
        self._look()

    def _look(self) -> None:
        view = self._view
        self.texts = {m.id: view.text(m.id) for m in view.messages}
        self.tools: dict[str, ToolCall] = dict(view.tools)
        self.questions = {a.id for a in view.open_approvals()}
        self.pending: tuple[QueuedPrompt, ...] = view.pending
        self.running = running(view)
        self.title = view.meta.title
        self.lease = view.lease

    def add(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            self._add(happening)

    def _add(self, happening: Happening) -> None:
        match happening.body:
            case MessageAdded(message):
                self.texts[message.id] = message.text
            case AssistantDelta(message, _, text) | ThoughtDelta(message, _, text):
                self.texts[message] = self.texts.get(message, "") + text
            case AssistantMessage(message, text):
                self.texts[message.id] = text
            case ToolChanged(tool):
                self.tools[tool.key] = tool
            case QueueChanged(pending):
                self.pending = pending
            case Reset():
                self.resets += 1
                self._look()
            case _:
                self._add_more(happening)

    def _add_more(self, happening: Happening) -> None:
        match happening.body:
            case TitleChanged(title):
                self.title = title
            case LeaseChanged():
                self.lease = happening.body
            case ApprovalRequested(approval):
                assert approval.id not in self.questions
                self.questions.add(approval.id)
            case ApprovalResolved(approval):
                assert not approval.open
                self.questions.discard(approval.id)
            case TurnStarted(turn):
                assert turn not in self.running, "started twice"
                self.running.add(turn)
                self.started[turn] += 1
            case TurnEnded(turn):
                assert turn in self.running, "ended without a start, or twice"
                self.running.remove(turn)
                self.ended[turn] += 1

    def check(self) -> None:
        """Compare with the view."""
        view = self._view
        ids = Counter(message.id for message in view.messages)
        for message, times in ids.items():
            if times == 1:
                assert self.texts.get(message, "") == view.text(message), message
        assert self.tools == dict(view.tools)
        assert self.questions == {a.id for a in view.open_approvals()}
        assert self.pending == view.pending
        assert self.running == running(view)
        assert self.title == view.meta.title
        assert (self.lease or LeaseChanged("", 0, "", "")) == (
            view.lease or LeaseChanged("", 0, "", "")
        )


def running(view: SessionView) -> set[str]:
    """The turns that have started and are not over."""
    states = view.reading.states
    return {t.id for t in view.turns.values() if t.started and states[t.id] == "open"}


def assert_same(one: SessionView, other: SessionView) -> None:
    """Compare two views part by part, so that a failure says where they differ."""
    assert one.meta == other.meta
    assert list(one.messages) == list(other.messages)
    ids = {message.id for message in one.messages}
    assert {i: one.text(i) for i in ids} == {i: other.text(i) for i in ids}
    assert one.turns == other.turns
    assert one.reading == other.reading
    assert one.tools == other.tools
    assert one.approvals == other.approvals
    assert one.queue == other.queue
    assert one.pending == other.pending
    assert one.participants == other.participants
    assert one.drafts == other.drafts
    assert one.lease == other.lease
    assert one == other
