"""A small cast for the formatters' tests; it holds no session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crdtsync.entities import Message
from crdtsync.events import Actor, Body, SessionEvent

NAMES = {"p1": "ana", "p2": "bob", "a1": "agent"}
START = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


class Cast:
    """Knows three names, the messages it was told, and turns by their order."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.standings: dict[str, str] = {}
        self._turns: list[str] = []

    def name_of(self, participant: str) -> str:
        return NAMES.get(participant, participant)

    def turn_number(self, turn: str) -> int:
        if turn not in self._turns:
            self._turns.append(turn)
        return self._turns.index(turn) + 1

    def message(self, message: str) -> Message | None:
        return self.messages.get(message)

    def standing(self, message: Message) -> str:
        return self.standings.get(message.id, "main")

    def add(self, message: Message) -> Message:
        self.messages[message.id] = message
        return message


def event(body: Body, *, after_s: float = 0, actor: str = "") -> SessionEvent:
    who = Actor(actor, NAMES[actor], "person") if actor else None
    return SessionEvent(812, START + timedelta(seconds=after_s), "s1", who, body)
