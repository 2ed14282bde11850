"""The demo's play: two real windows, a real agent process, real files, all removed.

Nothing is staged but the lines that the two people type.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio

from crdtsync.agents.presets import agent_spec
from crdtsync.errors import OperationFailed
from crdtsync.events import (
    ApprovalRequested,
    QueueChanged,
    SessionEvent,
    SessionOpened,
    TypingChanged,
)
from crdtsync.host import HostSettings, run_agent
from crdtsync.sanitize import clean_line
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync_cli.columns import Columns
from crdtsync_cli.facts import queue_lines
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.painter import Painter

__all__ = ["PLAY_S_MAX", "Play"]

PLAY_S_MAX: Final = 120.0
"""The play ends by then, whatever happens."""

TOKENS_PER_S: Final = 30.0
TYPING_S: Final = 1.6
"""How long a person types, and thinks, before a line is sent."""

FRAME_S: Final = 0.05
STEP_S_MAX: Final = 40.0
"""No step of the play takes longer; then something is wrong."""

_FILES: Final = {
    "README.md": "# greet\n\nSays hello, politely.\n\n    python greet.py ana\n",
    "greet.py": "import sys\n\n# TODO: greet in other languages\n"
    'print(f"Hello, {sys.argv[1]}!")\n',
    "test_greet.py": "# TODO: test names that are not ASCII\n",
}


class Play:
    """One performance.

    Args:
        width: Of each of the two columns, in cells.
        speed: Factor; 2 is twice as fast.
        colors: Whether stdout gets colours.
        out: Prints a line.
    """

    def __init__(
        self, width: int, *, speed: float, colors: bool, out: Callable[[str], None]
    ) -> None:
        self._columns = Columns(width, styled=colors)
        self._colors = colors
        self._speed = speed
        self._out = out

    async def run(self) -> str:
        """Perform; returns what can be said of the two replicas at the end."""
        with tempfile.TemporaryDirectory(prefix="crdtsync-demo-") as folder:
            place = Path(folder)
            project = place / "greet"
            project.mkdir()
            for name, text in _FILES.items():
                (project / name).write_text(text, encoding="utf-8")
            return await self._perform(place / "data", project)

    async def _perform(self, data: Path, project: Path) -> str:
        pace = {"CRDTSYNC_DEMO_PACE": str(TOKENS_PER_S * self._speed)}
        spec = replace(agent_spec("demo"), env_set=pace)
        async with AsyncExitStack() as stack:
            ana = await stack.enter_async_context(
                open_session("demo", data=data, name="ana")
            )
            bob = await stack.enter_async_context(
                open_session("demo", data=data, name="bob")
            )
            group = await stack.enter_async_context(anyio.create_task_group())
            for column, session in enumerate((ana, bob)):
                events = stack.enter_context(session.events())
                group.start_soon(self._watch, column, session, events)
            group.start_soon(self._show)
            settings = HostSettings(cwd=project)
            await stack.enter_async_context(run_agent(ana, spec, settings))
            await self._act(ana, bob)
            outcome = _compare(ana, bob)
            await anyio.sleep(FRAME_S * 4)
            group.cancel_scope.cancel()
        self._flush(finish=True)
        return outcome

    async def _act(self, ana: Session, bob: Session) -> None:
        """What the two people do."""
        await self._pause(TYPING_S / 2)
        await self._type(ana, "what is in this folder?")
        await self._until(bob, lambda: bob.view.running is not None)
        await self._type(bob, "search for TODO")
        await self._type(ana, "and write a note about it")
        await self._until(bob, lambda: bool(bob.view.open_approvals()))
        await self._pause(TYPING_S)
        question = bob.view.open_approvals()[0]
        # A row for each, so that the two columns stay in step.
        self._columns.add(0, [""])
        self._columns.add(1, [f"{bob.me.name}: /allow {question.number}"])
        await bob.vote(question.number, allow=True)
        await self._until(bob, lambda: _is_idle(bob))
        await self._until(ana, lambda: _is_idle(ana))
        await self._type(bob, "thanks!", note=True)
        await self._until(ana, lambda: ana.view.tail(1)[0].text == "thanks!")

    async def _type(self, session: Session, text: str, *, note: bool = False) -> None:
        session.company.note_input(typing=True)
        await self._pause(TYPING_S)
        await session.send(text, note=note)

    async def _until(self, session: Session, condition: Callable[[], bool]) -> None:
        with anyio.move_on_after(STEP_S_MAX):
            await session.wait_for(lambda _: condition())
            return
        raise OperationFailed(
            "the demo is stuck", hint="`crdtsync doctor` checks this machine."
        )

    async def _pause(self, seconds: float) -> None:
        await anyio.sleep(seconds / self._speed)

    # What is seen.

    async def _watch(
        self, column: int, session: Session, events: AsyncIterator[SessionEvent]
    ) -> None:
        painter = Painter(session, Ink(colors=self._colors))
        async for event in events:
            match event.body:
                case SessionOpened():
                    title = f"{session.me.name}'s window"
                    self._columns.add(column, [title, "─" * self._columns.width])
                case TypingChanged(typing=True) if event.actor is not None:
                    row = f"… {event.actor.name} is typing"
                    self._columns.add(column, [row])
                case QueueChanged(pending=[_, *_]) if session.view.running:
                    waiting = queue_lines(session)
                    self._columns.add(column, [f"waiting: {row}" for row in waiting])
                case ApprovalRequested(approval=asked):
                    shown = painter.paint(event, self._columns.width)
                    row = f"!! permission {asked.number}: {clean_line(asked.title)}"
                    self._columns.add(column, [*shown.splitlines(), row])
                case _:
                    shown = painter.paint(event, self._columns.width)
                    self._columns.add(column, shown.splitlines())

    async def _show(self) -> None:
        while True:
            await anyio.sleep(FRAME_S)
            self._flush()

    def _flush(self, *, finish: bool = False) -> None:
        for row in self._columns.take(finish=finish):
            self._out(row)


def _is_idle(session: Session) -> bool:
    return session.view.running is None and not session.view.pending


def _compare(ana: Session, bob: Session) -> str:
    """Compare the two replicas, for real."""
    view = ana.view
    same = "the same session" if view == bob.view else "DIFFERENT sessions"
    return (
        f"Both replicas now hold {same}: {view.message_count} messages, "
        f"{len(view.turns)} turns, log {max(ana.head, bob.head)}."
    )
