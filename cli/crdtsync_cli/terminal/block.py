"""What a window shows, as values, each printed once, above; nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from crdtsync.entities import ToolCall

__all__ = [
    "Answer",
    "Block",
    "Code",
    "Day",
    "Face",
    "Failed",
    "Head",
    "Line",
    "Plan",
    "Replied",
    "Said",
    "Thought",
    "ToolRow",
]


@dataclass(frozen=True, slots=True)
class Face:
    """Who somebody is on the screen.

    Attributes:
        name: As it came; not cleaned.
        slot: The colour all clients agreed on; None for an agent.
        mine: Whether it is this window's participant.
    """

    name: str
    slot: int | None = None
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a person or of another agent.

    Attributes:
        time: As shown.
        kind: What sort of message it is.
        waits: Whether it waits for a turn.
        called: The name in it that is this window's own, or "".
    """

    time: str
    face: Face
    text: str
    kind: Literal["message", "note", "agent", "system"] = "message"
    waits: bool = False
    called: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The row above what an agent says.

    Attributes:
        standing: What it is to the main line of the session; "" if it is on it.
    """

    time: str
    face: Face
    standing: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A top-level block of an answer, as markdown, or some items of a list.

    Attributes:
        item: The number of its first item, if it goes on with a list; or 0.
        goes_on: Whether the list goes on after it.
    """

    text: str
    item: int = 0
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Whole lines of a long code fence that is still open.

    Attributes:
        first: Whether they are its first lines.
    """

    text: str
    language: str
    first: bool


@dataclass(frozen=True, slots=True)
class Thought:
    """What the agent thought, to be shown folded to a row."""

    text: str
    took: str = ""


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A tool call that is over.

    Attributes:
        by: Who allowed or denied it, in words, or "".
    """

    tool: ToolCall
    by: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The agent's plan as the turn left it; a row per entry."""

    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the window itself.

    Attributes:
        tone: As in `terminal.tones`.
        ruled: Whether it stands between short rules.
    """

    text: str
    tone: str = "dim"
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """What went wrong with something that was typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Replied:
    """A line of what a slash command answers; two blanks part its columns."""

    text: str


@dataclass(frozen=True, slots=True)
class Day:
    """The date changed."""

    date: date


Block: TypeAlias = (
    Said
    | Head
    | Answer
    | Code
    | Thought
    | ToolRow
    | Plan
    | Line
    | Failed
    | Replied
    | Day
)
