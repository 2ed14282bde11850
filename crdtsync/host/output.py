"""Writes what an agent says into the document, coalesced (D-4); it prompts nobody.

Text is appended at most once per `FLUSH_S`, the first piece of a message at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from crdtsync import schema
from crdtsync.agents import Plan, TextDelta, ThoughtDelta, Tool, Usage
from crdtsync.document import Edit
from crdtsync.entities import Message
from crdtsync.errors import LogUnwritable
from crdtsync.log import Holding, LeaseRefused
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.session import Session

FLUSH_S = 0.04
"""Pause between two appends to the document: 25 a second are smooth to the eye."""

OUTPUT_CHARS_MAX = 256 * 1024
"""What is kept of one tool call's output; the rest is counted."""

OVERLAP_CHARS = 512
"""Where an agent keeps only the end of an output, so much of it is looked for again."""

USAGE_S = 1.0
"""Usage is written at most so often while the turn runs."""

OUTPUT_KEYS = ("output", "formatted_output", "stdout", "error")
"""Where agents put the text of a tool's output, if the output is an object."""

LEFT_OUT = "\n[the rest is left out]\n"


@dataclass(slots=True)
class _Body:
    """The streamed message that is being written."""

    id: str
    role: str
    agent_message: str
    waiting: list[str] = field(default_factory=list)
    made: bool = False


class Output:
    """The document's side of one turn.

    Args:
        session: Where to write.
        turn: The turn's id.
        author: Participant id of the agent.
        holding: What to show at the door; None once the lease is lost.
        may_write: Asked before each append; if it says no, nothing more is written.
        refused: Called when the door refused an append.
    """

    def __init__(
        self,
        session: Session,
        turn: str,
        author: str,
        *,
        holding: Callable[[], Holding | None],
        may_write: Callable[[], bool],
        refused: Callable[[], None],
    ) -> None:
        self._session = session
        self._turn = turn
        self._author = author
        self._holding = holding
        self._may_write = may_write
        self._refused = refused
        self._body: _Body | None = None
        self._bodies: list[_Body] = []
        self._tools: dict[str, Tool] = {}
        self._begun: dict[str, JsonObject] = {}
        self._written: dict[str, JsonObject] = {}
        self._printed: dict[str, _Printed] = {}
        self._plan: Plan | None = None
        self.usage: JsonObject = {}
        self._usage_due_s = 0.0
        self._usage_dirty = False
        self._wake = anyio.Event()
        self._last_message = ""

    def take(self, event: TextDelta | ThoughtDelta | Tool | Plan | Usage) -> None:
        """Note an event of the agent; `flush_forever` writes it."""
        match event:
            case TextDelta(text, message):
                self._add_text(schema.ASSISTANT, text, message)
            case ThoughtDelta(text, message):
                self._add_text(schema.THOUGHT, text, message)
            case Tool():
                self._tools[event.id] = event
                self._begin_tool(event)
            case Plan():
                self._plan = event
            case Usage():
                self._note_usage(event)
        self._wake.set()

    def _add_text(self, role: str, text: str, message: str) -> None:
        body = self._body
        if body is None or (body.role, body.agent_message) != (role, message):
            body = self._body = _Body(self._session.new_id(), role, message)
            self._last_message = body.id
        if not body.waiting:
            self._bodies.append(body)
        body.waiting.append(text)

    def _begin_tool(self, tool: Tool) -> None:
        """Note after which message it came; the text after it is another one."""
        self._body = None
        if tool.id not in self._begun:
            self._begun[tool.id] = {
                "message": self._last_message,
                "started_at": self._session.now(),
            }

    def _note_usage(self, usage: Usage) -> None:
        for name in ("used", "size", "input", "output", "cost", "currency"):
            value = getattr(usage, name)
            if value not in (None, ""):
                self.usage[name] = value
        self._usage_dirty = True

    async def flush_forever(self) -> None:
        """Write what comes in, in steps of `FLUSH_S`; cancel it when the turn ends."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await self.flush()
            await anyio.sleep(FLUSH_S)

    async def flush(self) -> None:
        """Write what waits, in one transaction, and wait until it is on disk.

        What the disk does not take is kept, here or in the document, and comes later.
        """
        if not self._anything() or not self._may_write():
            return
        with suppress(LogUnwritable):
            with self._session.replica.edit(self._holding()) as (edit, ticket):
                self._write(edit)
            try:
                await ticket.wait()
            except LeaseRefused:
                self._refused()
        if self._anything():
            self._wake.set()

    def _anything(self) -> bool:
        return bool(
            self._bodies or self._tools or self._plan is not None or self._usage_dirty
        )

    def _write(self, edit: Edit) -> None:
        for body in self._bodies:
            self._write_body(edit, body)
        self._bodies.clear()
        for tool in self._tools.values():
            self._write_tool(edit, tool)
        self._tools.clear()
        if self._plan is not None:
            plan: list[JsonValue] = [
                {"text": e.text, "status": e.status, "priority": e.priority}
                for e in self._plan.entries
            ]
            edit.set_turn(self._turn, {"plan": plan})
            self._plan = None
        now = self._session.place.clock.boottime()
        if self._usage_dirty and now >= self._usage_due_s:
            edit.set_turn(self._turn, {"usage": dict(self.usage)})
            self._usage_due_s = now + USAGE_S
        self._usage_dirty = False

    def _write_body(self, edit: Edit, body: _Body) -> None:
        if not body.made:
            edit.add_message(
                Message(
                    id=body.id,
                    role=body.role,
                    author=self._author,
                    at=self._session.now(),
                    turn=self._turn,
                )
            )
            body.made = True
        edit.append_text(body.id, "".join(body.waiting))
        body.waiting.clear()

    def _write_tool(self, edit: Edit, tool: Tool) -> None:
        key = f"{self._turn}/{tool.id}"
        before = self._written.get(key, {})
        after = self._fields(tool, before)
        changed = {name: v for name, v in after.items() if before.get(name) != v}
        edit.set_tool(key, changed)
        self._written[key] = after
        self._write_printed(edit, key, tool)

    def _fields(self, tool: Tool, before: JsonObject) -> JsonObject:
        fields: JsonObject = {
            **self._begun[tool.id],
            "title": tool.title,
            "kind": tool.kind,
            "phase": tool.phase,
        }
        if tool.input is not None:
            fields["input"] = tool.input
        if tool.locations:
            fields["locations"] = list(tool.locations)
        if tool.content:
            fields["content"] = list(tool.content)
        if tool.exit_code is not None:
            fields["exit_code"] = tool.exit_code
        if tool.phase in schema.TERMINAL_PHASES:
            fields["ended_at"] = before.get("ended_at") or self._session.now()
        return fields

    def _write_printed(self, edit: Edit, key: str, tool: Tool) -> None:
        """Append what the tool printed since the last time."""
        printed = self._printed.setdefault(key, _Printed())
        added = printed.added(_text_of(tool))
        if added:
            edit.append_output(key, added)


@dataclass(slots=True)
class _Printed:
    """How much of a tool's output is in the document.

    Attributes:
        last: The text as the agent told it last.
        chars: How much was written, up to `OUTPUT_CHARS_MAX`.
    """

    last: str = ""
    chars: int = 0

    def added(self, text: str) -> str:
        """What is to be appended; a text that was replaced starts anew."""
        new = _since(self.last, text)
        self.last = text
        room = OUTPUT_CHARS_MAX - self.chars
        if room <= 0 or not new:
            return ""
        self.chars += len(new)
        return new if len(new) <= room else new[:room] + LEFT_OUT


def _since(before: str, text: str) -> str:
    """What of a text is new, if its beginning may have been dropped meanwhile."""
    if text.startswith(before):
        return text[len(before) :]
    known = before[-OVERLAP_CHARS:]
    at = text.rfind(known)
    return text[at + len(known) :] if at >= 0 else f"\n{text}"


def _text_of(tool: Tool) -> str:
    """What a tool printed or returned, as text."""
    if tool.terminal or tool.output is None:
        return tool.terminal
    if isinstance(tool.output, str):
        return tool.output
    if isinstance(tool.output, dict):
        texts = (tool.output.get(key) for key in OUTPUT_KEYS)
        if (text := next((t for t in texts if isinstance(t, str)), None)) is not None:
            return text
    return json.dumps(tool.output, ensure_ascii=False, indent=2)
