"""What a screen asks about who and what; it answers nothing."""

from __future__ import annotations

from typing import Protocol

from crdtsync.entities import Message, Participant

__all__ = ["Cast"]


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
