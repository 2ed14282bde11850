"""What a session's events mean on a screen: finished blocks, and what goes on now.

Pure: events in, blocks out; times come with the events. Nothing is kept of a turn that
is over, so that a window may stay open for weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    AssistantDelta,
    AssistantMessage,
    Merged,
    MessageAdded,
    ParticipantLeft,
    PlanChanged,
    SessionEvent,
    ThoughtDelta,
    ToolChanged,
    TurnEnded,
    TurnStarted,
    UsageChanged,
)
from crdtsync.schema import JsonValue
from crdtsync_cli.terminal.answers import Answers
from crdtsync_cli.terminal.block import (
    Block,
    Day,
    Face,
    Head,
    Line,
    Plan,
    Said,
    ToolRow,
)
from crdtsync_cli.terminal.cast import Cast
from crdtsync_cli.terminal.telling import called_in, told
from crdtsync_cli.words import decided, in_words, outcome, plan_lines, took_s

__all__ = ["Running", "Story"]

APART: Final = timedelta(seconds=5)
"""What comes in before a message that is here for so long was written apart.

Two people who write at the same moment are no news.
"""

RECENT_MAX: Final = 100
"""Of so many messages it is known when they came."""

SPOKE_LATELY: Final = timedelta(minutes=10)
"""Somebody who wrote within this time is not a stranger when they go."""

_STANDINGS: Final = {
    "parallel": "ran apart",
    "stale": "late",
    "late": "late",
    "detached": "late",
}


@dataclass(frozen=True, slots=True)
class Running:
    """The turn that runs.

    Attributes:
        by: Who asked for it, or "".
        since: When it was seen to begin.
    """

    turn: str
    number: int
    agent: str
    by: str
    since: datetime


class Story:
    """Follows one session.

    Args:
        cast: Knows names and messages.
        zone: The time zone of the times; the machine's if None.

    Attributes:
        running: The turn that runs, or None.
        answers: What agents are writing.
        tools: Tool calls that are not over, by key.
        asking: Those of them that wait for a permission.
        by: Who allowed or denied one, in words.
        plan: Of the running turn.
        usage: What the last turn said of tokens and cost.
        spoke: When participants last wrote.
    """

    def __init__(self, cast: Cast, *, zone: tzinfo | None = None) -> None:
        self._cast = cast
        self._zone = zone
        self.usage: Mapping[str, JsonValue] = {}
        self.spoke: dict[str, datetime] = {}
        self._came: dict[str, datetime] = {}
        self._today: date | None = None
        self.restart()

    def restart(self) -> None:
        """Forget what goes on: it is told anew."""
        self.running: Running | None = None
        self.answers = Answers(self._head)
        self.tools: dict[str, ToolCall] = {}
        self.plan: tuple[JsonValue, ...] = ()
        self.asking: set[str] = set()
        self.by: dict[str, str] = {}
        self._day: date | None = None

    def now(self, at: datetime) -> None:
        """Say what day it is, before the past is told."""
        self._today = at.astimezone(self._zone).date()

    def take(self, event: SessionEvent) -> list[Block]:
        """Follow one event; returns what it finished, deltas apart (`commit`)."""
        match event.body:
            case AssistantDelta() | ThoughtDelta() as delta:
                if delta.message not in self.answers.writing:
                    self._note_came(delta.message, event.at)
                header = self._cast.message(delta.message)
                self.answers.feed(delta, header, event.at)
                return []
            case UsageChanged(usage=usage):
                self.usage = usage
                return []
            case PlanChanged(entries=entries):
                self.plan = entries
                return []
            case _:
                return [*self.commit(), *self._told(event)]

    def face(self, participant: str) -> Face:
        """Who somebody is on the screen."""
        found = self._cast.participant(participant)
        mine = participant == self._cast.me.id
        if found is None:
            return Face(self._cast.name_of(participant) or "agent", mine=mine)
        return Face(found.name, found.slot if found.kind == "person" else None, mine)

    def commit(self) -> list[Block]:
        """What of the messages being written is finished by now."""
        return self.answers.commit()

    def _told(self, event: SessionEvent) -> list[Block]:
        found = self._new_day(event.at)
        match event.body:
            case MessageAdded(message=message, queued=queued):
                self.spoke[message.author] = event.at
                self._note_came(message.id, event.at)
                found.append(self._said(message, queued=queued))
            case AssistantMessage(message=message, text=text):
                found += self.answers.finish(message, text, event.at)
            case ToolChanged(tool=tool):
                found += self._tool(tool, event.at)
            case ApprovalRequested(approval=approval):
                self.asking.add(approval.tool)
            case ApprovalResolved(approval=approval):
                self.asking.discard(approval.tool)
                self.by[approval.tool] = decided(approval, self._cast)
                found += told(event, self._cast, self.face)
            case TurnStarted() | TurnEnded():
                found += self._turn(event)
            case _:
                found += self._around(event)
        if found and isinstance(found[-1], Said | Line | Day):
            self.answers.interrupt()
        return found

    def _note_came(self, message: str, at: datetime) -> None:
        self._came[message] = at
        if len(self._came) > RECENT_MAX:
            del self._came[next(iter(self._came))]

    def _is_news(self, merged: Merged, at: datetime) -> bool:
        """Whether a block came in above what was read already."""
        came = self._came.get(merged.before)
        return came is None or at - came > APART

    def _around(self, event: SessionEvent) -> list[Block]:
        if isinstance(event.body, Merged) and not self._is_news(event.body, event.at):
            return []
        spoke = self.spoke.get(event.actor.id) if event.actor else None
        lately = spoke is not None and event.at - spoke < SPOKE_LATELY
        found = told(event, self._cast, self.face, spoke_lately=lately)
        if isinstance(event.body, ParticipantLeft) and event.actor:
            self.spoke.pop(event.actor.id, None)
        return found

    def _said(self, message: Message, *, queued: bool) -> Said:
        waits = queued and (self.running is not None or not self._cast.has_agent())
        me = self._cast.me
        kinds = {"note": "note", "agent": "agent", "system": "system"}
        return Said(
            self._time(message.at),
            self.face(message.author),
            message.text,
            kinds.get(message.role, "message"),  # type: ignore[arg-type]
            waits,
            called_in(message.text, me.name) if message.author != me.id else "",
        )

    def _tool(self, tool: ToolCall, at: datetime) -> list[Block]:
        before = self.answers.before_tool(tool, at)
        if tool.open:
            self.tools[tool.key] = tool
            return before
        self.tools.pop(tool.key, None)
        return [*before, ToolRow(tool, self.by.pop(tool.key, ""))]

    def _turn(self, event: SessionEvent) -> list[Block]:
        match event.body:
            case TurnStarted(turn=turn, agent=agent, prompts=prompts):
                number = self._cast.turn_number(turn)
                asked = self._cast.message(prompts[0]) if prompts else None
                by = self._cast.name_of(asked.author) if asked else ""
                self.running = Running(turn, number, agent, by, event.at)
                return [Line(f"turn {number} · {agent}", ruled=True)]
            case TurnEnded(turn=turn) as ended:
                return self._turn_end(turn, ended, event.at)
        return []

    def _turn_end(self, turn: str, ended: TurnEnded, at: datetime) -> list[Block]:
        running, number = self.running, self._cast.turn_number(turn)
        found: list[Block] = []
        words = outcome(ended)
        if running is not None and running.turn == turn:
            if self.plan and not all(_is_done(entry) for entry in self.plan):
                found.append(Plan(tuple(plan_lines(self.plan))))
            if ended.state == "ended":
                words += f" {in_words(took_s(ended, running.since, at))}"
            self.running, self.plan = None, ()
        self._forget(turn)
        good = (ended.state, ended.stop_reason) == ("ended", "end_turn")
        tone = "dim" if good else "wait"
        found.append(Line(f"turn {number} {words}".rstrip(), tone, ruled=True))
        if ended.error:
            found.append(Line(f"✗ {ended.error}", "bad"))
        return found

    def _forget(self, turn: str) -> None:
        """Keep nothing of a turn that is over."""
        self.answers.forget(turn)
        self.tools = {k: t for k, t in self.tools.items() if t.turn != turn}
        self.by = {k: by for k, by in self.by.items() if not k.startswith(turn)}
        self.asking = {key for key in self.asking if not key.startswith(turn)}

    # Times.

    def _head(self, message: Message, since: datetime | None) -> Head:
        standing = _STANDINGS.get(self._cast.standing(message), "")
        time = self._time(message.at, since)
        return Head(time, self.face(message.author), standing)

    def _new_day(self, at: datetime) -> list[Block]:
        day = at.astimezone(self._zone).date()
        before, self._day = self._day, max(day, self._day or day)
        if before is None:
            return [] if self._today in {None, day} else [Day(day)]
        return [Day(day)] if day > before else []

    def _time(self, at: str, fallback: datetime | None = None) -> str:
        """The time of day; with the date, if that is not the last one shown."""
        try:
            found = datetime.fromisoformat(at).astimezone(self._zone)
        except ValueError:
            if fallback is None:
                return "--:--"
            found = fallback.astimezone(self._zone)
        if self._day is not None and found.date() < self._day:
            return f"{found:%Y-%m-%d %H:%M}"
        return f"{found:%H:%M}"


def _is_done(entry: JsonValue) -> bool:
    return isinstance(entry, dict) and entry.get("status") == "completed"
