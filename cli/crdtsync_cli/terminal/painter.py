"""What a window on a screen prints for an event; keeps what is still being written.

A finished thing is printed once, above; what can still change is in `live`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    AssistantDelta,
    AssistantMessage,
    Failure,
    Merged,
    MessageAdded,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    Reset,
    SessionEvent,
    SessionOpened,
    TitleChanged,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from crdtsync.sanitize import clean_line
from crdtsync_cli.actions import HISTORY
from crdtsync_cli.blocks import Blocks
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.terminal.ink import PALETTE, Ink
from crdtsync_cli.words import answer_hint, decided, duration, excerpt, outcome

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Painter"]

_MARKS: Final = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("-", "yellow"),
}
_DIM: Final = "bright_black"


class Painter:
    """Paints one session's events.

    Args:
        session: The open session.
        ink: Makes the lines.
    """

    def __init__(self, session: Session, ink: Ink) -> None:
        self._session = session
        self._scene = SessionScene(session)
        self._ink = ink
        self._answers: dict[str, Blocks] = {}
        self._answering = ""
        self._headed = ("", "")
        self._width = 80

    @property
    def live(self) -> str:
        """The part of the answer that is being written and not printed yet."""
        blocks = self._answers.get(self._answering)
        return blocks.tail if blocks is not None else ""

    def paint(self, event: SessionEvent, width: int) -> str:
        """The lines to print above for one event; "" for none."""
        self._width = width
        at = f"{event.at.astimezone():%H:%M}"
        match event.body:
            case MessageAdded(message=message):
                return self._said(message, message.text)
            case AssistantDelta(message=message, text=text):
                return self._delta(message, text, at)
            case AssistantMessage(message=message, text=text):
                return self._finish(message, text, at)
            case ToolChanged(tool=tool):
                return "" if tool.open else self._tool(tool)
            case SessionOpened() | Reset():
                return self._so_far(event.body)
            case body:
                lines = [*self._around(event), *self._turn(body)]
                return "".join(self._ink.line(t, style, width) for t, style in lines)

    def reply(self, lines: Sequence[str], width: int) -> str:
        """What a slash command answers."""
        return "".join(self._ink.line(f"  {line}", "", width) for line in lines)

    def error(self, text: str, hint: str, width: int) -> str:
        """What went wrong with what was typed."""
        shown = self._ink.line(f"✗ {text}", "red", width)
        return shown + (self._ink.line(f"  {hint}", _DIM, width) if hint else "")

    def _said(self, message: Message, text: str) -> str:
        at = _time(message.at)
        if message.role == "system":
            name = clean_line(self._scene.name_of(message.author))
            return self._ink.line(f"{at} -- {name} {text} --", _DIM, self._width)
        if message.streamed:
            return self._head(message, at) + self._markdown(message, text)
        name = self._scene.name_of(message.author)
        note = " (note)" if message.role == "note" else ""
        self._headed = ("", "")
        return self._ink.said(
            at, name + note, self._style(message.author), text, self._width
        )

    def _head(self, message: Message, at: str) -> str:
        """The line above an answer; once for what a turn says in one voice."""
        before, self._headed = self._headed, (message.turn, message.role)
        if message.turn and before == self._headed:
            return ""
        name = self._scene.name_of(message.author)
        if message.role == "thought":
            name += " (thinking)"
        return self._ink.head(at, name, "bold", self._width)

    def _markdown(self, message: Message, text: str) -> str:
        if message.role == "thought":
            return self._ink.line(text.strip("\n"), f"italic {_DIM}", self._width)
        return self._ink.markdown(text, self._width)

    def _delta(self, message: str, text: str, at: str) -> str:
        known = message in self._answers
        blocks = self._answers.setdefault(message, Blocks())
        self._answering = message
        header = self._scene.message(message) or Message(message, "assistant", "", "")
        shown = "" if known else self._head(header, at)
        for block in blocks.feed(text):
            shown += self._markdown(header, block) + "\n"
        return shown

    def _finish(self, message: Message, text: str, at: str) -> str:
        blocks = self._answers.pop(message.id, None)
        if blocks is None:
            return self._head(message, at) + self._markdown(message, text) + "\n"
        rest = blocks.rest(text)
        return self._markdown(message, rest) + "\n" if rest.strip() else ""

    def _tool(self, tool: ToolCall) -> str:
        mark, style = _MARKS.get(tool.phase, ("?", ""))
        code = f"exit {tool.exit_code}" if tool.exit_code is not None else ""
        words = (clean_line(tool.title or tool.kind), code)
        took = duration(tool.started_at, tool.ended_at)
        text = "  ".join(word for word in (*words, took) if word)
        return self._ink.line(f"  {mark} {text}", style, self._width)

    def _turn(self, body: object) -> list[tuple[str, str]]:
        match body:
            case TurnStarted(turn=turn, agent=agent):
                number = self._scene.turn_number(turn)
                return [(f"── turn {number} · {clean_line(agent)} ──", _DIM)]
            case TurnEnded(turn=turn, error=error) as ended:
                number = self._scene.turn_number(turn)
                good = (ended.state, ended.stop_reason) == ("ended", "end_turn")
                lines = [
                    (f"── turn {number} {outcome(ended)} ──", _DIM if good else "")
                ]
                return [*lines, *([(f"✗ {clean_line(error)}", "red")] * bool(error))]
            case ApprovalRequested(approval=approval):
                title = clean_line(approval.title)
                text = f"!! permission {approval.number}: {title}"
                return [(f"{text}  ({answer_hint(approval)})", "bold yellow")]
            case ApprovalResolved(approval=approval):
                how = decided(approval, self._scene)
                return [(f"!! permission {approval.number} {how}", "yellow")]
        return []

    def _around(self, event: SessionEvent) -> list[tuple[str, str]]:
        who = clean_line(event.actor.name) if event.actor else "somebody"
        match event.body:
            case ParticipantJoined(here=here):
                found = (f"── {who} joined, {here} here ──", _DIM)
            case ParticipantLeft(here=here):
                found = (f"── {who} left, {here} here ──", _DIM)
            case TitleChanged(title=title):
                found = (f"── title: {clean_line(title)} ──", _DIM)
            case Merged(messages=messages):
                found = (f"── {len(messages)} messages written apart joined ──", _DIM)
            case Notice(text=text):
                found = (clean_line(text), _DIM)
            case Failure(text=text, hint=hint):
                found = (f"✗ {clean_line(text)}  {clean_line(hint)}", "red")
            case _:
                return []
        return [found]

    def _so_far(self, body: SessionOpened | Reset) -> str:
        view = self._session.view
        self._answers.clear()
        earlier = view.message_count - HISTORY
        title = self._title(body)
        shown = self._ink.line(f"── {title} ──", _DIM, self._width)
        if earlier > 0:
            text = f"── {earlier} earlier · /history {view.message_count} ──"
            shown += self._ink.line(text, _DIM, self._width)
        running = view.running.id if view.running is not None else ""
        for message in view.tail(HISTORY):
            text = view.text(message.id)
            if message.streamed and message.turn == running:
                shown += self._delta(message.id, text, _time(message.at))
            else:
                shown += self._said(message, text)
        return shown

    def _title(self, body: SessionOpened | Reset) -> str:
        if isinstance(body, Reset):
            return "read anew"
        named = f" {excerpt(body.title)}" if body.title not in {"", body.name} else ""
        return f"session {clean_line(body.name)}{named} · /help"

    def _style(self, participant: str) -> str:
        found = self._session.view.participants.get(participant)
        if found is None or found.kind == "agent":
            return "bold"
        color = PALETTE[found.slot % len(PALETTE)]
        return f"bold {color}" if participant == self._session.me.id else color


def _time(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at).astimezone():%H:%M}"
    except ValueError:
        return "--:--"
