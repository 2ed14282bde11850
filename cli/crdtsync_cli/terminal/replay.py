"""The end of a session's history as the events of somebody who had been there.

Read from the view of who comes in, also in the middle of a turn; pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    AssistantDelta,
    AssistantMessage,
    Body,
    Happening,
    MessageAdded,
    SessionEvent,
    ThoughtDelta,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from crdtsync.turns.claim import TurnRecord
from crdtsync.view.outcomes import (
    plan_changed,
    resolved,
    turn_ended,
    turn_started,
    usage_changed,
)
from crdtsync.view.places import in_reading_order
from crdtsync_cli.terminal.block import Line

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["REPLAY", "TURN_MESSAGES_MAX", "replay"]

REPLAY: Final = 20
"""So many messages are shown to who comes in."""

TURN_MESSAGES_MAX: Final = 200
"""If a turn runs, as many more as it takes to show its beginning; but not more."""


def replay(session: Session, now: datetime, seen: str) -> Iterator[SessionEvent | Line]:
    """Tell the last messages, the turns they belong to, and the turn that runs.

    Args:
        session: Its view is read.
        now: For what has no time of its own.
        seen: The last message that was seen here before, or "".
    """
    yield from _Replay(session, now).tell(seen)


class _Replay:
    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._view = session.view
        self._at = now
        self._now = now
        running = self._view.running
        self._running = running.id if running is not None else ""

    def tell(self, seen: str) -> Iterator[SessionEvent | Line]:
        view = self._view
        start = self._start()
        if start > 0:
            yield Line(f"{start} earlier · /history", ruled=True)
        mark = self._mark(seen, start)
        messages = view.messages[start:]
        told = in_reading_order(self._happenings(messages), messages)
        for at, happening in told:
            if mark is not None and at >= mark - start:
                count = view.message_count - mark
                yield Line(f"{count} new since you left", "wait", ruled=True)
                mark = None
            yield self._event(happening)

    def _start(self) -> int:
        """Where to begin: the last messages, and the whole turn that runs."""
        view = self._view
        start = max(0, view.message_count - REPLAY)
        running = view.running
        if running is None or running.claim is None or not running.claim.prompts:
            return start
        asked = view.position(running.claim.prompts[0])
        if asked is None or asked >= start:
            return start
        return max(asked, view.message_count - TURN_MESSAGES_MAX)

    def _mark(self, seen: str, start: int) -> int | None:
        """Before which message the mark of what is new stands."""
        at = self._view.position(seen) if seen else None
        if at is None or at + 1 >= self._view.message_count:
            return None
        return max(at + 1, start)

    def _happenings(self, messages: Sequence[Message]) -> Iterator[Happening]:
        """What is told of these messages and their turns, in no order."""
        yield from map(self._message, messages)
        last = {m.turn: m.id for m in messages if m.streamed and m.turn}
        shown = {message.id for message in messages} | {""}
        tools: dict[str, ToolCall] = {}
        for turn in {**last, self._running: ""}:
            record = self._view.turns.get(turn)
            if record is None or record.claim is None:
                continue
            yield Happening(turn_started(record))
            found = self._view.tools_of(turn)
            tools |= {tool.key: tool for tool in found if tool.message in shown}
            yield from self._outcome(record)
        yield from (Happening(ToolChanged(tool)) for tool in tools.values())
        yield from self._questions(tools.keys())

    def _message(self, message: Message) -> Happening:
        if not message.streamed:
            waits = any(p.prompt == message.id for p in self._view.pending)
            return Happening(MessageAdded(message, waits), message.author)
        text = self._view.text(message.id)
        if message.turn and message.turn == self._running and self._grows(message):
            kind = ThoughtDelta if message.role == "thought" else AssistantDelta
            return Happening(kind(message.id, message.turn, text))
        return Happening(AssistantMessage(message, text))

    def _grows(self, message: Message) -> bool:
        """Whether more may be written: only the turn's last message grows."""
        for later in reversed(self._view.messages):
            if later.streamed and later.turn == message.turn:
                return later.id == message.id
        return False

    def _outcome(self, record: TurnRecord) -> Iterator[Happening]:
        """What is known of a turn as a whole, and how it ended."""
        if record.plan is not None:
            yield Happening(plan_changed(record))
        if record.usage is not None:
            yield Happening(usage_changed(record))
        if self._view.reading.states.get(record.id, "open") != "open":
            yield Happening(turn_ended(record, self._view.reading))

    def _questions(self, tools: Set[str]) -> Iterator[Happening]:
        """The questions of some tools, and those that wait for an answer."""
        waiting = {approval.id for approval in self._view.open_approvals()}
        for approval in self._view.approvals.values():
            if approval.id in waiting:
                yield Happening(ApprovalRequested(approval))
            elif approval.tool in tools:
                yield resolved(approval)

    def _event(self, happening: Happening) -> SessionEvent:
        """The event that somebody would have had who was there."""
        at = self._time(happening.body)
        session = self._session
        actor = session.actor(happening.actor)
        return SessionEvent(session.head, at, session.id, actor, happening.body)

    def _time(self, body: Body) -> datetime:
        match body:
            case MessageAdded(message=message) | AssistantMessage(message=message):
                self._at = _moment(message.at) or self._at
            case AssistantDelta(message=key) | ThoughtDelta(message=key):
                header = self._view.message(key)
                self._at = (_moment(header.at) if header else None) or self._at
            case ToolChanged(tool=tool):
                return self._later(tool.ended_at)
            case TurnStarted(turn=turn):
                record = self._view.turns.get(turn)
                return self._later(record.started_at if record else None)
            case TurnEnded(turn=turn):
                record = self._view.turns.get(turn)
                return self._later(record.ended_at if record else None)
            case ApprovalRequested():
                return self._now
        return self._at

    def _later(self, at: str | None) -> datetime:
        """A time, unless what was told already is later."""
        found = _moment(at or "")
        return self._at if found is None else max(found, self._at)


def _moment(at: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
