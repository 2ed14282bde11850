"""Events of one turn on their way from an agent to whoever iterates; moves no bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import anyio

from .events import AgentEvent, TextDelta, ThoughtDelta
from .updates import TurnState

__all__ = ["Turn"]


class Turn:
    """One turn between its agent's task and its reader.

    The agent's side puts without waiting, because updates must stay in order, and asks
    for `room` before it reads on: so a slow reader slows the agent down (I-4).

    Args:
        events_max: Above so many untaken events there is no room.
    """

    def __init__(self, events_max: int):
        self.state = TurnState()
        self.cancelled = False
        self.done = anyio.Event()
        self.events_put = 0
        self._events_max = events_max
        self._events: deque[AgentEvent] = deque()
        self._changed = anyio.Event()

    def put(self, events: Iterable[AgentEvent]) -> None:
        """Hand events over; after the end they are dropped."""
        if self.done.is_set():
            return
        for event in events:
            self.events_put += 1
            if not self._is_superfluous(event):
                self._events.append(event)
        self._wake()

    def cancel(self) -> None:
        """Take note that the turn shall end; its agent is not held back any more."""
        self.cancelled = True
        self._wake()

    def finish(self, stop: str, error: str | None = None) -> None:
        """Close what is open and the turn; again is harmless."""
        if not self.done.is_set():
            self.put(self.state.end(stop, error))
            self.done.set()

    async def room(self) -> None:
        """Wait until the reader has caught up, or nobody will."""
        while len(self._events) >= self._events_max and not self.cancelled:
            await self._changed.wait()

    async def next(self) -> AgentEvent:
        """Wait for the next event; nothing comes after the only `TurnEnd`."""
        while not self._events:
            await self._changed.wait()
        event = self._events.popleft()
        self._wake()
        return event

    def _is_superfluous(self, event: AgentEvent) -> bool:
        """A cancelled agent may still talk, but not fill the memory."""
        full = len(self._events) >= self._events_max
        return full and self.cancelled and isinstance(event, TextDelta | ThoughtDelta)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
