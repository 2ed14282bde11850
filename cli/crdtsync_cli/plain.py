"""Session events as plain text lines, whole and without any escape; it writes nothing.

One formatter per output: it remembers which answers and tools are half shown. All text
from outside passes `sanitize` here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    AssistantDelta,
    AssistantMessage,
    ConnectionChanged,
    Failure,
    LeaseChanged,
    Merged,
    MessageAdded,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    PlanChanged,
    PresenceChanged,
    QueueChanged,
    Reset,
    SessionClosed,
    SessionEvent,
    SessionOpened,
    ThoughtDelta,
    TitleChanged,
    ToolChanged,
    TurnEnded,
    TurnStarted,
    TypingChanged,
    UsageChanged,
)
from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.blocks import Blocks
from crdtsync_cli.words import (
    REFUSED_HINT,
    Scene,
    answer_hint,
    decided,
    duration,
    excerpt,
    outcome,
    plan_lines,
    prefixed,
    took_s,
    tool_name,
)

__all__ = ["Plain"]

_ENDS: Final = {"completed": "ok", "failed": "FAILED", "cancelled": "cancelled"}
_STANDINGS: Final = {
    "parallel": "(ran apart) ",
    "stale": "(late) ",
    "late": "(late) ",
    "detached": "(late) ",
}
_BAD_READINGS: Final = {
    "parallel": ", ran apart",
    "stale": ", late: its lease was lost",
}


class Plain:
    """Turns the events of one session into lines.

    Args:
        scene: Knows names and messages; asked while an event is formatted.
        zone: The time zone of the times; the machine's if None.
    """

    def __init__(self, scene: Scene, *, zone: tzinfo | None = None) -> None:
        self._scene = scene
        self._zone = zone
        self._answers: dict[str, Blocks] = {}
        self._tools: set[str] = set()
        self._started: dict[str, datetime] = {}
        self._waiting: tuple[str, ...] = ()

    def lines(self, event: SessionEvent) -> list[str]:
        """Format one event; empty for what plain text does not show."""
        stamp = f"[{event.at.astimezone(self._zone):%H:%M:%S}] "
        return [stamp + line for line in self._body(event)]

    def shown(self, message: str, text: str) -> None:
        """Note that a streamed message was shown up to here by other means."""
        self._answers[message] = Blocks(taken=len(text))

    def history(self, message: Message, text: str) -> list[str]:
        """Format a message of the past at the time it was written."""
        try:
            at = datetime.fromisoformat(message.at).astimezone(self._zone)
            stamp = f"[{at:%H:%M:%S}] "
        except ValueError:
            stamp = "[--:--:--] "
        return [stamp + line for line in self._message(message, text)]

    def _body(self, event: SessionEvent) -> list[str]:
        match event.body:
            case MessageAdded(message=message):
                found = self._message(message, message.text)
            case AssistantDelta(message=identity, text=text):
                found = self._delta(identity, text)
            case AssistantMessage(message=message, text=text):
                found = self._answered(message, text)
            case ToolChanged(tool=tool):
                found = self._tool(tool)
            case ApprovalRequested() | ApprovalResolved() as body:
                found = self._approval(body)
            case TurnStarted() | TurnEnded() | PlanChanged() | QueueChanged():
                found = self._turn(event)
            case _:
                found = self._around(event)
        return found

    def _message(self, message: Message, text: str) -> list[str]:
        name = clean_line(self._scene.name_of(message.author)) or "?"
        match message.role:
            case "system":
                return [f"-- {name} {line}" for line in clean_text(text).splitlines()]
            case "note":
                prefix = f"<{name}> (note) "
            case "thought":
                prefix = f"<{name}> (thinking) "
            case _:
                prefix = f"<{name}> "
        if message.role not in {"user", "agent", "assistant", "note", "thought"}:
            prefix += f"[{clean_line(message.role)}] "
        prefix += _STANDINGS.get(self._scene.standing(message), "")
        return prefixed(prefix, text)

    def _delta(self, message: str, text: str) -> list[str]:
        blocks = self._answers.setdefault(message, Blocks())
        header = self._scene.message(message)
        found = []
        for block in blocks.feed(text):
            shown = header or Message(message, "assistant", "", "")
            found += self._message(shown, block)
        return found

    def _answered(self, message: Message, text: str) -> list[str]:
        blocks = self._answers.pop(message.id, None)
        rest = text if blocks is None else blocks.rest(text)
        return self._message(message, rest) if rest.strip() else []

    def _tool(self, tool: ToolCall) -> list[str]:
        name = clean_line(tool_name(tool.kind))
        title = clean_line(tool.title) or name
        if tool.open:
            if tool.key in self._tools:
                return []
            self._tools.add(tool.key)
            return [f"[{name}] start {title}"]
        alone = self._tools == {tool.key}
        self._tools.discard(tool.key)
        words = [f"[{name}]", _ENDS.get(tool.phase, tool.phase)]
        if not alone:
            words.append(title)
        words.append(duration(tool.started_at, tool.ended_at))
        if tool.exit_code is not None:
            words.append(f"exit {tool.exit_code}")
        return [" ".join(word for word in words if word)]

    def _turn(self, event: SessionEvent) -> list[str]:
        match event.body:
            case TurnStarted(turn=turn, prompts=prompts):
                self._started[turn] = event.at
                return [f"-- turn {self._number(turn)} started{self._by(prompts)}"]
            case TurnEnded(turn=turn):
                return self._turn_end(event.body, event.at)
            case PlanChanged(entries=entries):
                return [f"-- plan: {line}" for line in plan_lines(entries)]
            case QueueChanged(pending=pending):
                waiting = tuple(p.prompt for p in pending)
                held = [p for p in pending if p.held]
                if waiting == self._waiting or not (held or self._started):
                    return []
                self._waiting = waiting
                listed = [
                    f"{p.position}{' (held)' if p.held else ''} {self._said(p.prompt)}"
                    for p in pending
                ]
                return [f"-- waiting: {', '.join(listed)}"] if listed else []
        return []

    def _turn_end(self, ended: TurnEnded, at: datetime) -> list[str]:
        began = self._started.pop(ended.turn, None)
        words = outcome(ended)
        if began is not None and ended.state == "ended":
            words += f" {took_s(ended, began, at):.0f}s"
        words += _BAD_READINGS.get(ended.reading, "")
        found = [f"-- turn {self._number(ended.turn)} {words}"]
        if ended.error:
            found += prefixed("-- error: ", ended.error)
        return found

    def _approval(self, body: ApprovalRequested | ApprovalResolved) -> list[str]:
        approval = body.approval
        title = clean_line(approval.title)
        if isinstance(body, ApprovalRequested):
            return [
                f"!! permission {approval.number}: {title} "
                f"(answer: {answer_hint(approval)})"
            ]
        verdict = decided(approval, self._scene)
        return [f"!! permission {approval.number} {verdict}: {title}"]

    def _around(self, event: SessionEvent) -> list[str]:
        who = clean_line(event.actor.name) if event.actor else "somebody"
        match event.body:
            case SessionOpened(name=name, title=title, messages=messages):
                named = f" {excerpt(title)}" if title not in {"", name} else ""
                said = f"session {clean_line(name)}{named}, {messages} messages"
            case SessionClosed(reason=reason):
                said = f"closed: {clean_line(reason)}" if reason else "closed"
            case ParticipantJoined(here=here):
                said = f"{who} joined, {here} here"
            case ParticipantLeft(here=here):
                said = f"{who} left, {here} here"
            case TitleChanged(title=title):
                said = f"title: {clean_line(title)}"
            case Merged(messages=messages, authors=authors):
                names = ", ".join(clean_line(self._scene.name_of(a)) for a in authors)
                said = f"{len(messages)} messages written apart by {names} joined"
            case Reset(reason=reason, messages=messages):
                said = f"history read anew ({reason}), {messages} messages"
            case _:
                return _told(event.body)
        return [f"-- {said}"]

    def _number(self, turn: str) -> int:
        return self._scene.turn_number(turn)

    def _by(self, prompts: Sequence[str]) -> str:
        found = self._scene.message(prompts[0]) if prompts else None
        name = clean_line(self._scene.name_of(found.author)) if found else ""
        return f" by {name}" if name else ""

    def _said(self, prompt: str) -> str:
        found = self._scene.message(prompt)
        if found is None:
            return "?"
        name = clean_line(self._scene.name_of(found.author))
        return f"{name} {excerpt(found.text)}"


def _told(body: object) -> list[str]:
    match body:
        case ConnectionChanged(link=link, state=state, reason=reason):
            why = f": {clean_line(reason)}" if reason else ""
            line = f"-- link {clean_line(link)} {clean_line(state)}{why}"
            return [line, f"-- {REFUSED_HINT}"] if state == "refused" else [line]
        case Notice(text=text):
            return prefixed("-- ", text)
        case Failure(text=text, hint=hint):
            return prefixed("-- error: ", f"{text}. {hint}" if hint else text)
        case (
            PresenceChanged()
            | TypingChanged()
            | ThoughtDelta()
            | UsageChanged()
            | LeaseChanged()
        ):
            return []
    return []
