"""An interactive window on a session: events above, one input line below.

asyncio only, as prompt-toolkit is. All printing goes through one place in the loop's
thread, `LiveApplication.print_above`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup
from prompt_toolkit.input import Input
from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.output.color_depth import ColorDepth

from crdtsync.events import SessionEvent
from crdtsync_cli.signals import call_when_told_to_stop
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.layout import Desk
from crdtsync_cli.terminal.live import SyncOutput
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.taking import Typist

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Screen", "run_screen"]

FRAME_S: Final = 0.05
"""Events are shown at most so often; key presses at once."""

EVENTS_PER_FRAME_MAX: Final = 500

_log = logging.getLogger(__name__)


async def run_screen(session: Session, *, colors: bool) -> int:
    """Run an interactive window until it is left; returns the exit code."""
    depth = ColorDepth.from_env() if colors else ColorDepth.DEPTH_1_BIT
    output = SyncOutput.from_pty(sys.stdout, default_color_depth=depth)
    output.enable_cpr = False
    assert isinstance(output, SyncOutput)  # noqa: S101 - from_pty is a class method
    screen = Screen(session, create_input(), output, Ink(colors=colors))
    with _quiet_log():
        await screen.run()
    sys.stdout.write(f"left {session.name}; to come back: crdtsync {session.name}\n")
    return 0


class Screen:
    """One interactive window.

    Args:
        session: The open session.
        keys: Where key presses come from.
        output: The terminal.
        ink: Makes the lines.
    """

    def __init__(
        self, session: Session, keys: Input, output: SyncOutput, ink: Ink
    ) -> None:
        self._session = session
        self._painter = Painter(session, ink)
        self._typist = Typist(session, self._painter)
        self.desk = Desk(session, keys, output, self._painter, self._typist)
        self._typist.desk = self.desk

    async def run(self) -> None:
        """Show the session and take lines, until it is left."""
        asyncio.get_running_loop().set_exception_handler(_stray)
        with self._session.events() as events:
            async with anyio.create_task_group() as group:
                await group.start(call_when_told_to_stop, self.desk.leave)
                group.start_soon(self._show, events)
                group.start_soon(self._typist.run)
                group.start_soon(self._animate)
                await self._run_application(group)
                group.cancel_scope.cancel()

    async def _run_application(self, group: TaskGroup) -> None:
        """Run the input line; the terminal is restored before anything else ends."""
        try:
            await self.desk.application.run_async(
                set_exception_handler=False, handle_sigint=False
            )
        finally:
            group.cancel_scope.cancel()

    # The tasks.

    async def _show(self, events: AsyncIterator[SessionEvent]) -> None:
        """Paint events as they come, those of a frame together."""
        async for event in events:
            batch = [event]
            # Passes only where it would have to wait: takes what is there already.
            with anyio.move_on_after(0):
                while len(batch) < EVENTS_PER_FRAME_MAX:
                    batch.append(await anext(events))
            self._paint(batch)
            await anyio.sleep(FRAME_S)
        self.desk.leave()

    def _paint(self, batch: list[SessionEvent]) -> None:
        width = self.desk.columns - 1
        shown = "".join(self._painter.paint(event, width) for event in batch)
        self.desk.application.print_above(shown)
        self.desk.application.invalidate()

    async def _animate(self) -> None:
        """Keep the spinner, the seconds and the typing row going."""
        while True:
            await anyio.sleep(1 if self._session.view.running is None else 0.1)
            self.desk.application.invalidate()


def _stray(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log what no task took care of; a traceback would spoil the screen."""
    error = context.get("exception")
    _log.error(
        "in the event loop: %s",
        context.get("message"),
        exc_info=error if isinstance(error, Exception) else None,
    )


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep log lines off the screen; a log file gets them all the same."""
    root = logging.getLogger()
    noisy = [h for h in root.handlers if type(h) is logging.StreamHandler]
    for handler in noisy:
        root.removeHandler(handler)
    silent = logging.NullHandler()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)
        for handler in noisy:
            root.addHandler(handler)
