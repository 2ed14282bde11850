"""An interactive window on a session: events above, one input line below.

asyncio only, as prompt-toolkit is. All printing goes through one place in the loop's
thread, `LiveApplication.print_above`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup
from prompt_toolkit.input import Input
from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.output.color_depth import ColorDepth

from crdtsync.events import Reset, SessionEvent, SessionOpened
from crdtsync_cli.attention import Attention
from crdtsync_cli.signals import call_when_told_to_stop
from crdtsync_cli.terminal.alerts import Alerts
from crdtsync_cli.terminal.block import Block, Line, Said
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.layout import Desk
from crdtsync_cli.terminal.links import counts_down
from crdtsync_cli.terminal.live import SyncOutput
from crdtsync_cli.terminal.look import Look
from crdtsync_cli.terminal.noise import quiet
from crdtsync_cli.terminal.page import RENDER_ERROR, Page
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.region import Region
from crdtsync_cli.terminal.seen import read_seen, write_seen
from crdtsync_cli.terminal.taking import Typist

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync.session.broadcast import Reader
    from crdtsync_cli.seat import Seat

__all__ = ["Screen", "run_screen"]

FRAME_S: Final = 0.05
"""Events are shown at most so often; key presses at once."""

COST_FACTOR: Final = 5
"""A frame that took long is followed by a pause so many times as long."""

EVENTS_PER_FRAME_MAX: Final = 500

SPIN_S: Final = 0.1
STILL_S: Final = 0.5
"""Without motion only the seconds pass, and these need not be exact."""
IDLE_S: Final = 4.0
"""Idle, most changes come as events; the others are looked for so often."""

COUNT_S: Final = 1.0
"""Seconds until the next try of a link are counted down."""

SEEN_S: Final = 60.0
"""What was seen is written down so often, and when the window is left."""

_log = logging.getLogger(__name__)


async def run_screen(session: Session, look: Look, seat: Seat | None = None) -> int:
    """Run an interactive window until it is left; returns the exit code."""
    depth = ColorDepth.DEPTH_4_BIT if look.colors else ColorDepth.DEPTH_1_BIT
    output = SyncOutput.from_pty(sys.stdout, default_color_depth=depth)
    output.enable_cpr = False
    assert isinstance(output, SyncOutput)  # noqa: S101 - from_pty is a class method
    place = session.place
    seen = await anyio.to_thread.run_sync(read_seen, place.data, session.id)
    screen = Screen(session, create_input(), output, look, seen=seen, seat=seat)
    loop = asyncio.get_running_loop()
    with quiet(lambda line: _from_thread(loop, partial(screen.note, line))):
        await screen.run()
    screen.desk.application.print_rest()
    sys.stdout.write(f"left {session.name}; to come back: crdtsync {session.name}\n")
    return 0


class Screen:
    """One interactive window.

    Args:
        session: The open session.
        keys: Where key presses come from.
        output: The terminal.
        look: What it may use.
        seen: The last message that was seen here before, or "".
        seat: Where the window runs an agent, if it can.
    """

    def __init__(
        self,
        session: Session,
        keys: Input,
        output: SyncOutput,
        look: Look,
        *,
        seen: str = "",
        seat: Seat | None = None,
    ) -> None:
        self._session = session
        self._look = look
        ink = Ink(colors=look.colors, theme=look.theme, plain_signs=look.ascii)
        self._painter = Painter(session, ink, seen=seen)
        self._page = Page(self._painter)
        self._alerts = Alerts(look)
        self._region = Region(session, self._painter, motion=look.motion)
        self._attention = Attention()
        self._typist = Typist(session, self._painter, self._attention, seat)
        output.marked = look.sync
        self.desk = Desk(
            session, keys, output, self._painter, self._region, self._typist
        )
        self.desk.application.reflows = look.reflow
        self._typist.desk = self.desk
        self._busy = anyio.Event()
        self._shown: object = None

    async def run(self) -> None:
        """Show the session and take lines, until it is left."""
        asyncio.get_running_loop().set_exception_handler(self._stray)
        async with anyio.create_task_group() as group:
            await group.start(call_when_told_to_stop, self.desk.leave)
            group.start_soon(self._show)
            group.start_soon(self._typist.run)
            group.start_soon(self._animate)
            group.start_soon(self._remember)
            await self._run_application(group)
            group.cancel_scope.cancel()
        await self._note_seen()

    async def _run_application(self, group: TaskGroup) -> None:
        """Run the input line; the terminal is restored before anything else ends."""
        try:
            await self.desk.application.run_async(
                set_exception_handler=False, handle_sigint=False
            )
        finally:
            group.cancel_scope.cancel()

    def note(self, line: str, tone: str = "dim") -> None:
        """Show a line that is no part of the session."""
        self._print([Line(line, tone)])

    # Showing.

    async def _show(self) -> None:
        """Paint events as they come, those of a frame together."""
        with self._session.events() as events:
            async for event in events:
                self._take(event, events)
                self._take_waiting(events)
                await self._paint()
                while self._page.waiting:
                    self._take_waiting(events)
                    await self._paint()
        self.desk.leave()

    def _take_waiting(self, events: Reader) -> None:
        """Take the events that are there already, but not too many."""
        for _ in range(EVENTS_PER_FRAME_MAX):
            event = events.take()
            if event is None:
                break
            self._take(event, events)

    def _take(self, event: SessionEvent, events: Reader) -> None:
        blocks = self._blocks(event)
        self._attention.note(event)
        if self._attention.hides(event):
            return
        self._page.add(blocks)
        printed = self._attention.followed(self._session, event)
        self._page.add(Line(f"  {line}") for line in printed)
        if isinstance(event.body, SessionOpened | Reset):
            # What waits was in the view already that has just been told.
            events.skip()
        else:
            self._alert(blocks)

    def _blocks(self, event: SessionEvent) -> list[Block]:
        """What an event means; a fault in that must not end the window."""
        try:
            return self._painter.blocks(event)
        except Exception:
            _log.exception("cannot show %s", event.type)
            return [RENDER_ERROR]

    def _alert(self, blocks: list[Block]) -> None:
        for block in blocks:
            if isinstance(block, Said) and block.called:
                alert = self._alerts.call(block.face.name, block.text, self.desk.now)
                self.desk.application.call(alert)

    async def _paint(self) -> None:
        """Show one frame, and pause."""
        begin = time.perf_counter()
        self._page.add(self._painter.story.commit())
        while self._page.draw(self.desk.columns - 1):
            # A key that came meanwhile is shown first.
            await anyio.lowlevel.checkpoint()
        shown = self._page.take()
        self._region.refresh()
        if shown:
            self.desk.application.print_above(shown)
        else:
            self.desk.application.invalidate()
        if self._region.busy:
            self._busy.set()
        cost_s = time.perf_counter() - begin
        await anyio.sleep(max(FRAME_S, COST_FACTOR * cost_s))

    def _print(self, blocks: list[Block]) -> None:
        width = self.desk.columns - 1
        self.desk.application.print_above(self._painter.drawn(blocks, width))

    async def _animate(self) -> None:
        """Keep the spinner and the seconds going; idle, only what has changed."""
        while True:
            if self._region.busy:
                await self._turn_spinner()
                continue
            self._busy = anyio.Event()
            counting = counts_down(self._session.links)
            with anyio.move_on_after(COUNT_S if counting else IDLE_S):
                await self._busy.wait()
            shown = self.desk.shown
            if shown != self._shown:
                self._shown = shown
                self.desk.application.invalidate()

    async def _turn_spinner(self) -> None:
        """Draw what moves by itself, unless it was drawn for another reason."""
        pause_s = SPIN_S if self._look.motion else STILL_S
        application = self.desk.application
        due_s = application.drawn_s + pause_s - anyio.current_time()
        if due_s <= 0:
            self._region.refresh()
            application.invalidate()
        await anyio.sleep(due_s if due_s > 0 else pause_s)

    # What was seen.

    async def _remember(self) -> None:
        while True:
            await anyio.sleep(SEEN_S)
            await self._note_seen()

    async def _note_seen(self) -> None:
        session = self._session
        last = session.view.tail(1)
        if last:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(
                    write_seen, session.place.data, session.id, last[0].id
                )

    def _stray(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, object]
    ) -> None:
        """Log what no task took care of; a traceback would spoil the screen."""
        error = context.get("exception")
        _log.error(
            "in the event loop: %s",
            context.get("message"),
            exc_info=error if isinstance(error, Exception) else None,
        )
        self.note("✗ something went wrong inside; the log says more", "bad")


def _from_thread(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Do something in the loop's thread; nothing if the loop has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(act)
