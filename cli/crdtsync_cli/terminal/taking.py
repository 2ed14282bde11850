"""Does what was typed into a window on a screen, one line after the other.

It shows the replies; what others do is shown by `crdtsync_cli.terminal.screen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from crdtsync.errors import CrdtSyncError, OperationFailed
from crdtsync_cli.actions import act
from crdtsync_cli.attention import Attention
from crdtsync_cli.rights import check_role
from crdtsync_cli.slash import Say, read_line
from crdtsync_cli.terminal.card import Answer
from crdtsync_cli.terminal.replies import Replies

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync_cli.seat import Seat
    from crdtsync_cli.terminal.layout import Desk
    from crdtsync_cli.terminal.painter import Painter

__all__ = ["Typist"]

LINES_WAITING_MAX: Final = 100
"""Typed lines that wait for the disk; typing on is refused beyond."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A typed line; `replaces` is the waiting prompt that it is to replace, if any."""

    line: str
    replaces: str = ""


Task: TypeAlias = Typed | Answer


class Typist:
    """Takes lines and answers from the keys and does them in order.

    Args:
        session: Open.
        painter: Makes lines of the replies.
        attention: What this window wants to see.
        seat: Where it runs an agent, if it can.

    Attributes:
        desk: Where replies are shown; set before `run`.
    """

    desk: Desk

    def __init__(
        self,
        session: Session,
        painter: Painter,
        attention: Attention,
        seat: Seat | None = None,
    ) -> None:
        self._session = session
        self._attention = attention
        self._seat = seat
        self._painter = painter
        self._send, self._tasks = anyio.create_memory_object_stream[Task](
            LINES_WAITING_MAX
        )

    async def run(self) -> None:
        """Do what comes, for ever."""
        with self._send, self._tasks:
            async for task in self._tasks:
                try:
                    await self._do(task)
                except CrdtSyncError as error:
                    self._refuse(task, error)

    # What the keys do.

    def accept(self, line: str, replaces: str = "") -> bool:
        """Take a typed line; False, and the line stays, if too many wait."""
        return self._put(Typed(line, replaces))

    def answer(self, answer: Answer) -> bool:
        """Take the answer to a permission question; False if too much waits."""
        return self._put(answer)

    def stop_turn(self) -> None:
        """Ask to stop the running turn, as Ctrl-C on an empty line does."""
        self.accept("/cancel")

    def _put(self, task: Task) -> bool:
        try:
            self._send.send_nowait(task)
        except anyio.WouldBlock:
            return False
        return True

    # What becomes of it.

    async def _do(self, task: Task) -> None:
        if isinstance(task, Answer):
            check_role(self._session, "editor", "answering")
            await self._session.vote(task.approval, allow=False, option=task.option)
            return
        typed = read_line(task.line)
        if typed is None:
            return
        if isinstance(typed, Say) and task.replaces:
            check_role(self._session, "editor", "writing")
            await self._session.prompts.replace(task.replaces, typed.text)
            return
        reply = await act(self._session, typed, self._attention, self._seat)
        if reply.leave:
            self.desk.leave()
        await Replies(self.desk, self._painter).show(reply)
        if isinstance(typed, Say) and not self._session.agents():
            self.desk.say("no agent runs here: /agent NAME")

    def _refuse(self, task: Task, error: CrdtSyncError) -> None:
        """Say what went wrong, and give the line back if nothing else was typed."""
        width = self.desk.columns - 1
        shown = self._painter.error(str(error), error.hint, width)
        self.desk.application.print_above(shown)
        if isinstance(task, Typed) and not isinstance(error, OperationFailed):
            self.desk.line.give_back(task.line)
