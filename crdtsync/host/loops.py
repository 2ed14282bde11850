"""Finds agents that prompt each other without end; it holds nothing back itself.

Whoever sends a message says how deep it is, and the host works it out again: a sender
may be mistaken, or lie. Only what a person asked for runs without limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from crdtsync import schema
from crdtsync.entities import Message
from crdtsync.view import SessionView

__all__ = [
    "AGENT_DEPTH_MAX",
    "AGENT_PROMPTS_PER_MINUTE_MAX",
    "LoopGuard",
    "depth_of",
    "depth_of_turn",
]

AGENT_DEPTH_MAX: Final = 3
"""So many agents in a row may prompt each other; then a person has to agree."""

AGENT_PROMPTS_PER_MINUTE_MAX: Final = 6
"""Prompts of agents that may come in a minute, per session; further ones wait."""

MINUTE_S: Final = 60.0


class LoopGuard:
    """Judges each prompt of an agent once, when this host first sees it."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._came_s: deque[float] = deque(maxlen=AGENT_PROMPTS_PER_MINUTE_MAX)
        self._beyond: dict[str, str] = {}

    def look(self, view: SessionView, now: float) -> frozenset[str]:
        """Judge new prompts; returns those beyond a limit that nobody has released.

        Args:
            view: The session.
            now: Boottime.
        """
        queue = view.queue
        for waiting in view.pending:
            if waiting.prompt not in self._seen:
                self._judge(view, waiting.prompt, now)
        # A prompt that is out of the queue never comes back into it.
        self._seen &= queue.keys()
        self._beyond = {p: why for p, why in self._beyond.items() if p in queue}
        return frozenset(p for p in self._beyond if queue[p].released_by is None)

    def why(self, prompt: str) -> str:
        """The limit that a prompt is beyond, in words; "" if it is beyond none."""
        return self._beyond.get(prompt, "")

    def _judge(self, view: SessionView, prompt: str, now: float) -> None:
        message = view.message(prompt)
        if message is None:
            return
        self._seen.add(prompt)
        depth = depth_of(view, message)
        if depth == 0:
            return
        full = len(self._came_s) == AGENT_PROMPTS_PER_MINUTE_MAX
        if depth > AGENT_DEPTH_MAX:
            self._beyond[prompt] = (
                f"agents have prompted each other {AGENT_DEPTH_MAX} times in a row"
            )
        elif full and now - self._came_s[0] < MINUTE_S:
            self._beyond[prompt] = (
                f"agents sent more than {AGENT_PROMPTS_PER_MINUTE_MAX} prompts "
                "within a minute"
            )
        else:
            self._came_s.append(now)


def depth_of(view: SessionView, message: Message) -> int:
    """How many agents in a row led to a message; 0 for a person's.

    Of what the header says and what the document shows, the larger counts.
    """
    return _depth(view, message, AGENT_DEPTH_MAX + 1)


def depth_of_turn(view: SessionView, prompts: Iterable[str]) -> int:
    """The depth of a turn that answers these prompts."""
    found = (view.message(prompt) for prompt in prompts)
    return max((depth_of(view, m) for m in found if m is not None), default=0)


def _depth(view: SessionView, message: Message, further: int) -> int:
    """The depth, looking back over so many turns at most."""
    said = message.extra.get("depth")
    told = said if isinstance(said, int) and not isinstance(said, bool) else 0
    author = view.participant_table.get(message.author)
    by_agent = author is not None and author.kind == "agent"
    if not (by_agent or message.role == schema.AGENT or message.turn or told > 0):
        return 0
    turn = view.turns.get(message.turn)
    shown = 0
    if turn is not None and turn.claim is not None and further > 0:
        asked = (view.message(prompt) for prompt in turn.claim.prompts)
        shown = max((_depth(view, m, further - 1) for m in asked if m), default=0)
    return max(1, told, shown + 1)
