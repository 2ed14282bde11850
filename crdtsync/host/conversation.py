"""Which messages the agent's process has seen, and the text of its next prompt."""

from __future__ import annotations

from collections.abc import Collection

from crdtsync import schema
from crdtsync.agents.context import Said, since_last_turn, whole_conversation
from crdtsync.entities import Message
from crdtsync.session import Session


class Conversation:
    """What one agent process knows of a session.

    Notes among people are never told to it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: set[str] | None = None

    def forget(self) -> None:
        """Begin anew: the agent's process is a new one that knows nothing."""
        self._seen = None

    def resume(self, own: Collection[str]) -> None:
        """Take up what the agent knows, which has loaded a session of its own.

        It has seen everything up to the last prompt that it answered, and what it said
        itself. What came in while it was answering is told again rather than missed.

        Args:
            own: The turns that this very session of the agent has run.
        """
        view = self._session.view
        claims = [turn.claim for t in own if (turn := view.turns.get(t)) is not None]
        asked = {p for claim in claims if claim is not None for p in claim.prompts}
        if not asked:
            return
        places = (view.position(prompt) for prompt in asked)
        last = max((at for at in places if at is not None), default=-1)
        said = {m.id for m in view.messages if m.streamed and m.turn in own}
        self._seen = {m.id for m in view.messages[: last + 1]} | asked | said

    def prompt(self, prompts: tuple[str, ...], *, transcript: bool) -> str:
        """Build the text for a turn, and note what it tells.

        Args:
            prompts: Ids of the messages that the turn answers.
            transcript: Whether the whole conversation goes along each time, for an
                agent that remembers nothing.
        """
        view = self._session.view
        asked = self._asked(prompts)
        known = set() if self._seen is None or transcript else self._seen
        taken = set(prompts) | {p.prompt for p in view.pending}
        unseen = [self._said(m) for m in view.messages if m.id not in known | taken]
        first = self._seen is None or transcript
        self._seen = {m.id for m in view.messages} - {p.prompt for p in view.pending}
        if first:
            return whole_conversation(asked, unseen)
        return since_last_turn(asked, unseen)

    def answered(self) -> None:
        """Note that the agent knows its own answers."""
        if self._seen is not None:
            streamed = (m.id for m in self._session.view.messages if m.streamed)
            self._seen.update(streamed)

    def _asked(self, prompts: tuple[str, ...]) -> str:
        """What is asked; of several people, who asks what."""
        view = self._session.view
        found = [m for m in map(view.message, prompts) if m is not None]
        if len({message.author for message in found}) > 1:
            texts = [f"{view.name_of(m.author)}:\n{m.text}" for m in found]
        else:
            texts = [message.text for message in found]
        return "\n\n".join(texts)

    def _said(self, message: Message) -> Said:
        view = self._session.view
        text = view.text(message.id) if message.role != schema.NOTE else ""
        return Said(view.name_of(message.author), message.role, text)
