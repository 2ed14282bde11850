"""What the screen asks a session about who and what; pure reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from crdtsync.entities import Message, Participant
from crdtsync_cli.scene import SessionScene

if TYPE_CHECKING:
    pass

__all__ = ["Cast", "SessionCast"]


class Cast(Protocol):
    """Answers about things that events name only by id."""

    @property
    def me(self) -> Participant:
        """The participant of this window."""
        ...

    def name_of(self, participant: str) -> str:
        """What a participant is called."""
        ...

    def participant(self, participant: str) -> Participant | None:
        """Who a participant is; None before the first message."""
        ...

    def role_of(self, participant: str) -> str:
        """The role somebody who is here has; "" if unknown."""
        ...

    def turn_number(self, turn: str) -> int:
        """The turn's place in the session, counted from 1."""
        ...

    def message(self, message: str) -> Message | None:
        """A message by its id."""
        ...

    def standing(self, message: Message) -> str:
        """What it is to the main line, see `words.Scene`."""
        ...

    def has_agent(self) -> bool:
        """Whether somebody here runs an agent."""
        ...


class SessionCast(SessionScene):
    """The `Cast` of an open session."""

    @property
    def me(self) -> Participant:
        """The participant of this window."""
        return self._session.me

    def participant(self, participant: str) -> Participant | None:
        """Who a participant is; None before the first message."""
        return self._session.view.participant_table.get(participant)

    def role_of(self, participant: str) -> str:
        """The role somebody who is here has; "" if unknown."""
        for person in self._session.people():
            if person.participant == participant:
                return person.role
        return ""

    def has_agent(self) -> bool:
        """Whether somebody here runs an agent."""
        return bool(self._session.agents())
