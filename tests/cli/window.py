"""A window on a screen in memory, and somebody else in its session; for tests."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pyte
import pytest
from crdtsync_cli.terminal.live import SyncOutput
from crdtsync_cli.terminal.look import Look
from crdtsync_cli.terminal.screen import Screen
from crdtsync_cli.terminal.seen import read_seen
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input

from crdtsync.clock import SystemClock
from crdtsync.session import Session
from crdtsync.session.opening import open_session

__all__ = ["Tty", "Window", "prompt_rows", "window"]

WAIT_S = 30.0


class Tty(io.StringIO):
    """A terminal in memory; keeps the frames as they were written."""

    encoding = "utf-8"

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.size = Size(rows=rows, columns=columns)
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self.frames: list[str] = []
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.frames.append(text)
        self._stream.feed(re.sub(r"\x1b\[\?2026[hl]", "", text))
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def all(self) -> list[str]:
        rows = [
            "".join(row[x].data for x in range(self.screen.columns)).rstrip()
            for row in self.screen.history.top
        ]
        return rows + self.shown


class HeldClock(SystemClock):
    """The machine's clock, which a test can hold."""

    def __init__(self) -> None:
        super().__init__()
        self._held: float | None = None

    def hold(self) -> None:
        """Let no time pass from now on."""
        self._held = super().boottime()

    def release(self) -> None:
        """Go on."""
        self._held = None

    def boottime(self) -> float:
        return super().boottime() if self._held is None else self._held


class Window:
    """A window under test, and somebody else in the same session."""

    def __init__(
        self, screen: Screen, tty: Tty, keys: PipeInput, me: Session, other: Session
    ) -> None:
        assert isinstance(me.place.clock, HeldClock)
        self.clock = me.place.clock
        self.screen = screen
        self.tty = tty
        self.keys = keys
        self.me = me
        self.other = other

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.move_on_after(WAIT_S):
            while not condition():  # noqa: ASYNC110 - a screen has no event to wait for
                await anyio.sleep(0.01)
            return
        pytest.fail("\n".join(["it never came; the screen is:", *self.tty.all]))

    async def until_shown(self, text: str) -> None:
        await self.until(lambda: any(text in line for line in self.tty.all))

    def type(self, text: str) -> None:
        self.keys.send_text(text)


@asynccontextmanager
async def window(
    data: Path, columns: int = 70, rows: int = 14, look: Look | None = None
) -> AsyncGenerator[Window]:
    tty = Tty(columns, rows)
    output = SyncOutput(tty, lambda: tty.size, term="xterm", enable_cpr=False)
    with create_pipe_input() as keys:
        async with (
            open_session("talk", data=data, name="ana", clock=HeldClock()) as ana,
            open_session("talk", data=data, name="bob") as bob,
        ):
            seen = read_seen(data, ana.id)
            screen = Screen(ana, keys, output, look or Look(), seen=seen)
            async with anyio.create_task_group() as group:
                group.start_soon(screen.run)
                found = Window(screen, tty, keys, ana, bob)
                await found.until_shown("ana ›")  # noqa: RUF001 - the prompt
                yield found
                screen.desk.leave()


def prompt_rows(tty: Tty) -> list[str]:
    return [line for line in tty.all if line.startswith("ana ›")]  # noqa: RUF001
