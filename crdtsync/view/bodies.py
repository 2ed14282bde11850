"""Follows streamed bodies: deltas while they grow, whole once they are complete."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.events import AssistantDelta, AssistantMessage, Happening, ThoughtDelta
from crdtsync.view import SessionView
from crdtsync.view.touched import Touched


class Bodies:
    """Which message each live turn is writing.

    A turn that was there before is looked up in the history when it first matters, so
    that opening a session reads nothing for it.
    """

    def __init__(self, document: Document, view: SessionView) -> None:
        self._document = document
        self._view = view
        self._watched: set[str] = set()
        self._writing: dict[str, Message] = {}
        self._live: dict[str, Message] = {}
        # Bodies that came with the change that is being told.
        self._new_texts: Mapping[str, str] = {}

    def forget(self) -> None:
        """Look everything up anew."""
        self._watched.clear()
        self._writing.clear()
        self._live.clear()

    def tell(self, touched: Touched) -> list[Happening]:
        """Tell what was written, known messages first."""
        self._watched.update(t for t, keys in touched.turns.items() if keys is None)
        new = {message.id for message in touched.messages}
        self._new_texts = touched.bodies
        told = self._grown(touched, new) + self._begun(touched, new)
        self._new_texts = {}
        return told

    def _grown(self, touched: Touched, new: Collection[str]) -> list[Happening]:
        told: list[Happening] = []
        for key, text in (*touched.appended.items(), *touched.bodies.items()):
            if text and key not in new and (header := self._header(key)):
                told.append(_delta(header, text))
        return told

    def _begun(self, touched: Touched, new: Collection[str]) -> list[Happening]:
        told: list[Happening] = []
        begun: dict[str, Message] = {}
        for message in touched.messages:
            if not message.streamed:
                told += self._with_body(message)
                continue
            before = self._writing_of(message.turn, new)
            if before is not None:
                told.append(self._whole(before))
                self._stop(message.turn)
                begun.pop(before.id, None)
            if self._view.reading.states.get(message.turn) == "open":
                self._writing[message.turn] = self._live[message.id] = message
                begun[message.id] = message
            else:
                told.append(self._whole(message))
        for message in begun.values():
            told += self._with_body(message)
        return told

    def finish(self, turn: str) -> list[Happening]:
        """Tell the last message of a turn whole, if that was not told."""
        last = self._writing_of(turn)
        self._stop(turn)
        return [] if last is None else [self._whole(last)]

    def _writing_of(self, turn: str, new: Collection[str] = ()) -> Message | None:
        """The message that a turn is writing, apart from new ones."""
        if turn not in self._watched and self._view.turn_table.get(turn):
            self._watched.add(turn)
            for message in reversed(self._view.messages):
                mine = message.turn == turn and message.streamed
                if mine and message.id not in new:
                    self._writing[turn] = self._live[message.id] = message
                    break
        return self._writing.get(turn)

    def _stop(self, turn: str) -> None:
        message = self._writing.pop(turn, None)
        if message is not None:
            self._live.pop(message.id, None)

    def _header(self, key: str) -> Message | None:
        """The header of a body; None while it is not here, or if it holds the text."""
        header = self._live.get(key) or self._view.message(key)
        return None if header is None or header.text else header

    def _with_body(self, message: Message) -> list[Happening]:
        text = "" if message.text else self._text(message.id)
        return [_delta(message, text)] if text else []

    def _whole(self, message: Message) -> Happening:
        text = message.text or self._text(message.id)
        return Happening(AssistantMessage(message, text), message.author)

    def _text(self, message: str) -> str:
        known = self._new_texts.get(message)
        return self._document.text(message) if known is None else known


def _delta(message: Message, text: str) -> Happening:
    kind = ThoughtDelta if message.role == schema.THOUGHT else AssistantDelta
    return Happening(kind(message.id, message.turn, text), message.author)
