"""Windows and relays over connections that break: everything arrives everywhere.

Nothing here does I/O: a drawn schedule says who writes, which frame arrives, which
connection breaks and what time it is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crdtsync.document import Document
from crdtsync.schema import ROOTS
from crdtsync.sync.admission import Admitted, DocIndex
from crdtsync.sync.arrivals import Acked, Arrival, Asked, Came, Closed
from crdtsync.sync.conduct import Conduct
from crdtsync.sync.protocol import Peer, Stage
from crdtsync.sync.wire import Update, encode
from tests.sync.dialogue import keys, pair, relay_conduct, say, talk, window_conduct

WINDOWS = 3
RELAYS = 2


@dataclass(eq=False)
class Node:
    """A window or a relay: it admits, applies, passes on and acknowledges."""

    document: Document = field(default_factory=Document)
    index: DocIndex = field(default_factory=lambda: DocIndex(ROOTS))
    wires: list[Wire] = field(default_factory=list)

    def write(self, key: str) -> None:
        update = say(self.document, key)
        self._commit(update)
        self.pass_on(update, None)

    def take(self, update: bytes, source: Wire) -> None:
        self._commit(update)
        change = self.document.apply([update])
        if change.update:
            self.pass_on(change.update, source)

    def pass_on(self, update: bytes, source: Wire | None) -> None:
        for wire in self.wires:
            if wire is not source and wire.peer_of(self).wants_updates:
                wire.peer_of(self).send_update(update, wire.now)

    def _commit(self, update: bytes) -> None:
        admission = self.index.check(self.index.scan(update))
        # A connection keeps its order, so nothing ever waits for something.
        assert isinstance(admission, Admitted)
        self.index.commit(admission)


@dataclass(eq=False)
class Wire:
    """One connection between a window and a relay; frames on their way both ways."""

    window: Node
    relay: Node
    now: float
    ends: dict[Node, Peer] = field(default_factory=dict)
    waiting: dict[Node, deque[bytes]] = field(default_factory=dict)
    unacknowledged: int = 0
    bytes_carried: int = 0

    def __post_init__(self) -> None:
        conducts = ((self.window, window_conduct()), (self.relay, relay_conduct()))
        for node, conduct in conducts:
            self._open(node, conduct)

    def _open(self, node: Node, conduct: Conduct) -> None:
        peer = Peer(conduct, node.document, now=self.now)
        peer.open(self.now)
        self.ends[node], self.waiting[node] = peer, deque()
        node.wires.append(self)

    def peer_of(self, node: Node) -> Peer:
        return self.ends[node]

    def other(self, node: Node) -> Node:
        return self.relay if node is self.window else self.window

    def deliver(self, target: Node) -> bool:
        """Let the next frame arrive; returns whether there was one."""
        self.collect()
        if not self.waiting[target]:
            return False
        frame = self.waiting[target].popleft()
        self.bytes_carried += len(frame)
        for arrival in self.ends[target].receive(frame, self.now):
            self.act(target, arrival)
        self.collect()
        return True

    def collect(self) -> None:
        for node in (self.window, self.relay):
            self.waiting[self.other(node)].extend(self.ends[node].frames())

    def act(self, node: Node, arrival: Arrival) -> None:
        peer = self.ends[node]
        match arrival:
            case Asked(vector):
                peer.answer(node.document.diff(vector), self.now)
            case Came(update, number, _):
                node.take(update, self)
                if node is self.relay:
                    self.unacknowledged = number
            case Acked():
                assert node is self.window
            case Closed() as closed:
                raise AssertionError(closed)

    def commit(self) -> bool:
        """Acknowledge what came; returns whether there was something."""
        if not self.unacknowledged:
            return False
        self.ends[self.relay].acknowledge(self.unacknowledged, self.now)
        self.unacknowledged = 0
        return True

    def cut(self) -> None:
        for node in (self.window, self.relay):
            node.wires.remove(self)

    @property
    def live(self) -> bool:
        return all(peer.stage is Stage.LIVE for peer in self.ends.values())


nodes = st.integers(0, WINDOWS - 1)
relays = st.integers(0, RELAYS - 1)


class Partitions(RuleBasedStateMachine):
    """Any schedule of writes, arrivals, cuts, reconnections and emptied relays."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = [Node() for _ in range(WINDOWS)]
        self.relays = [Node() for _ in range(RELAYS)]
        self.wires: dict[tuple[int, int], Wire] = {}
        self.written: set[str] = set()
        self.now = 0.0

    @rule(window=nodes)
    def write(self, window: int) -> None:
        key = f"m{len(self.written):03}"
        self.written.add(key)
        self.windows[window].write(key)

    @rule(window=nodes, relay=relays)
    def connect(self, window: int, relay: int) -> None:
        if (window, relay) not in self.wires:
            wire = Wire(self.windows[window], self.relays[relay], self.now)
            self.wires[window, relay] = wire

    @rule(window=nodes, relay=relays, up=st.booleans(), frames=st.integers(1, 6))
    def deliver(self, window: int, relay: int, *, up: bool, frames: int) -> None:
        wire = self.wires.get((window, relay))
        for _ in range(frames if wire else 0):
            assert wire is not None
            wire.deliver(wire.relay if up else wire.window)

    @rule(window=nodes, relay=relays)
    def cut(self, window: int, relay: int) -> None:
        wire = self.wires.pop((window, relay), None)
        if wire is not None:
            wire.cut()

    @rule(relay=relays)
    def commit(self, relay: int) -> None:
        for (_, number), wire in self.wires.items():
            if number == relay:
                wire.commit()

    @rule(relay=relays)
    def empty_relay(self, relay: int) -> None:
        """It comes back without anything; only acknowledged windows may forget."""
        for window in range(WINDOWS):
            self.cut(window, relay)
        self.relays[relay] = Node()

    @rule(seconds=st.floats(0.1, 4.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for wire in self.wires.values():
            wire.now = self.now
            for node, peer in wire.ends.items():
                # Frames that wait are read before time counts.
                while wire.deliver(node):
                    pass
                assert peer.tick(self.now) == []

    @invariant()
    def nobody_knows_what_nobody_wrote(self) -> None:
        for node in self.windows + self.relays:
            assert set(keys(node.document)) <= self.written

    def teardown(self) -> None:
        for window in range(WINDOWS):
            for relay in range(RELAYS):
                self.connect(window, relay)
        self._settle()
        for node in self.windows + self.relays:
            assert keys(node.document) == sorted(self.written)
            assert node.document.headers() == self.windows[0].document.headers()
        for wire in self.wires.values():
            assert wire.live
            assert wire.ends[wire.window].unsettled == 0

    def _settle(self) -> None:
        busy = True
        while busy:
            busy = False
            for wire in self.wires.values():
                busy |= wire.deliver(wire.relay) | wire.deliver(wire.window)
                busy |= wire.commit()


TestPartitions = Partitions.TestCase
TestPartitions.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


@pytest.mark.parametrize("missed", [1, 20])
def test_bytes_after_a_break_are_in_proportion_to_what_was_missed(missed: int) -> None:
    window, relay = Node(), Node()
    for number in range(1000):
        window.write(f"m{number:04}")
    first = Wire(window, relay, 0.0)
    settle(first)
    whole = first.bytes_carried
    first.cut()
    for number in range(missed):
        window.write(f"w{number}")
        relay.write(f"r{number}")
    again = Wire(window, relay, 60.0)
    settle(again)
    assert again.live
    assert keys(window.document) == keys(relay.document)
    assert len(keys(relay.document)) == 1000 + 2 * missed
    assert whole > 70_000
    assert again.bytes_carried < 1000 + 300 * missed


def settle(wire: Wire) -> None:
    while wire.deliver(wire.relay) | wire.deliver(wire.window):
        pass


def test_an_emptied_relay_is_filled_again_by_whoever_is_connected() -> None:
    window = Node()
    wire = Wire(window, Node(), 0.0)
    settle(wire)
    window.write("m1")
    settle(wire)
    wire.cut()
    fresh = Node()
    settle(Wire(window, fresh, 1.0))
    assert keys(fresh.document) == ["m1"]


def test_a_frame_that_arrives_twice_changes_nothing() -> None:
    relay, window = pair()
    relay.peer.open(0.0)
    window.peer.open(0.0)
    talk(relay, window)
    window.peer.answer(b"\0\0", 0.0)
    update = say(window.document, "m1")
    twice = encode(Update(update))
    talk(relay, window)
    for _ in range(3):
        for arrival in relay.peer.receive(twice, 0.0):
            assert isinstance(arrival, Came)
            relay.document.apply([arrival.update])
    assert keys(relay.document) == ["m1"]
