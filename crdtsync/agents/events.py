"""What an agent says during a turn, as types; no process, no protocol, no clock.

Text is as the agent sent it, except that it is bounded and valid Unicode: control
characters are still in it, and are removed by whoever shows it (X-2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdtsync.schema import JsonValue

__all__ = [
    "TERMINAL_PHASES",
    "AgentEvent",
    "Info",
    "Permission",
    "PermissionOption",
    "PermissionResolved",
    "Phase",
    "Plan",
    "PlanEntry",
    "TextDelta",
    "ThoughtDelta",
    "Tool",
    "TurnEnd",
    "Usage",
]

Phase = Literal["pending", "in_progress", "completed", "failed", "cancelled"]
"""Where a tool call is; the last three are terminal and are never left."""

TERMINAL_PHASES: frozenset[Phase] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer; never empty.

    Attributes:
        text: At most `TEXT_CHARS_MAX` characters; longer pieces come as several.
        message: The agent's id of the message, "" if it gives none. A new id, or a
            tool or a thought in between, starts a new message.
    """

    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    """The next piece of the agent's thinking; as `TextDelta`."""

    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool call: always its whole merged state, to be stored by `id`.

    Attributes:
        id: Unique within the turn only.
        phase: Never leaves a terminal phase, never goes back.
        kind: read, edit, delete, move, search, execute, think, fetch, switch_mode,
            other, or a word unknown today.
        input: The arguments; None if not told yet.
        output: The raw result; None if none was told.
        content: Content blocks of the protocol: {"type": "content" | "diff" |
            "terminal", ...}; each update replaces the whole list.
        locations: {"path": ..., "line": ...} each.
        terminal: Output of a command, where the agent streams it; the tail is kept.
        exit_code: Of a command; None if unknown.
    """

    id: str
    phase: Phase = "pending"
    title: str = ""
    kind: str = "other"
    input: JsonValue = None
    output: JsonValue = None
    content: tuple[JsonValue, ...] = ()
    locations: tuple[JsonValue, ...] = ()
    terminal: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One line of a plan; status is pending, in_progress or completed."""

    text: str
    status: str = "pending"
    priority: str = "medium"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole plan; replaces the one before."""

    entries: tuple[PlanEntry, ...]


@dataclass(frozen=True, slots=True)
class PermissionOption:
    """One possible answer.

    Attributes:
        id: The agent's name for it; means nothing, decide by `kind`.
        label: For people.
        kind: allow_once, allow_always, reject_once, reject_always, or unknown. Agents
            keep the `always` kinds beyond the session.
    """

    id: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Permission:
    """The agent waits for an answer: `Agent.resolve(id, option_id)`.

    Attributes:
        id: Unique within the agent's process.
        tool: What it wants to do. A snapshot: the call may be unknown, and its id may
            never come again.
        options: In the agent's order.
    """

    id: str
    tool: Tool
    options: tuple[PermissionOption, ...]


@dataclass(frozen=True, slots=True)
class PermissionResolved:
    """The question is closed; `option` is None if it was cancelled."""

    id: str
    option: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What the turn has used so far; None where the agent does not say.

    Attributes:
        used: Tokens in the context window.
        size: Tokens the context window holds.
        input: Tokens read in this turn.
        output: Tokens written in this turn.
        cost: In `currency`, of the agent's whole session.
        currency: ISO 4217 code, or "".
    """

    used: int | None = None
    size: int | None = None
    input: int | None = None
    output: int | None = None
    cost: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """Something ephemeral, for presence only: commands, modes, a title, or unknown.

    Attributes:
        kind: The protocol's word for it, such as "available_commands_update".
        data: Bounded; may be clipped.
    """

    kind: str
    data: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The last event of every turn, exactly once.

    Attributes:
        stop: end_turn, max_tokens, max_turn_requests, refusal, cancelled, error, or a
            word of the agent's that is unknown today.
        error: For people, None if nothing went wrong: the reason, and for a dead
            process its exit code and the tail of its stderr.
    """

    stop: str
    error: str | None = None


AgentEvent: TypeAlias = (
    TextDelta
    | ThoughtDelta
    | Tool
    | Plan
    | Permission
    | PermissionResolved
    | Usage
    | Info
    | TurnEnd
)
