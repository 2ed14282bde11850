"""Single pieces of the protocol, read from raw JSON into events; keeps no state.

What is missing or of another type reads as empty; nothing here raises.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from crdtsync.schema import JsonObject, JsonValue

from .bounds import (
    ID_CHARS_MAX,
    INFO_CHARS_MAX,
    TERMINAL_CHARS_MAX,
    TITLE_CHARS_MAX,
    WORD_CHARS_MAX,
    clip_json,
    mend,
    read_object,
    read_text,
)
from .events import (
    TERMINAL_PHASES,
    AgentEvent,
    Info,
    PermissionOption,
    Phase,
    Plan,
    PlanEntry,
    Tool,
    Usage,
)

__all__ = ["ephemeral", "merge", "read_id", "read_options", "read_plan", "read_usage"]

OPTIONS_MAX: Final = 16
"""Answers of one question."""
PLAN_ENTRIES_MAX: Final = 200
"""Lines of a plan."""
COMMANDS_MAX: Final = 500
"""Slash commands of an agent."""
COMMAND_CHARS_MAX: Final = 100
"""Description of one of them."""

_PHASES: Final[dict[str, Phase]] = {
    "pending": "pending",
    "in_progress": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
_OF_A_TURN: Final = frozenset(
    {
        "",
        "agent_message_chunk",
        "agent_thought_chunk",
        "plan",
        "tool_call",
        "tool_call_update",
        "user_message_chunk",  # an echo, or history: the document has it already
    }
)


def ephemeral(update: JsonObject) -> list[AgentEvent]:
    """The events of an update that belong to no turn: usage, commands, modes, unknown.

    Empty for text, tools and plans, which nobody asked for outside a turn.
    """
    kind = read_text(update.get("sessionUpdate"), WORD_CHARS_MAX)
    if kind == "usage_update":
        return [read_usage(update)]
    if kind in _OF_A_TURN:
        return []
    data = {key: item for key, item in update.items() if key != "sessionUpdate"}
    if kind == "available_commands_update":
        data = {"commands": _commands(data.get("availableCommands"))}
    return [Info(kind, read_object(clip_json(data, INFO_CHARS_MAX)))]


def read_usage(value: JsonObject) -> Usage:
    """Usage in either shape: of an update, or of the response to a prompt."""
    cost = read_object(value.get("cost"))
    amount = cost.get("amount")
    return Usage(
        used=_count(value.get("used")),
        size=_count(value.get("size")),
        input=_count(value.get("inputTokens")),
        output=_count(value.get("outputTokens")),
        cost=float(amount) if isinstance(amount, int | float) else None,
        currency=read_text(cost.get("currency"), WORD_CHARS_MAX),
    )


def read_id(call: JsonObject) -> str:
    """The id of a tool call."""
    return read_text(call.get("toolCallId"), ID_CHARS_MAX)


def _count(value: JsonValue) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    bounded = clip_json(value)
    return int(bounded) if isinstance(bounded, int | float) else None


def merge(tool: Tool, update: JsonObject) -> Tool:
    """Lay an update over a tool; what the update does not say stays."""
    content, locations = update.get("content"), update.get("locations")
    raw_input, raw_output = update.get("rawInput"), update.get("rawOutput")
    meta = read_object(update.get("_meta"))
    return replace(
        tool,
        phase=_phase(tool.phase, update.get("status")),
        title=read_text(update.get("title"), TITLE_CHARS_MAX) or tool.title,
        kind=read_text(update.get("kind"), WORD_CHARS_MAX) or tool.kind,
        # Some agents announce a call with {} and tell its input later.
        input=clip_json(raw_input) if raw_input not in (None, {}) else tool.input,
        output=clip_json(raw_output) if raw_output is not None else tool.output,
        content=_content(tool, content) if isinstance(content, list) else tool.content,
        locations=_items(locations) if locations else tool.locations,
        terminal=(tool.terminal + _terminal(meta))[-TERMINAL_CHARS_MAX:],
        exit_code=_exit_code(meta, read_object(raw_output), tool.exit_code),
    )


def _phase(now: Phase, told: JsonValue) -> Phase:
    """The later of two phases; unknown words change nothing."""
    phase = _PHASES.get(told) if isinstance(told, str) else None
    if phase is None or now in TERMINAL_PHASES or phase == "pending":
        return now
    return phase


def _content(tool: Tool, told: JsonValue) -> tuple[JsonValue, ...]:
    """The new content, which replaces the old one, but for diffs.

    One agent shows the diff with its question, and "written" in its place afterwards;
    what people agreed to stays to be seen.
    """
    items = _items(told)
    if any(_is_diff(item) for item in items):
        return items
    return (*filter(_is_diff, tool.content), *items)


def _is_diff(item: JsonValue) -> bool:
    return isinstance(item, dict) and item.get("type") == "diff"


def _items(value: JsonValue) -> tuple[JsonValue, ...]:
    items = clip_json(value)
    return tuple(items) if isinstance(items, list) else ()


def _terminal(meta: JsonObject) -> str:
    """Output of a command, which two agents stream beside the protocol."""
    for name in ("terminal_output_delta", "terminal_output"):
        data = read_object(meta.get(name)).get("data")
        if isinstance(data, str):
            return mend(data)
    return ""


def _exit_code(meta: JsonObject, output: JsonObject, before: int | None) -> int | None:
    """Of a command; the protocol has no place for it, so each agent has its own."""
    told = (
        read_object(meta.get("terminal_exit")).get("exit_code"),
        read_object(output.get("metadata")).get("exit"),
        output.get("exit_code"),
    )
    codes = (code for code in map(_count, told) if code is not None)
    return next(codes, before)


def read_options(value: JsonValue) -> tuple[PermissionOption, ...]:
    """The answers an agent offers; an id must come back exactly as it was."""
    options = value if isinstance(value, list) else []
    return tuple(
        PermissionOption(
            id=read_text(option.get("optionId"), ID_CHARS_MAX),
            label=read_text(option.get("name"), TITLE_CHARS_MAX),
            kind=read_text(option.get("kind"), WORD_CHARS_MAX),
        )
        for option in map(read_object, options[:OPTIONS_MAX])
        if _short(option.get("optionId"))
    )


def _short(value: JsonValue) -> bool:
    return isinstance(value, str) and len(value) <= ID_CHARS_MAX


def read_plan(update: JsonObject) -> Plan:
    """A whole plan."""
    entries = update.get("entries")
    listed = entries[:PLAN_ENTRIES_MAX] if isinstance(entries, list) else []
    return Plan(
        tuple(
            PlanEntry(
                text=read_text(entry.get("content"), TITLE_CHARS_MAX),
                status=read_text(entry.get("status"), WORD_CHARS_MAX) or "pending",
                priority=read_text(entry.get("priority"), WORD_CHARS_MAX) or "medium",
            )
            for entry in map(read_object, listed)
        )
    )


def _commands(value: JsonValue) -> JsonValue:
    """Name and description of each command; the rest can be half a megabyte."""
    commands = value if isinstance(value, list) else []
    return [
        {
            "name": read_text(command.get("name"), WORD_CHARS_MAX),
            "description": read_text(command.get("description"), COMMAND_CHARS_MAX),
        }
        for command in map(read_object, commands[:COMMANDS_MAX])
    ]
