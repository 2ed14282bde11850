"""One turn's state: protocol updates in, events out; no process, no await.

It takes what an agent really sends, not what the protocol allows: unknown kinds,
missing starts, phases that go backwards, permissions for calls nobody has heard of.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

from crdtsync.schema import JsonObject

from .bounds import ID_CHARS_MAX, WORD_CHARS_MAX, mend, pieces, read_object, read_text
from .events import (
    TERMINAL_PHASES,
    AgentEvent,
    Permission,
    PermissionResolved,
    Phase,
    TextDelta,
    ThoughtDelta,
    Tool,
    TurnEnd,
    Usage,
)
from .reading import ephemeral, merge, read_id, read_options, read_plan, read_usage

__all__ = ["TurnState"]

TOOLS_MAX: Final = 2000
"""Tool calls of one turn; further ones are left out of the events."""
PERMISSIONS_MAX: Final = 32
"""Open questions of one turn; further ones are cancelled unseen."""


class TurnState:
    """Folds what an agent sends during one turn into events."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._seeds: dict[str, Tool] = {}
        self._open: dict[str, Permission] = {}
        self._rejected: set[str] = set()
        self._usage = Usage()
        self._carry = {"agent_message_chunk": "", "agent_thought_chunk": ""}

    def update(self, update: JsonObject) -> list[AgentEvent]:
        """Take one `session/update`; never raises, whatever it holds."""
        kind = update.get("sessionUpdate")
        match kind:
            case "agent_message_chunk" | "agent_thought_chunk":
                return self._chunk(kind, update)
            case "tool_call" | "tool_call_update":
                tool = self._tool(update)
                return [tool] if tool is not None else []
            case "plan":
                return [read_plan(update)]
            case "usage_update":
                return [self.use(read_usage(update))]
        return ephemeral(update)

    def use(self, told: Usage) -> Usage:
        """Lay a usage over what is known; agents tell it in two parts."""
        known = {
            each.name: value
            for each in fields(told)
            if (value := getattr(told, each.name)) not in (None, "")
        }
        self._usage = replace(self._usage, **known)
        return self._usage

    def ask(self, permission_id: str, params: JsonObject) -> list[AgentEvent]:
        """Take a permission request; empty if there are too many open ones."""
        if len(self._open) >= PERMISSIONS_MAX:
            return []
        call = read_object(params.get("toolCall"))
        call_id = read_id(call)
        events: list[AgentEvent] = []
        if call_id in self._tools:
            known = self._tool(call)
            tool = known if known is not None else self._tools[call_id]
            events.append(tool)
        else:
            # The call may be announced later, or never; it is no event until then.
            tool = merge(self._seeds.get(call_id, Tool(call_id)), call)
            self._seeds[call_id] = tool
        options = params.get("options")
        permission = Permission(permission_id, tool, read_options(options))
        self._open[permission_id] = permission
        return [*events, permission]

    def resolve(self, permission_id: str, option: str | None) -> bool:
        """Close a question; False if it is not open or has no such option."""
        permission = self._open.get(permission_id)
        if permission is None:
            return False
        chosen = [each for each in permission.options if each.id == option]
        if option is not None and not chosen:
            return False
        del self._open[permission_id]
        if not chosen or not chosen[0].kind.startswith("allow"):
            self._rejected.add(permission.tool.id)
        return True

    def open_permissions(self) -> tuple[str, ...]:
        """Ids of the questions that wait for an answer."""
        return tuple(self._open)

    def end(self, stop: str, error: str | None) -> list[AgentEvent]:
        """Close everything that is open, and the turn."""
        events: list[AgentEvent] = []
        for kind in self._carry:
            events += self._flush(kind)
        for permission_id in self.open_permissions():
            self.resolve(permission_id, None)
            events.append(PermissionResolved(permission_id, None))
        for tool in list(self._tools.values()):
            if tool.phase not in TERMINAL_PHASES:
                given_up = stop == "cancelled" or tool.id in self._rejected
                phase: Phase = "cancelled" if given_up else "failed"
                self._tools[tool.id] = replace(tool, phase=phase)
                events.append(self._tools[tool.id])
        stop = read_text(stop, WORD_CHARS_MAX) or "end_turn"
        return [*events, TurnEnd(stop, error)]

    def _chunk(self, kind: str, update: JsonObject) -> list[AgentEvent]:
        content = read_object(update.get("content"))
        what = read_text(content.get("type"), WORD_CHARS_MAX)
        text = content.get("text") if what == "text" else f"[{what}]"
        if not isinstance(text, str) or not what:
            return []
        text = self._carry[kind] + text
        # Some agents cut their text between the two halves of one character.
        split = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        self._carry[kind] = split
        text = mend(text[: len(text) - len(split)])
        message = read_text(update.get("messageId"), ID_CHARS_MAX)
        if kind == "agent_thought_chunk":
            return [ThoughtDelta(piece, message) for piece in pieces(text)]
        return [TextDelta(piece, message) for piece in pieces(text)]

    def _flush(self, kind: str) -> list[AgentEvent]:
        left, self._carry[kind] = mend(self._carry[kind]), ""
        if not left:
            return []
        thought = kind == "agent_thought_chunk"
        return [ThoughtDelta(left) if thought else TextDelta(left)]

    def _tool(self, update: JsonObject) -> Tool | None:
        call_id = read_id(update)
        known = self._tools.get(call_id)
        if known is None:
            if not call_id or len(self._tools) >= TOOLS_MAX:
                return None
            known = self._seeds.pop(call_id, Tool(call_id))
        self._tools[call_id] = merge(known, update)
        return self._tools[call_id]
