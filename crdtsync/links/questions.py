"""Questions to the relay's arbiter that wait for their answers, on one connection."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from crdtsync.errors import ConnectionFailed
from crdtsync.schema import JsonObject
from crdtsync.sync.leasing import Freed, LeaseAnswer, answer_from_json

__all__ = ["Questions"]


@dataclass(slots=True)
class _Question:
    answer: LeaseAnswer | None = None
    settled: anyio.Event = field(default_factory=anyio.Event)


class Questions:
    """Who asked what; answers come in the order of the connection.

    Attributes:
        freed: Set, and replaced, when the relay says that the lease is free.
    """

    def __init__(self) -> None:
        self.freed = anyio.Event()
        self._open: dict[int, _Question] = {}
        self._over = False

    def next_id(self) -> int:
        """An id that no open question has."""
        return max(self._open, default=0) + 1

    async def wait(self, id: int) -> LeaseAnswer:  # noqa: A002 - as in the message
        """Wait for the answer to a question that was just sent.

        Raises:
            ConnectionFailed: The connection ended first; nobody knows what came of it.
        """
        question = _Question()
        if self._over:
            question.settled.set()
        self._open[id] = question
        try:
            await question.settled.wait()
        finally:
            del self._open[id]
        if question.answer is None:
            raise ConnectionFailed("the connection ended before the arbiter answered")
        return question.answer

    def answered(self, body: JsonObject) -> None:
        """Take an answer; one that nobody waits for any more is dropped.

        Raises:
            ProtocolError: It is none.
        """
        number, answer = answer_from_json(body)
        if isinstance(answer, Freed):
            self.freed.set()
            self.freed = anyio.Event()
        elif (question := self._open.get(number)) is not None:
            question.answer = answer
            question.settled.set()

    def fail(self) -> None:
        """End every wait: the connection is over."""
        self._over = True
        for question in self._open.values():
            question.settled.set()
