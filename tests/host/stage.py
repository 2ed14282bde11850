"""What the tests of sessions and turns share: quick times, agents, and conditions."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from crdtsync.agents import AgentSpec
from crdtsync.clock import SystemClock
from crdtsync.events import SessionEvent
from crdtsync.schema import ROOTS
from crdtsync.session import Session
from crdtsync.turns.timing import Timing
from crdtsync.view import SessionView

ROOT = Path(__file__).parents[2]

QUICK = Timing(
    ttl_s=4.0,
    heartbeat_s=0.8,
    rpc_timeout_s=0.8,
    stop_time_s=1.0,
    margin_s=1.2,
    quarantine_s=4.0,
    offline_after_s=1.0,
    settle_s=0.1,
    beat_s=1.0,
    tick_s=0.1,
)
"""Times that keep the rules T-1 to T-4, for tests that wait for a real lease."""

ECHO = AgentSpec("exec", "echo", ("cat",))
"""Answers with what it is told; runs on asyncio and trio."""


class JumpingClock:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def boottime(self) -> float:
        return self._clock.boottime() + self._ahead_s

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._ahead_s)

    def boot_id(self) -> str:
        return self._clock.boot_id()


def shell(script: str) -> AgentSpec:
    """An agent that is a line of sh; the prompt is on its stdin."""
    return AgentSpec("exec", "sh", ("sh", "-c", script))


def texts(view: SessionView, *roles: str) -> list[str]:
    """The texts of the messages of these roles, in order."""
    return [view.text(m.id) for m in view.messages if m.role in roles]


def answers(view: SessionView) -> list[str]:
    return texts(view, "assistant")


def digest(session: Session) -> str:
    """Equal for equal documents."""
    document = session.replica.document
    content = [
        document.headers(),
        *(document.json(r) for r in ROOTS if r != "messages"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def until(session: Session, condition: Callable[[SessionView], bool]) -> None:
    """Wait until the view is so, for at most a while."""
    with anyio.fail_after(30):
        await session.wait_for(condition)


async def level(*sessions: Session) -> None:
    """Wait until all have seen what any of them has."""
    for session in sessions:
        await session.flush()
    head = max(session.head for session in sessions)
    with anyio.fail_after(30):
        for session in sessions:
            await session.wait_for(lambda _, s=session: s.head >= head)  # type: ignore[misc]


async def read_until(
    events: AsyncIterator[SessionEvent], last: str
) -> list[SessionEvent]:
    """Read events up to the first of a type."""
    found: list[SessionEvent] = []
    with anyio.fail_after(30):
        async for event in events:
            found.append(event)
            if event.type == last:
                break
    return found


class Window:
    """A window in a process of its own; see `tests.host.window`."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._asked = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    async def next(self) -> dict[str, Any]:
        """The next line; an empty object at the end."""
        stream = self.process.stdout
        assert stream is not None
        while b"\n" not in self._rest:
            try:
                self._rest += await stream.receive()
            except anyio.EndOfStream:
                return {}
        line, self._rest = self._rest.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        self.events.append(found)
        return found

    async def until(self, kind: str, **data: object) -> dict[str, Any]:
        """Read on to the first event of a type, with this data."""
        with anyio.fail_after(30):
            while found := await self.next():
                told = found.get("data", {})
                if found["type"] == kind and data.items() <= told.items():
                    return found
        raise AssertionError(f"the window ended without {kind}: {self.events[-3:]}")

    async def tell(self, **command: object) -> dict[str, Any]:
        """Have a command obeyed, and return the answer."""
        self._asked += 1
        stream = self.process.stdin
        assert stream is not None
        line = json.dumps({"ref": self._asked, **command})
        await stream.send(line.encode() + b"\n")
        answer = await self.until("answer", ref=self._asked)
        data: dict[str, Any] = answer["data"]
        return data


@asynccontextmanager
async def window(
    data: Path,
    name: str = "ana",
    agent: AgentSpec | None = None,
    *,
    session: str = "x",
    relay: str = "",
    timing: Timing = QUICK,
) -> AsyncIterator[Window]:
    """A window in a process, killed at the end if it is there still."""
    spec = asdict(agent) if agent is not None else None
    job = {"data": str(data), "name": name, "session": session, "agent": spec}
    job |= {"timing": asdict(timing), "relay": relay}
    command = [sys.executable, "-m", "tests.host.window", json.dumps(job)]
    async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
        try:
            yield Window(process)
        finally:
            if process.returncode is None:
                process.kill()
