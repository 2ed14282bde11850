"""What was done in a session, one line each, and what tools printed; it does nothing.

What the document keeps is read from it, however old; of the rest, such as who came and
went, a window remembers the last 100.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from crdtsync.entities import ToolCall
from crdtsync.errors import UsageError
from crdtsync.events import (
    ConnectionChanged,
    Failure,
    Merged,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    SessionEvent,
    TitleChanged,
)
from crdtsync.sanitize import clean_line, clean_text
from crdtsync.schema import JsonValue
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.words import columns, decided, duration, excerpt, plural, tool_name

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = [
    "KEPT_MAX",
    "Activity",
    "Deed",
    "activity_lines",
    "asker",
    "output_lines",
    "tool_id",
    "written",
]

KEPT_MAX: Final = 100
"""What the document does not keep, a window remembers so far back."""

SHOWN_MAX: Final = 30
"""So many are shown, the last ones."""

_MARKS: Final = {"completed": "ok", "failed": "FAILED", "cancelled": "cancelled"}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done.

    Attributes:
        at: When, for people.
        id: By which `/activity` shows more of it, such as "3.2"; "" for none.
        who: Id of whom it is put down to: for a tool, who asked for its turn.
        kind: A tool's kind, or "turn", "permission", "people", "note".
        text: In words, one line.
    """

    at: datetime
    id: str
    who: str
    kind: str
    text: str


class Activity:
    """What a window has noticed that the document does not keep."""

    def __init__(self) -> None:
        self._kept: deque[Deed] = deque(maxlen=KEPT_MAX)

    def note(self, event: SessionEvent) -> None:
        """Remember an event, if it is worth it."""
        found = _noticed(event)
        if found is not None:
            self._kept.append(found)

    def deeds(self, session: Session) -> list[Deed]:
        """Everything, the oldest first; the order of equal times is kept."""
        found = [*self._kept, *_tools(session), *_turns(session), *_asked(session)]
        return sorted(found, key=lambda deed: deed.at)


def activity_lines(deeds: Sequence[Deed], session: Session) -> list[str]:
    """The last deeds as a table."""
    scene = SessionScene(session)
    shown = deeds[-SHOWN_MAX:]
    rows = [
        (
            f"{deed.at.astimezone():%H:%M:%S}" if deed.at > _NEVER else "--:--:--",
            deed.id,
            deed.kind,
            clean_line(scene.name_of(deed.who)) if deed.who else "",
            deed.text,
        )
        for deed in shown
    ]
    earlier = len(deeds) - len(shown)
    head = [f"{plural(earlier, 'earlier deed')}: name a person or a kind"]
    return head * (earlier > 0) + columns(rows) or ["nothing was done yet"]


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
        printed = [f"  {row}" for row in clean_text(tool.output).splitlines()]
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


def asker(session: Session, turn: str) -> str:
    """Id of the participant who asked for a turn; "" if that is not known."""
    record = session.view.turns.get(turn)
    claim = record.claim if record is not None else None
    found = session.view.message(claim.prompts[0]) if claim and claim.prompts else None
    return found.author if found is not None else ""


def _wanted(session: Session, wanted: str) -> list[ToolCall]:
    view = session.view
    if wanted == "last":
        printed = [tool for tool in view.tools.values() if tool.output]
        if not printed:
            raise UsageError("no tool has printed anything yet")
        return [max(printed, key=lambda tool: (tool.started_at, tool.key))]
    number, _, place = wanted.partition(".")
    turn = _turn(session, number)
    tools = view.tools_of(turn) if turn else []
    if place:
        at = int(place[:9]) if place.isascii() and place.isdigit() else 0
        tools = tools[at - 1 : at] if at else []
    if not tools:
        raise UsageError(
            f"there is no tool {clean_line(wanted)}", hint="/activity lists them."
        )
    return tools


def _turn(session: Session, number: str) -> str:
    """The id of the turn with this number; "" if there is none."""
    if not (number.isascii() and number.isdigit()):
        return ""
    view = session.view
    order = [turn for turn in view.reading.order if not view.turns[turn].void]
    at = int(number[:9])
    return order[at - 1] if 1 <= at <= len(order) else ""


def _tool_line(session: Session, tool: ToolCall) -> str:
    words = [tool_id(session, tool), tool_name(tool.kind), _tool_text(tool)]
    return "  ".join(clean_line(word) for word in words if word)


def _tool_text(tool: ToolCall) -> str:
    words = [clean_line(tool.title or tool.kind), _MARKS.get(tool.phase, tool.phase)]
    words.append(duration(tool.started_at, tool.ended_at))
    if tool.exit_code is not None:
        words.append(f"exit {tool.exit_code}")
    return "  ".join(clean_line(word) for word in words if word)


def _input(tool: ToolCall) -> list[str]:
    """What the agent passed to the tool, unless its title says as much."""
    text = clean_text(written(tool.input))
    if not text or clean_line(text) == clean_line(tool.title):
        return []
    return [f"  > {row}" for row in text.splitlines()]


def _tools(session: Session) -> Iterator[Deed]:
    view = session.view
    by_turn: dict[str, list[ToolCall]] = {}
    for tool in view.tools.values():
        by_turn.setdefault(tool.turn, []).append(tool)
    numbers = _numbers(session)
    for turn, tools in by_turn.items():
        tools.sort(key=lambda tool: (tool.started_at, tool.key))
        who = asker(session, turn)
        for place, tool in enumerate(tools, 1):
            name = f"{numbers.get(turn, 0)}.{place}"
            at = _moment(tool.ended_at or tool.started_at)
            yield Deed(at, name, who, tool_name(tool.kind), _tool_text(tool))


def _turns(session: Session) -> Iterator[Deed]:
    numbers, view = _numbers(session), session.view
    for turn, number in numbers.items():
        record = view.turns[turn]
        who, name = asker(session, turn), str(number)
        claim = record.claim
        asked = view.message(claim.prompts[0]) if claim and claim.prompts else None
        if record.started_at and claim is not None:
            said = excerpt(asked.text) if asked else ""
            text = f"{clean_line(claim.agent)} started  {said}".strip()
            yield Deed(_moment(record.started_at), name, who, "turn", text)
        if record.ended_at:
            how = clean_line(record.stop_reason or "ended").replace("_", " ")
            yield Deed(_moment(record.ended_at), name, who, "turn", f"ended: {how}")


def _asked(session: Session) -> Iterator[Deed]:
    scene = SessionScene(session)
    for approval in session.view.approvals.values():
        how = f"  {decided(approval, scene)}" if approval.decision else "  open"
        text = f"#{approval.number} {clean_line(approval.title)}{how}"
        who = approval.decided_by or asker(session, approval.turn)
        yield Deed(_moment(approval.asked_at), "", who, "permission", text)


def _numbers(session: Session) -> dict[str, int]:
    """The turns that count, by number."""
    view = session.view
    real = (turn for turn in view.reading.order if not view.turns[turn].void)
    return {turn: number for number, turn in enumerate(real, 1)}


def _noticed(event: SessionEvent) -> Deed | None:
    who = event.actor.id if event.actor is not None else ""
    kind = "note"
    match event.body:
        case ParticipantJoined():
            kind, text = "people", "joined"
        case ParticipantLeft():
            kind, text = "people", "left"
        case ConnectionChanged(link=link, state=state, reason=reason):
            kind = "link"
            text = f"{link} {state}" + (f": {reason}" if reason else "")
        case Merged(messages=messages):
            text = f"{plural(len(messages), 'message')} written apart joined"
        case TitleChanged(title=title):
            text = f"title: {title}"
        case Notice(text=text) | Failure(text=text):
            pass
        case _:
            return None
    return Deed(event.at, "", who, kind, clean_line(text))


def _moment(at: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(at or "")
    except ValueError:
        return _NEVER
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
