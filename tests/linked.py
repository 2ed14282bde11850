"""A relay as small as can be, made of the protocol core, and sessions linked to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from crdtsync.clock import SystemClock
from crdtsync.document import Document
from crdtsync.export import export_session
from crdtsync.links.bounded import ByteQueue
from crdtsync.links.link import Dial, Link, Links, open_links
from crdtsync.links.transport import Faults, Transport, TransportClosed, memory_pair
from crdtsync.merging import import_file
from crdtsync.schema import ROOTS, JsonObject
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.sync.admission import Admitted, DocIndex
from crdtsync.sync.arrivals import (
    Arrival,
    Asked,
    Came,
    Closed,
    Greeted,
    LeaseCame,
    PresenceCame,
)
from crdtsync.sync.closing import NackCode
from crdtsync.sync.conduct import FEATURES, Conduct, relay_hello
from crdtsync.sync.leasing import answer_to_json, request_from_json
from crdtsync.sync.messages import ClientState, Limits
from crdtsync.sync.protocol import Peer
from crdtsync.sync.wire import FRAME_BYTES_MAX
from crdtsync.turns.arbiter import Granted
from tests.host.stage import QUICK

NAME = "wss://relay/ws/s"


@dataclass(eq=False)
class Seat:
    """One connection of the relay."""

    peer: Peer
    transport: Transport
    out: ByteQueue[bytes] = field(default_factory=lambda: ByteQueue(1 << 30))
    clients: dict[int, ClientState] = field(default_factory=dict)
    received_bytes: int = 0
    sent_bytes: int = 0

    def drain(self) -> None:
        for frame in self.peer.frames():
            self.sent_bytes += len(frame)
            self.out.put(frame, len(frame))


@dataclass(eq=False)
class Relay:
    """It admits, applies, passes on, acknowledges at once, and grants every lease."""

    tasks: TaskGroup
    name: str = NAME
    document_id: str = ""
    role: str = "editor"
    features: frozenset[str] = FEATURES
    frame_bytes: int = FRAME_BYTES_MAX
    arb: str = ""
    subprotocol: str = "crdtsync.v1"
    refuses: TransportClosed | None = None
    nack: NackCode | None = None
    answers: bool = True
    document: Document = field(default_factory=Document)
    index: DocIndex = field(default_factory=lambda: DocIndex(ROOTS))
    seats: list[Seat] = field(default_factory=list)
    faults: list[Faults] = field(default_factory=list)
    dialled: int = 0
    leases: list[JsonObject] = field(default_factory=list)

    @property
    def dial(self) -> Dial:
        @asynccontextmanager
        async def connect() -> AsyncGenerator[Transport]:
            self.dialled += 1
            if self.refuses is not None:
                raise self.refuses
            faults = Faults()
            self.faults.append(faults)
            pair = memory_pair(faults, subprotocol=self.subprotocol)
            async with pair as (window, relay):
                self.tasks.start_soon(self._serve, relay)
                yield window

        return connect

    def cut(self) -> None:
        """Break every connection."""
        for faults in self.faults:
            faults.cut()
        self.faults.clear()

    def stall(self) -> None:
        """Let every connection swallow what is sent."""
        for faults in self.faults:
            faults.stalled = True
        self.faults.clear()

    def empty(self) -> None:
        """Come back without anything."""
        self.document, self.index = Document(), DocIndex(ROOTS)
        self.cut()

    async def _serve(self, transport: Transport) -> None:
        hello = relay_hello(
            self.document_id,
            role=self.role,
            participant="",
            limits=Limits(frame_bytes=self.frame_bytes),
            features=self.features,
            relay=self.arb,
        )
        conduct = Conduct(
            hello,
            layer_2=self.subprotocol == "crdtsync.v1",
            others_write=self.role != "viewer",
            beat_s=QUICK.beat_s,
        )
        now = SystemClock().boottime()
        seat = Seat(Peer(conduct, self.document, now=now), transport)
        if self.answers:
            seat.peer.open(now)
            seat.drain()
        self.seats.append(seat)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write, seat)
                tasks.start_soon(self._tick, seat)
                await self._read(seat)
                tasks.cancel_scope.cancel()
        finally:
            self.seats.remove(seat)
            self._show(seat, [ClientState(c, 2**40, None) for c in seat.clients])

    async def _read(self, seat: Seat) -> None:
        while True:
            try:
                frame = await seat.transport.receive()
            except TransportClosed:
                return
            seat.received_bytes += len(frame)
            if not self.answers:
                continue
            now = SystemClock().boottime()
            for arrival in seat.peer.receive(frame, now):
                self._act(seat, arrival, now)
            seat.drain()

    async def _write(self, seat: Seat) -> None:
        while True:
            try:
                await seat.transport.send(await seat.out.get())
            except TransportClosed:
                return

    async def _tick(self, seat: Seat) -> None:
        while True:
            now = SystemClock().boottime()
            if self.answers:
                for arrival in seat.peer.tick(now):
                    if isinstance(arrival, Closed):
                        await seat.transport.close(arrival.code, arrival.reason)
                seat.drain()
            await anyio.sleep(0.1)

    def _act(self, seat: Seat, arrival: Arrival, now: float) -> None:
        match arrival:
            case Asked(vector):
                seat.peer.answer(self.document.diff(vector), now)
            case Came(update, number, _):
                self._take(seat, update, number, now)
            case Greeted():
                everybody = [s for each in self.seats for s in each.clients.values()]
                seat.peer.send_presence(everybody, now)
            case PresenceCame(states):
                seat.clients |= {entry.client: entry for entry in states}
                self._show(seat, list(states))
            case LeaseCame(body):
                self.leases.append(body)
                request = request_from_json(body)
                answer = Granted("arb", request.epoch + 1, 15.0, None)
                seat.peer.send_lease(answer_to_json(request.id, answer), now)

    def _take(self, seat: Seat, update: bytes, number: int, now: float) -> None:
        if self.nack is not None:
            seat.peer.refuse(number, self.nack, "no", now)
            return
        admission = self.index.check(self.index.scan(update))
        assert isinstance(admission, Admitted), admission
        change = self.document.apply([update])
        self.index.commit(admission)
        seat.peer.acknowledge(number, now)
        for other in self.seats:
            if other is not seat and other.peer.wants_updates and change.update:
                other.peer.send_update(change.update, now)
                other.drain()

    def _show(self, seat: Seat, states: list[ClientState]) -> None:
        now = SystemClock().boottime()
        for other in self.seats:
            if other is not seat and states:
                other.peer.send_presence(states, now)
                other.drain()

    def say(self, update: bytes) -> None:
        """Send an update to everybody without looking at it."""
        for seat in self.seats:
            seat.peer.send_update(update, SystemClock().boottime())
            seat.drain()


@asynccontextmanager
async def relaying() -> AsyncGenerator[Relay]:
    async with anyio.create_task_group() as tasks:
        yield Relay(tasks)
        tasks.cancel_scope.cancel()


async def make_session(folder: Path) -> None:
    """Make the session "s" in a data folder."""
    async with open_session("s", data=folder, name="ana", timing=QUICK):
        pass


async def copy_session(source: Path, target: Path) -> None:
    """Give another data folder, of another machine, the same session."""
    async with open_session("s", data=source, mode="reader", timing=QUICK) as session:
        content = export_session(session.view, session.replica.document, "ydoc")
    file = anyio.Path(source) / "s.ydoc"
    await file.write_bytes(content)
    await import_file(Path(file), data=target, name="s")


@dataclass
class Linked:
    """A session with links."""

    session: Session
    links: Links
    link: Link

    def texts(self) -> list[str]:
        view = self.session.view
        return [view.text(message.id) for message in view.messages]

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(15):
            await self.session.wait_for(lambda _: condition())

    async def reach(self, *states: str) -> None:
        with anyio.fail_after(15):
            await self.link.wait_for(*states)  # type: ignore[arg-type]

    async def synced(self) -> None:
        with anyio.fail_after(15):
            await self.link.wait_synced()


@asynccontextmanager
async def linked(
    folder: Path, relay: Relay, *, name: str = "ana"
) -> AsyncGenerator[Linked]:
    """Open the session of a data folder and link it to a relay."""
    async with (
        open_session("s", data=folder, name=name, timing=QUICK) as session,
        open_links(session) as links,
    ):
        yield Linked(session, links, links.join(relay.name, relay.dial))
