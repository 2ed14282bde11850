"""Puts what is told at once into the order in which it is read; it reads no document.

What an agent did stands where it did it: a turn begins before the first message that it
wrote, a tool follows the message after which it ran, and a turn ends behind its last
one. So a branch that comes in whole reads as if one had been there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from crdtsync.entities import Message
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    ApprovalVoted,
    AssistantDelta,
    AssistantMessage,
    Body,
    Happening,
    LeaseChanged,
    MessageAdded,
    PlanChanged,
    ThoughtDelta,
    ToolChanged,
    TurnEnded,
    TurnStarted,
    UsageChanged,
)

__all__ = ["BEFORE", "in_reading_order"]

Place: TypeAlias = tuple[int, int, int]
"""Which message, what is told of it, and which of several."""

BEFORE: Final = -1
"""Stands for the messages that were told earlier."""

# What is told of one message, in this order.
_START, _EARLY_TOOL, _TEXT, _TOOL, _TURN = range(1, 6)
_LATER: Final = 10
"""Added for a turn that wrote nothing: it stands behind its prompts."""


def in_reading_order(
    happenings: Iterable[Happening], messages: Sequence[Message]
) -> list[tuple[int, Happening]]:
    """Sort happenings by the message at which they are told.

    Args:
        happenings: What has no place of its own stays in order, at the end.
        messages: Those that are told among them, in the order shown.

    Returns:
        Each with the index of its message: `BEFORE` or the number of messages for
        what belongs before or behind all of them.
    """
    found = list(happenings)
    places = _Places([happening.body for happening in found], messages)
    placed = [(places.of(happening.body), happening) for happening in found]
    placed.sort(key=lambda each: each[0])
    return [(place[0], happening) for place, happening in placed]


class _Places:
    def __init__(self, bodies: Sequence[Body], messages: Sequence[Message]) -> None:
        self._end: Place = (len(messages), 0, 0)
        self._index = {message.id: at for at, message in enumerate(messages)}
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        for at, message in enumerate(messages):
            if message.streamed and message.turn:
                self._first.setdefault(message.turn, at)
                self._last[message.turn] = at
        starts = [body for body in bodies if isinstance(body, TurnStarted)]
        self._starts = {body.turn: self._start(body) for body in starts}
        # One turn runs at a time: what went on before is over by then.
        begins = [(at, what - 1, 0) for at, what, _ in self._starts.values()]
        self._until_next: Place = min(begins, default=self._end)
        tools = [body.tool for body in bodies if isinstance(body, ToolChanged)]
        self._tools = {
            tool.key: self._tool(tool.turn, tool.message, number)
            for number, tool in enumerate(tools)
        }

    def of(self, body: Body) -> Place:
        """Where an event stands."""
        match body:
            case MessageAdded(message=message) | AssistantMessage(message=message):
                return self._text(message.id)
            case AssistantDelta(message=key) | ThoughtDelta(message=key):
                return self._text(key)
            case ToolChanged(tool=tool):
                return self._tools[tool.key]
            case _:
                return self._question(body) or self._of_turn(body) or self._end

    def _text(self, message: str) -> Place:
        return (self._index.get(message, BEFORE), _TEXT, 0)

    def _question(self, body: Body) -> Place | None:
        """A question stands behind its tool, but its answer before what came of it."""
        match body:
            case ApprovalRequested(approval) | ApprovalVoted(approval):
                return self._tools.get(approval.tool)
            case ApprovalResolved(approval) if approval.tool in self._tools:
                at, what, number = self._tools[approval.tool]
                return (at, what, number - 1)
            case ApprovalResolved():
                return self._until_next
        return None

    def _of_turn(self, body: Body) -> Place | None:
        match body:
            case LeaseChanged(turn=turn) | TurnStarted(turn=turn):
                return self._starts.get(turn)
            case PlanChanged(turn=turn) | UsageChanged(turn=turn):
                return self._turn(turn, 0)
            case TurnEnded(turn=turn):
                return self._turn(turn, 1) or self._until_next
        return None

    def _start(self, started: TurnStarted) -> Place:
        first = self._first.get(started.turn)
        if first is not None:
            return (first, _START, 0)
        asked = (self._index.get(prompt, BEFORE) for prompt in started.prompts)
        return (max(asked, default=BEFORE), _LATER + _START, 0)

    def _tool(self, turn: str, message: str, number: int) -> Place:
        # Between two tools is room for an answer to the second one's question.
        number = 2 * number + 1
        if message not in self._index and turn in self._starts:
            at, what, _ = self._starts[turn]
            return (at, what + _EARLY_TOOL - _START, number)
        return (self._index.get(message, BEFORE), _TOOL, number)

    def _turn(self, turn: str, number: int) -> Place | None:
        if turn in self._last:
            return (self._last[turn], _TURN, number)
        if turn not in self._starts:
            return None
        at, what, _ = self._starts[turn]
        return (at, what + _TURN - _START, number)
