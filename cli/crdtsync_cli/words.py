"""How things of a session are said in words, for plain and interactive windows alike.

Pure. Every text from outside that it puts into words passes `sanitize`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from unicodedata import combining, east_asian_width

from crdtsync.entities import Approval, Message
from crdtsync.events import TurnEnded
from crdtsync.sanitize import clean_line, clean_text
from crdtsync.schema import as_object

__all__ = [
    "Scene",
    "ago",
    "answer_hint",
    "cells",
    "columns",
    "decided",
    "duration",
    "excerpt",
    "in_words",
    "outcome",
    "plan_lines",
    "plural",
    "prefixed",
    "took_s",
    "tool_name",
]

EXCERPT_CHARS_MAX: Final = 60

_TOOL_NAMES: Final = {"execute": "shell", "other": "tool", "": "tool"}


class Scene(Protocol):
    """What a formatter asks about things that events name only by id."""

    def name_of(self, participant: str) -> str:
        """What a participant is called."""
        ...

    def turn_number(self, turn: str) -> int:
        """The turn's place in the session, counted from 1."""
        ...

    def message(self, message: str) -> Message | None:
        """A message by its id."""
        ...

    def standing(self, message: Message) -> str:
        """What it is to the main line, see `Reading.item`."""
        ...


def excerpt(text: str) -> str:
    """The beginning of a text on one line, quoted."""
    line = clean_line(text)
    if len(line) > EXCERPT_CHARS_MAX:
        line = line[: EXCERPT_CHARS_MAX - 1].rstrip() + "…"
    return f'"{line}"'


def plural(count: int, thing: str) -> str:
    """A number of things, such as "1 turn" and "2 turns"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def duration(started_at: str, ended_at: str) -> str:
    """The time between two ISO times for people, such as "12.4s", or ""."""
    seconds = _seconds(started_at, ended_at)
    return "" if seconds is None else in_words(seconds)


def in_words(seconds: float) -> str:
    """A time span for people, such as "12.4s"."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f}s"
    return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"


def _seconds(started_at: str, ended_at: str) -> float | None:
    try:
        started = datetime.fromisoformat(started_at)
        seconds = (datetime.fromisoformat(ended_at) - started).total_seconds()
    except (ValueError, TypeError):
        return None
    return seconds if seconds >= 0 else None


REFUSED_HINT: Final = (
    "what is written is kept here; `crdtsync join` with a new link goes on there"
)
"""What can be done about a relay that refuses a window."""


def answer_hint(approval: Approval) -> str:
    """How to answer a permission question in a window."""
    return f"/allow {approval.number} or /deny {approval.number}"


def decided(approval: Approval, scene: Scene) -> str:
    """What became of a permission question, in words."""
    if approval.decision in {"expired", "cancelled"}:
        return approval.decision
    kinds = [o.kind for o in approval.options if o.id == approval.decision]
    allowed = bool(kinds) and kinds[0].startswith("allow")
    by = clean_line(scene.name_of(approval.decided_by)) or "somebody"
    return f"{'allowed' if allowed else 'denied'} by {by}"


def tool_name(kind: str) -> str:
    """What a kind of tool is called."""
    return _TOOL_NAMES.get(kind, kind)


def prefixed(prefix: str, text: str) -> list[str]:
    """Put a prefix before the first line, and its width before the others."""
    lines = clean_text(text).strip("\n").splitlines() or [""]
    margin = "|" + " " * (len(prefix) - 1)
    return [
        ((margin if index else prefix) + line).rstrip()
        for index, line in enumerate(lines)
    ]


def took_s(ended: TurnEnded, since: datetime, until: datetime) -> float:
    """How long a turn took: as its runner says, or as it was seen here."""
    said = _seconds(ended.started_at, ended.ended_at)
    return (until - since).total_seconds() if said is None else said


def outcome(ended: TurnEnded) -> str:
    """How a turn ended, in words."""
    if ended.state == "abandoned":
        return "interrupted, outcome unknown"
    match ended.stop_reason:
        case "end_turn" | "":
            return "done"
        case "error":
            return "failed"
        case "lost_lease":
            return "stopped: the lease was lost"
        case reason:
            return clean_line(reason).replace("_", " ")


def plan_lines(entries: Sequence[object]) -> list[str]:
    """An agent's plan, one line per entry, with a box that is empty, > or x."""
    marks = {"completed": "x", "in_progress": ">"}
    found = []
    for entry in entries:
        data = as_object(entry)
        text = data.get("text") or data.get("content") or ""
        mark = marks.get(str(data.get("status")), " ")
        found.append(f"[{mark}] {clean_line(str(text))}")
    return found


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells in columns two spaces apart; the last one is left as it is."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    found = []
    for row in rows:
        padded = [
            cell + " " * (width - cells(cell))
            for cell, width in zip(row, widths, strict=True)
        ]
        found.append("  ".join(padded).rstrip())
    return found


def ago(at: str, now: datetime) -> str:
    """How long ago an ISO time was, roughly."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = (now - then).total_seconds()
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "just now"


def cells(text: str) -> int:
    """How many columns a text takes on a terminal."""
    return sum(
        0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text
    )
