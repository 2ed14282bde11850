"""Machines for tests: data folders with a session each, linked to a real relay."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import Process

from crdtsync.agents import AgentSpec
from crdtsync.events import Notice
from crdtsync.host import Host, HostSettings, run_agent
from crdtsync.links.connecting import Address, connect_websocket
from crdtsync.links.link import Link, Links, open_links
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns.claim import TurnRecord
from crdtsync.turns.timing import Timing
from crdtsync.view import SessionView
from tests.host.stage import QUICK, ROOT, digest
from tests.linked import copy_session, make_session

WAIT_S = 40.0
"""Others work on this machine too."""


@dataclass
class Relay:
    """A relay's process; it can be killed and started again under its address."""

    data: Path
    ttl_s: float = QUICK.ttl_s
    port: int = 0
    process: Process | None = None

    async def start(self) -> None:
        argv = [str(self.data), str(self.port), str(self.ttl_s)]
        command = [sys.executable, "-m", "tests.host.relay_process", *argv]
        self.process = await anyio.open_process(command, cwd=ROOT, stderr=None)
        assert self.process.stdout is not None
        with anyio.fail_after(WAIT_S):
            url = (await self.process.stdout.receive()).decode().strip()
        self.port = int(url.rpartition(":")[2])

    async def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            await self.process.aclose()
            self.process = None

    async def empty(self) -> None:
        """Kill it, and start it anew without anything."""
        await self.kill()
        await anyio.to_thread.run_sync(shutil.rmtree, self.data)
        await self.start()

    def url(self, session: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/{session}"


@asynccontextmanager
async def relay_at(data: Path, *, timing: Timing = QUICK) -> AsyncGenerator[Relay]:
    relay = Relay(data, timing.ttl_s)
    await relay.start()
    try:
        yield relay
    finally:
        with anyio.CancelScope(shield=True):
            await relay.kill()


@dataclass
class Machine:
    """An open session of one data folder, perhaps linked, perhaps with an agent."""

    session: Session
    links: Links
    relay: Relay
    host: Host | None = None
    notices: list[str] = field(default_factory=list)
    heard: anyio.Event = field(default_factory=anyio.Event)

    @property
    def view(self) -> SessionView:
        return self.session.view

    def join(self) -> Link:
        """Begin a link to the relay, or go on with it."""
        url = self.relay.url(self.session.id)
        return self.links.join(url, partial(connect_websocket, Address(url)))

    async def connect(self) -> None:
        with anyio.fail_after(WAIT_S):
            await self.join().wait_for("live")

    def leave(self) -> None:
        """Cut the machine off."""
        self.links.leave(self.relay.url(self.session.id))

    async def until(self, condition: Callable[[SessionView], bool]) -> None:
        with anyio.fail_after(WAIT_S):
            await self.session.wait_for(condition)

    async def ended(self, prompt: str) -> TurnRecord:
        """Wait until a prompt has come here and the turn that took it is over."""
        with anyio.fail_after(WAIT_S):
            await self.session.wait_for(lambda view: view.message(prompt) is not None)
            return await self.session.wait_turn(prompt)

    async def told(self, code: str) -> None:
        """Wait until a notice was shown."""
        with anyio.fail_after(WAIT_S):
            while code not in self.notices:
                await self.heard.wait()

    async def listen(self) -> None:
        with self.session.events() as events:
            async for event in events:
                if isinstance(event.body, Notice):
                    self.notices.append(event.body.code)
                    self.heard.set()
                    self.heard = anyio.Event()


@asynccontextmanager
async def machine(  # noqa: PLR0913 - every option stands alone
    data: Path,
    relay: Relay,
    *,
    name: str = "ana",
    agent: AgentSpec | None = None,
    settings: HostSettings | None = None,
    connected: bool = True,
    timing: Timing = QUICK,
) -> AsyncGenerator[Machine]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        session = await enter(open_session("s", data=data, name=name, timing=timing))
        links = await enter(open_links(session))
        found = Machine(session, links, relay)
        tasks = await enter(anyio.create_task_group())
        tasks.start_soon(found.listen)
        if agent is not None:
            found.host = await enter(run_agent(session, agent, settings))
        if connected:
            await found.connect()
        yield found
        tasks.cancel_scope.cancel()


async def folders(root: Path, count: int) -> list[Path]:
    """Data folders of several machines with the same session, whose owner is "ana"."""
    found = [root / f"m{n}" for n in range(count)]
    await make_session(found[0])
    for other in found[1:]:
        await copy_session(found[0], other)
    return found


async def equal(*machines: Machine) -> None:
    """Wait until all hold the same."""
    with anyio.fail_after(WAIT_S):
        while len({digest(m.session) for m in machines}) > 1:  # noqa: ASYNC110
            await anyio.sleep(0.02)


def classes(machine: Machine) -> dict[str, str]:
    """What each turn is, by its first prompt's text."""
    view = machine.view
    return {
        view.text(turn.claim.prompts[0]): view.reading.classes[turn.id]
        for turn in view.turns.values()
        if turn.claim is not None and turn.claim.prompts and not turn.void
    }
