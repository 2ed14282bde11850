"""Answers a formatter's questions about a session from its view; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.entities import Message, Participant

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["SessionCast", "SessionScene"]


class SessionScene:
    """The `words.Scene` of an open session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def name_of(self, participant: str) -> str:
        """What a participant, or the participant of a runner, is called."""
        actor = self._session.actor(participant)
        return actor.name if actor is not None else ""

    def turn_number(self, turn: str) -> int:
        """The turn's place in the reading order, void turns not counted."""
        view = self._session.view
        number = 0
        for found in view.reading.order:
            number += not view.turns[found].void
            if found == turn:
                break
        return number

    def message(self, message: str) -> Message | None:
        """A message by its id."""
        return self._session.view.message(message)

    def standing(self, message: Message) -> str:
        """What the message is to the main line: "main", or a class of `Reading.item`.

        What belongs to no turn, or only asked for one, is main.
        """
        view, turn = self._session.view, message.turn
        if not turn or message.role in {"user", "note", "system"}:
            return "main"
        reading = view.reading
        if turn not in reading.closers and turn not in reading.detached:
            return reading.classes.get(turn, "parallel")
        own = (m.id for m in view.messages if m.turn == turn)
        place = next((at for at, i in enumerate(own) if i == message.id), 0)
        return reading.item(turn, place)


class SessionCast(SessionScene):
    """The `terminal.cast.Cast` of an open session."""

    @property
    def me(self) -> Participant:
        """The participant of this window."""
        return self._session.me

    def participant(self, participant: str) -> Participant | None:
        """Who a participant is; None before the first message."""
        return self._session.view.participant_table.get(participant)

    def role_of(self, participant: str) -> str:
        """The role somebody who is here has; "" if unknown."""
        for person in self._session.presence:
            if person.participant == participant:
                return person.role
        return ""

    def has_agent(self) -> bool:
        """Whether somebody here runs an agent."""
        return bool(self._session.agents())
