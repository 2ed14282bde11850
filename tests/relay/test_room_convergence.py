"""Any interleaving of peers, losses and crashes of the disk's writer converges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdtsync.sync.messages import SyncStep1, SyncStep2, Update
from crdtsync.sync.untyped import Broken, Judge, Outcome, UntypedDocument
from tests.relay.dialogue import Scene, Writer

PEERS = 4

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "read", "flush", "commit", "leave", "join"]),
        st.integers(0, PEERS - 1),
    ),
    max_size=60,
)


@dataclass
class Table:
    """Four writers at one room, each with at most one connection."""

    scene: Scene = field(default_factory=Scene)
    writers: list[Writer] = field(
        default_factory=lambda: [Writer(client + 1) for client in range(PEERS)]
    )
    peers: dict[int, int] = field(default_factory=dict)
    connections: int = 0

    def join(self, index: int) -> None:
        if index in self.peers:
            return
        self.connections += 1
        self.peers[index] = self.connections
        self.scene.join(self.connections)
        writer = self.writers[index]
        self.scene.say(self.connections, SyncStep1(writer.doc.get_state()))

    def read(self, index: int) -> None:
        peer = self.peers.get(index)
        if peer is None:
            return
        writer = self.writers[index]
        for message in self.scene.heard(peer):
            match message:
                case SyncStep1(state):
                    update = writer.doc.get_update(state)
                    self.scene.say(peer, SyncStep2(update))
                case _:
                    writer.take([message])

    def leave(self, index: int) -> None:
        if (peer := self.peers.pop(index, None)) is not None:
            self.scene.room.leave(peer, now=self.scene.now)
            self.scene.work()
            self.scene.heard(peer)

    def write(self, index: int) -> None:
        update = self.writers[index].write("abcd"[index])
        if (peer := self.peers.get(index)) is not None:
            self.scene.say(peer, Update(update))

    def do(self, step: str, index: int) -> None:
        match step:
            case "write":
                self.write(index)
            case "read":
                self.read(index)
            case "flush":
                self.scene.flush()
            case "commit":
                self.scene.commit()
            case "leave":
                self.leave(index)
            case "join":
                self.join(index)

    def settle(self) -> None:
        """Bring everybody back, and let everything arrive."""
        for index in range(PEERS):
            self.join(index)
        for _ in range(3):
            self.scene.now += 3
            for index in range(PEERS):
                self.read(index)
            self.scene.flush()
            self.scene.room.tick(now=self.scene.now)
            self.scene.work()
        self.scene.commit()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_any_interleaving_of_peers_converges(steps: list[tuple[str, int]]) -> None:
    table = Table()
    table.scene.load()
    for step, index in steps:
        table.do(step, index)
    table.settle()
    texts = {str(writer.text) for writer in table.writers}
    assert len(texts) == 1
    stored: Doc[Text] = Doc()
    for update in table.scene.log:
        stored.apply_update(update)
    assert {str(stored.get("t", type=Text))} == texts
    written = sum(step == "write" for step, _ in steps)
    assert len(texts.pop()) == written
    assert not table.scene.room.hall.intake.parked()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=20))
def test_whatever_a_peer_sends_no_other_peer_notices(
    frames: list[tuple[bool, bytes]],
) -> None:
    scene, writer = Scene(), Writer(7)
    scene.load()
    scene.join(1)
    scene.join(2, layer_2=True)
    scene.join(3)
    scene.sync(3)
    for speaks, frame in frames:
        scene.say_bytes(2 if speaks else 1, frame)
        scene.flush()
    scene.say(3, Update(writer.write("a")))
    scene.flush()
    assert 3 not in scene.closed
    scene.commit()
    assert any(writer.updates[0] in row for row in scene.log)


def test_an_update_that_breaks_the_document_costs_its_author_only() -> None:
    """The native code is made to raise for one update, as it might for a new fault."""

    class Fragile(UntypedDocument):
        def apply(
            self, updates: Sequence[bytes], judge: Judge | None = None
        ) -> Outcome:
            if poison in updates:
                raise Broken
            return super().apply(updates, judge)

    scene, writer, other = Scene(), Writer(7), Writer(8)
    poison = Writer(9).write("boom")
    scene.room.loaded(Fragile({}, session=False), now=scene.now)
    scene.work()
    for peer in (1, 2, 3):
        scene.join(peer)
        scene.sync(peer)
    scene.flush()
    scene.say(1, Update(writer.write("a")))
    scene.flush()
    for peer, update in ((1, writer.write("b")), (2, poison), (3, other.write("x"))):
        scene.say(peer, Update(update))
    loads = scene.loads
    while scene.room.has_work or scene.room.is_congested:
        scene.flush()
        if scene.room.is_congested:
            fragile = Fragile({}, session=False)
            fragile.apply(list(scene.log))
            scene.room.loaded(fragile, now=scene.now)
            scene.work()
    assert scene.loads > loads
    assert not scene.closed
    assert scene.room.hall.refused == 1
    scene.commit()
    stored: Doc[Text] = Doc()
    for update in scene.log:
        stored.apply_update(update)
    assert sorted(str(stored.get("t", type=Text))) == ["a", "b", "x"]
