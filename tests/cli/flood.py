"""A window of its own in a raw terminal, while an answer streams in.

As a program it is the window: `python -m tests.cli.flood DATA SCENE`. Otherwise it is
the terminal: it reads what the window writes and looks at the screen.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import anyio
import pyte
from crdtsync_cli.terminal.look import Look
from crdtsync_cli.terminal.screen import run_screen

from crdtsync.entities import Message, ToolCall
from crdtsync.events import (
    AssistantDelta,
    AssistantMessage,
    MessageAdded,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from crdtsync.session import Session
from crdtsync.session.opening import open_session

WAIT_S = 30.0
OPENING_S = 2.0
NAME = "ana"
PROMPT = f"{NAME} ›"  # noqa: RUF001 - the sign before the input

ANSWER = [
    "## Plan for the *sync engine*\n\n",
    "The loop keeps **both replicas** convergent: every remote operation is ordered "
    "against the local queue, then applied; 日本語 and ✅ are two cells wide.\n\n",
    "- first item with `inline code`\n- second item, a bit longer so that it wraps "
    "around the edge of the terminal at eighty columns for sure\n- third item\n\n",
    "```python\n" + "".join(f"value_{n} = merge({n}, {n})\n" for n in range(20)),
    "```\n\n",
    "| name | state | queue |\n|---|---|---|\n| ana | typing | 1 |\n| bob | idle | 0 |",
    "\n\n1. run the tests\n2. push the branch\n\n> quoted from the turn before\n\n",
]
TOKENS: list[str] = [
    token for text in ANSWER for token in re.findall(r"\S+\s*|\s+", text)
]

_MARK = re.compile(rb"\x1b\[\?2026([hl])")


class Terminal:
    """The other end: a screen of 80 by 24, and what was seen of it.

    Attributes:
        came_s: When the last bytes came that were read. A thread takes the time, as
            this screen takes a hundred times as long for them as a terminal does.
        inside: Whether they ended in the middle of a frame.
    """

    def __init__(self, descriptor: int, pid: int) -> None:
        self.pid = pid
        self.written = b""
        self.screen = pyte.HistoryScreen(80, 24, history=20_000)
        self.looks = 0
        self.bad: list[str] = []
        self.typed: str | None = None
        self.moved = 0
        self.came_s = 0.0
        self.inside = False
        self._descriptor = descriptor
        self._stream = pyte.ByteStream(self.screen)
        self._chunks: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        Thread(target=self._receive, daemon=True).start()

    def send(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def read(self, timeout_s: float) -> bool:
        """Take one read, and look at the screen unless it is inside of a frame."""
        try:
            self.came_s, data = self._chunks.get(timeout=timeout_s)
        except Empty:
            return False
        self.written = (self.written + data)[-1_000_000:]
        self.moved += len(data)
        marks = _MARK.findall(data)
        if marks:
            self.inside = marks[-1] == b"h"
        self._stream.feed(_MARK.sub(b"", data))
        if self.typed is not None and not self.inside:
            self.looks += 1
            if not self.line.startswith(self.typed):
                self.bad.append("\n".join(self.screen.display))
        return True

    def _receive(self) -> None:
        with suppress(OSError):
            while data := os.read(self._descriptor, 65536):
                self._chunks.put((time.monotonic(), data))

    @property
    def line(self) -> str:
        """What is typed, as the screen shows it; "?" without a prompt."""
        shown = [row for row in self.screen.display if row.startswith(PROMPT)]
        return shown[0][len(PROMPT) + 1 :].rstrip() if len(shown) == 1 else "?"

    def until(self, text: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not any(text in row for row in self.screen.display):
            self.read(0.05)
            if time.monotonic() > deadline:
                raise AssertionError("\n".join([f"no {text!r}", *self.screen.display]))


@contextmanager
def flooded(data: Path, scene: str) -> Iterator[Terminal]:
    """Run a window in which one of `SCENES` is played."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [sys.executable, "-m", "tests.cli.flood", str(data), scene]
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process.pid)
        finally:
            process.kill()
            os.close(ours)


async def _stream(session: Session) -> None:
    """1,000 deltas a second, until somebody says that it is enough."""
    session.notify(TurnStarted("t", (), "demo", 1, ""))
    await _beat(lambda at: session.notify(AssistantDelta("m", "t", _token(at))))


async def _idle_beat(_: Session) -> None:
    """What it costs to be woken so often, without anything to show."""
    await _beat(lambda _: None)


async def _beat(act: Callable[[int], None]) -> None:
    begin, done = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - begin) * 1000)
        while done < due:
            act(done)
            done += 1
        await anyio.sleep(0.001)


def _token(at: int) -> str:
    return TOKENS[at % len(TOKENS)]


async def _spin(session: Session) -> None:
    """A turn that says nothing."""
    await anyio.sleep(OPENING_S)
    session.notify(TurnStarted("t", (), "demo", 1, ""))


async def _rest(session: Session) -> None:
    """Nothing at all."""


async def _day(session: Session) -> None:
    """The turns of eight hours, one a minute, one after the other."""
    await anyio.sleep(OPENING_S)
    for number in range(1, 481):
        await _turn(session, f"t{number}")
        if number in {80, 480}:
            note = Message(f"n{number}", "note", session.me.id, "", f"turns: {number}")
            session.notify(MessageAdded(note, queued=False))
            await anyio.sleep(1)


async def _turn(session: Session, turn: str) -> None:
    asked = Message(f"p{turn}", "user", session.me.id, session.now(), f"do {turn}")
    session.notify(MessageAdded(asked, queued=True))
    session.notify(TurnStarted(turn, (), "demo", 1, ""))
    for token in TOKENS[:100]:
        session.notify(AssistantDelta(f"m{turn}", turn, token))
    answer = Message(f"m{turn}", "assistant", "demo", session.now(), turn=turn)
    session.notify(AssistantMessage(answer, "".join(TOKENS[:100])))
    for phase in ("in_progress", "completed"):
        for at in range(5):
            tool = ToolCall(
                f"{turn}/{at}", title=f"Read {at}", kind="read", phase=phase
            )
            session.notify(ToolChanged(tool))
        await anyio.sleep(0.03)
    session.notify(TurnEnded(turn, "ended", "main", "end_turn", ""))


SCENES = {
    "stream": _stream,
    "beat": _idle_beat,
    "spin": _spin,
    "rest": _rest,
    "day": _day,
}


async def _main(data: str, scene: str) -> None:
    async with (
        open_session("flood", data=Path(data), name=NAME) as session,
        anyio.create_task_group() as group,
    ):
        group.start_soon(SCENES[scene], session)
        await run_screen(session, Look())
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], sys.argv[2])
