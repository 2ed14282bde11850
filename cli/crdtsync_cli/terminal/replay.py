"""The end of a session's history as the events of somebody who had been there.

Read from the view of who comes in, also in the middle of a turn; pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    AssistantDelta,
    AssistantMessage,
    Body,
    MessageAdded,
    PlanChanged,
    SessionEvent,
    ThoughtDelta,
    ToolChanged,
    TurnEnded,
    TurnStarted,
    UsageChanged,
)
from crdtsync.schema import plain
from crdtsync.turns.claim import TurnRecord
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
        self._begun: set[str] = set()
        self._tools: dict[str, list[ToolCall]] = {}

    def tell(self, seen: str) -> Iterator[SessionEvent | Line]:
        view = self._view
        start = self._start()
        if start > 0:
            yield Line(f"{start} earlier · /history", ruled=True)
        mark = self._mark(seen, start)
        messages = view.messages[start:]
        last = {m.turn: m.id for m in messages if m.streamed and m.turn}
        for at, message in enumerate(messages, start):
            if at == mark:
                count = view.message_count - mark
                yield Line(f"{count} new since you left", "wait", ruled=True)
            yield from self._message(message)
            if last.get(message.turn) == message.id and message.turn != self._running:
                yield from self._end(message.turn)
        yield from self._turn_that_runs()

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

    def _message(self, message: Message) -> Iterator[SessionEvent]:
        self._at = _moment(message.at) or self._at
        if not message.streamed:
            waits = any(p.prompt == message.id for p in self._view.pending)
            yield self._event(MessageAdded(message, waits), message.author)
            return
        turn, text = message.turn, self._view.text(message.id)
        yield from self._begin(turn)
        if turn and turn == self._running:
            kind = ThoughtDelta if message.role == "thought" else AssistantDelta
            if self._is_open(message):
                yield self._event(kind(message.id, turn, text))
            else:
                yield self._event(AssistantMessage(message, text))
        else:
            yield self._event(AssistantMessage(message, text))
        yield from self._tools_after(turn, message.id)

    def _is_open(self, message: Message) -> bool:
        """Whether more may be written: only the turn's last message grows."""
        for later in reversed(self._view.messages):
            if later.streamed and later.turn == message.turn:
                return later.id == message.id
        return False

    def _begin(self, turn: str) -> Iterator[SessionEvent]:
        if not turn or turn in self._begun:
            return
        self._begun.add(turn)
        record = self._view.turns.get(turn)
        if record is None or record.claim is None:
            return
        claim = record.claim
        at = _moment(record.started_at or "") or self._at
        begun = TurnStarted(turn, claim.prompts, claim.agent, claim.epoch, claim.grant)
        yield self._event(begun, at=at)
        yield from self._tools_after(turn, "")

    def _tools_after(self, turn: str, message: str) -> Iterator[SessionEvent]:
        if turn and turn not in self._tools:
            self._tools[turn] = self._view.tools_of(turn)
        for tool in self._tools.get(turn, ()):
            if tool.message == message:
                yield self._event(ToolChanged(tool), at=_moment(tool.ended_at))

    def _end(self, turn: str) -> Iterator[SessionEvent]:
        reading = self._view.reading
        record = self._view.turns.get(turn)
        if record is None or reading.states.get(turn, "open") == "open":
            return
        ended = TurnEnded(
            turn,
            reading.states[turn],
            reading.classes[turn],
            record.stop_reason or "",
            record.error or "",
        )
        yield self._event(ended, at=_moment(record.ended_at or ""))

    def _turn_that_runs(self) -> Iterator[SessionEvent]:
        record = self._view.running
        if record is None:
            return
        yield from self._begin(record.id)
        yield from self._now_of(record)

    def _now_of(self, record: TurnRecord) -> Iterator[SessionEvent]:
        """What is known of a turn besides its messages and tools."""
        self._at = self._now
        if record.plan is not None:
            entries = tuple(plain(entry) for entry in record.plan)
            yield self._event(PlanChanged(record.id, entries))
        if record.usage is not None:
            usage = {key: plain(value) for key, value in record.usage.items()}
            yield self._event(UsageChanged(record.id, usage))
        for approval in self._view.open_approvals():
            yield self._event(ApprovalRequested(approval))

    def _event(
        self, body: Body, actor: str = "", at: datetime | None = None
    ) -> SessionEvent:
        session = self._session
        when = max(at, self._at) if at is not None else self._at
        return SessionEvent(session.head, when, session.id, session.actor(actor), body)


def _moment(at: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
