"""What tools of a session got and printed, as lines; it runs none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from crdtsync.entities import ToolCall
from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line, clean_text
from crdtsync.schema import JsonValue, plain
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.words import duration, plural, tool_name

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["output_lines", "tool_id", "tool_text", "turn_called", "written"]

_MARKS: Final = {
    "pending": "waiting",
    "in_progress": "running",
    "completed": "ok",
    "failed": "FAILED",
}


OBJECT_CHARS_MAX: Final = 256 * 1024
"""A longer output is shown as it is."""


def output_lines(session: Session, wanted: str, rows_max: int = 0) -> list[str]:
    """What tools got and printed.

    Args:
        session: Open.
        wanted: "3.2" for the second tool of turn 3, "3" for all of them, "last" for
            the last tool that printed something.
        rows_max: Of what was printed only the last rows; 0 for all.

    Raises:
        UsageError: There is no such turn or tool.
    """
    tools = _wanted(session, wanted)
    found: list[str] = []
    for tool in tools:
        found += [_tool_line(session, tool), *_input(tool)]
        printed = [f"  {row}" for row in clean_text(_said(tool)).splitlines()]
        if rows_max and len(printed) > rows_max:
            more = len(printed) - rows_max
            name = tool_id(session, tool)
            head = f"  ... {plural(more, 'earlier row')}: /activity {name}"
            printed = [head, *printed[-rows_max:]]
        found += printed or ["  (it printed nothing)"]
    return found


def tool_id(session: Session, tool: ToolCall) -> str:
    """How a tool call is called by people, the same in every window: "3.2"."""
    keys = [known.key for known in session.view.tools_of(tool.turn)]
    place = keys.index(tool.key) + 1 if tool.key in keys else 0
    return f"{SessionScene(session).turn_number(tool.turn)}.{place}"


def tool_text(tool: ToolCall) -> str:
    """A tool call in words: title, how it ended, how long it took."""
    words = [clean_line(tool.title or tool.kind), _MARKS.get(tool.phase, tool.phase)]
    words.append(duration(tool.started_at, tool.ended_at))
    if tool.exit_code is not None:
        words.append(f"exit {tool.exit_code}")
    return "  ".join(clean_line(word) for word in words if word)


def written(value: JsonValue) -> str:
    """What an agent passed to a tool, as people read it: a line per field."""
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    lines = []
    for key, item in value.items():
        text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
        lines.append(f"{key}: {text}")
    return "\n".join(lines)


def _said(tool: ToolCall) -> str:
    """What a tool printed, without the object that some agents wrap it in."""
    output = tool.output.strip()
    if not output.startswith("{") or len(output) > OBJECT_CHARS_MAX:
        return tool.output
    try:
        found = plain(json.loads(output))
    except (ValueError, RecursionError):
        return tool.output
    match found:
        case {"text": str(text), **more} | {"output": str(text), **more} if not more:
            return text
    return tool.output


def _wanted(session: Session, wanted: str) -> list[ToolCall]:
    view = session.view
    if wanted == "last":
        printed = [tool for tool in view.tools.values() if tool.output]
        if not printed:
            raise UsageError("no tool has printed anything yet")
        return [max(printed, key=lambda tool: (tool.started_at, tool.key))]
    number, _, place = wanted.partition(".")
    turn = turn_called(session, number)
    tools = view.tools_of(turn) if turn else []
    if place:
        at = int(place[:9]) if place.isascii() and place.isdigit() else 0
        tools = tools[at - 1 : at] if at else []
    if not tools:
        raise UsageError(
            f"there is no tool {clean_line(wanted)}", hint="/activity lists them."
        )
    return tools


def turn_called(session: Session, number: str) -> str:
    """The id of the turn with this number; "" if there is none."""
    if not (number.isascii() and number.isdigit()):
        return ""
    view = session.view
    order = [turn for turn in view.reading.order if not view.turns[turn].void]
    at = int(number[:9])
    return order[at - 1] if 1 <= at <= len(order) else ""


def _tool_line(session: Session, tool: ToolCall) -> str:
    words = [tool_id(session, tool), tool_name(tool.kind), tool_text(tool)]
    return "  ".join(clean_line(word) for word in words if word)


def _input(tool: ToolCall) -> list[str]:
    """What the agent passed to the tool, unless its title says as much."""
    text = clean_text(written(tool.input))
    if not text or clean_line(text) == clean_line(tool.title):
        return []
    return [f"  > {row}" for row in text.splitlines()]
