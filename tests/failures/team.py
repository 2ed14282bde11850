"""A relay in a process of its own, a wire that misbehaves, and machines linked to it.

A machine is a data folder with one window; everything is real but the distance.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR, create_server

import anyio
from anyio.abc import SocketAttribute, SocketStream

from crdtsync.links.connecting import Address, connect_websocket
from crdtsync.links.link import Link, open_links
from crdtsync.links.status import LinkState
from crdtsync.links.transport import Transport
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns.timing import Timing
from tests.host.stage import QUICK
from tests.linked import copy_session

PATIENCE_S = 40.0
"""How long a condition may take on a busy machine."""

_PROGRAM = "from crdtsync_cli.entry import main; raise SystemExit(main())"


@dataclass
class RelayProcess:
    """The relay as people start it; it always comes back on the same port."""

    data: Path
    port: int
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        command = [sys.executable, "-c", _PROGRAM, "--data", str(self.data), "relay"]
        bind = ["--bind", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [*command, *bind],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        # The address is told once connections are taken.
        assert self.process.stdout.readline().startswith("http")

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal; harmless if it does not run."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=PATIENCE_S)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def signal(self, which: signal.Signals) -> None:
        """Stop it, or let it go on."""
        assert self.process is not None
        self.process.send_signal(which)


@asynccontextmanager
async def relay_process(data: Path) -> AsyncGenerator[RelayProcess]:
    """A relay on a port that was free a moment ago."""
    with create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    relay = RelayProcess(data, port)
    await anyio.to_thread.run_sync(relay.start)
    try:
        yield relay
    finally:
        if relay.process is not None:
            relay.process.send_signal(signal.SIGCONT)
        relay.end()


@dataclass
class Wire:
    """A way to the relay on which bytes can be lost, slowed down and counted.

    Attributes:
        port: Connect here.
        swallows: Bytes are taken and go nowhere, in both directions.
        bytes_per_s: What gets through to the window; None for everything.
        carried: Bytes carried so far, both directions.
    """

    port: int
    swallows: bool = False
    bytes_per_s: int | None = None
    carried: int = 0
    streams: list[SocketStream] = field(default_factory=list)

    async def _carry(
        self, source: SocketStream, target: SocketStream, *, down: bool
    ) -> None:
        try:
            while True:
                slow = self.bytes_per_s if down else None
                data = await source.receive(65_536 if slow is None else slow // 10)
                if slow is not None:
                    await anyio.sleep(len(data) / slow)
                if self.swallows:
                    continue
                self.carried += len(data)
                await target.send(data)
        except (
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
        ):
            await source.aclose()
            await target.aclose()

    def cut(self) -> None:
        """Break every connection, without a word."""
        for stream in self.streams:
            raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django
            # It may have ended by itself.
            with suppress(OSError):
                raw.shutdown(SHUT_RDWR)
        self.streams.clear()


@asynccontextmanager
async def wire_to(relay: RelayProcess) -> AsyncGenerator[Wire]:
    """Carry connections to a relay."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    wire = Wire(listener.extra(SocketAttribute.local_port))  # noqa: S610 - no Django

    async def carry(near: SocketStream) -> None:
        try:
            far = await anyio.connect_tcp("127.0.0.1", relay.port)
        except OSError:
            await near.aclose()
            return
        wire.streams += [near, far]
        async with near, far, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: wire._carry(near, far, down=False))  # noqa: SLF001
            await wire._carry(far, near, down=True)  # noqa: SLF001
            tasks.cancel_scope.cancel()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, carry)
        try:
            yield wire
        finally:
            tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class Way:
    """How a link connects; it counts its tries."""

    address: Address
    tries: list[float] = field(default_factory=list)

    def __call__(self) -> AbstractAsyncContextManager[Transport]:
        self.tries.append(anyio.current_time())
        return connect_websocket(self.address)


@dataclass
class Machine:
    """A window on a machine of its own, linked to relays."""

    session: Session
    links: list[Link]
    ways: list[Way]

    @property
    def link(self) -> Link:
        """The first link."""
        return self.links[0]

    def texts(self) -> list[str]:
        """Every message, in order."""
        view = self.session.view
        return [view.text(message.id) for message in view.messages]

    def content(self) -> bytes:
        """Everything, in one canonical form."""
        return self.session.export("json")

    async def until(
        self, condition: Callable[[], bool], patience_s: float = PATIENCE_S
    ) -> None:
        """Wait until something is so in the session."""
        with anyio.fail_after(patience_s):
            await self.session.wait_for(lambda _: condition())

    async def reach(self, *states: LinkState) -> None:
        """Wait until every link is in one of these states."""
        with anyio.fail_after(PATIENCE_S):
            for link in self.links:
                await link.wait_for(*states)

    async def synced(self) -> None:
        """Wait until every relay has everything that is here."""
        with anyio.fail_after(PATIENCE_S):
            for link in self.links:
                await link.wait_synced()


@asynccontextmanager
async def machine(
    folder: Path, name: str, *ports: int, timing: Timing = QUICK
) -> AsyncGenerator[Machine]:
    """Open the session "s" of a data folder, linked to the relays on these ports."""
    async with (
        open_session("s", data=folder, name=name, timing=timing) as session,
        open_links(session) as links,
    ):
        urls = [f"ws://127.0.0.1:{port}/ws/{session.id}" for port in ports]
        ways = [Way(Address(url)) for url in urls]
        joined = [links.join(url, way) for url, way in zip(urls, ways, strict=True)]
        yield Machine(session, joined, ways)


async def make_machines(root: Path, *names: str) -> list[Path]:
    """Give each name a data folder with the same session "s"."""
    folders = [root / name for name in names]
    async with open_session("s", data=folders[0], name=names[0], timing=QUICK):
        pass
    for folder in folders[1:]:
        await copy_session(folders[0], folder)
    return folders
