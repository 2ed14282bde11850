"""Questions to the relay's arbiter that wait for their answers, on one connection."""

from __future__ import annotations

import anyio

from crdtsync.errors import ConnectionFailed
from crdtsync.schema import JsonObject
from crdtsync.sync.leasing import Freed, LeaseAnswer, answer_from_json

__all__ = ["Question", "Questions"]


class Question:
    """One that is on its way to the arbiter."""

    def __init__(self) -> None:
        self._answer: LeaseAnswer | None = None
        self._settled = anyio.Event()

    async def answer(self) -> LeaseAnswer:
        """Wait for the answer.

        Raises:
            ConnectionFailed: The connection ended first; nobody knows what came of it.
        """
        await self._settled.wait()
        if self._answer is None:
            raise ConnectionFailed("the connection ended before the arbiter answered")
        return self._answer

    def settle(self, answer: LeaseAnswer | None) -> None:
        """Take the answer, or that there will be none."""
        self._answer = answer
        self._settled.set()


class Questions:
    """Who asked what; answers come in the order of the connection.

    Attributes:
        freed: Set, and replaced, when the relay says that the lease is free; and when
            the connection is over.
        over: Whether the connection is.
    """

    def __init__(self) -> None:
        self.freed = anyio.Event()
        self.over = False
        self._open: dict[int, Question] = {}

    def pose(self, id: int) -> Question:  # noqa: A002 - as in the message
        """Note a question that is sent now; its answer may come at once.

        Raises:
            ConnectionFailed: The connection is over.
        """
        if self.over:
            raise ConnectionFailed("the connection has ended")
        question = self._open[id] = Question()
        return question

    def answered(self, body: JsonObject) -> None:
        """Take an answer; one to no question is dropped.

        Raises:
            ProtocolError: It is none.
        """
        number, answer = answer_from_json(body)
        if isinstance(answer, Freed):
            self.freed.set()
            self.freed = anyio.Event()
        elif (question := self._open.pop(number, None)) is not None:
            question.settle(answer)

    def fail(self) -> None:
        """End every wait: the connection is over."""
        self.over = True
        self.freed.set()
        for question in self._open.values():
            question.settle(None)
        self._open.clear()
