"""A room and its guests in memory: effects are carried out by hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from crdtsync_relay.budget import Budget
from crdtsync_relay.effects import Close, Commit, Digest, Effect, Load, Send
from crdtsync_relay.limits import Limits
from crdtsync_relay.member import Guest
from crdtsync_relay.presence import Stamp
from crdtsync_relay.room import Room
from pycrdt import Doc, Text

from crdtsync import schema
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import Message, Part, SyncStep1, SyncStep2, Update
from crdtsync.sync.parts import Assembly
from crdtsync.sync.untyped import UntypedDocument
from crdtsync.sync.wire import FRAME_BYTES_MAX, decode, encode

ROOTS = {"t": "text"}


@dataclass
class Scene:
    """One room, told everything by hand; `now` moves only when set."""

    limits: Limits = field(default_factory=Limits)
    now: float = 100.0
    effects: list[Effect] = field(default_factory=list)
    inboxes: dict[int, list[Message]] = field(default_factory=dict)
    frames: dict[int, list[bytes]] = field(default_factory=dict)
    closed: dict[int, Close] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    uncommitted: deque[Commit] = field(default_factory=deque)
    loads: int = 0
    session: bool = False
    digests: deque[Digest] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.room = Room("room", self.limits, session=self.session)
        self.work()

    def work(self) -> None:
        """Let the room say what it wants; only sending is done."""
        for effect in self.room.take():
            self.effects.append(effect)
            match effect:
                case Send():
                    self._deliver(effect)
                case Close(peer):
                    self.closed[peer] = effect
                case Commit():
                    self.uncommitted.append(effect)
                case Load():
                    self.loads += 1
                case Digest():
                    self.digests.append(effect)

    def _deliver(self, send: Send) -> None:
        for peer in send.peers:
            self.frames.setdefault(peer, []).extend(send.frames)
            for frame in send.frames:
                self.inboxes.setdefault(peer, []).extend(decode(frame))

    def load(self) -> None:
        """Give the room what the log holds."""
        roots = schema.ROOTS if self.session else {}
        document = UntypedDocument.load(self.log, roots, session=self.session)
        self.room.loaded(document, now=self.now)
        self.work()

    def join(
        self,
        peer: int,
        *,
        writes: bool = True,
        layer_2: bool = False,
        stamp: Stamp | None = None,
    ) -> None:
        """Bring a guest in; one that speaks layer 2 says HELLO at once."""
        budget = Budget(self.limits, now=self.now)
        self.room.join(Guest(peer, writes, layer_2, stamp, budget), now=self.now)
        self.work()
        if layer_2:
            self.say(peer, window_hello(""))

    def say(self, peer: int, *messages: Message) -> None:
        """Let a guest say something, in one frame."""
        self.say_bytes(peer, encode(*messages))

    def say_bytes(self, peer: int, frame: bytes) -> None:
        """Let a guest send a frame."""
        self.room.receive(peer, frame, now=self.now)
        self.work()

    def flush(self) -> None:
        """Apply everything that waits."""
        while self.room.has_work or self.digests:
            if self.digests:
                self.digest()
            else:
                self.room.flush(now=self.now)
                self.work()

    def digest(self) -> None:
        """Apply a large batch, as a thread would."""
        batch = self.digests.popleft().batch
        self.room.digested(batch, batch.digest(), now=self.now)
        self.work()

    def commit(self) -> None:
        """Put everything on disk."""
        while self.uncommitted:
            commit = self.uncommitted.popleft()
            self.log.append(commit.update)
            self.room.committed(commit.number, now=self.now)
            self.work()

    def sync(self, peer: int, doc: Doc[Text] | None = None) -> None:
        """Let a guest synchronise both ways."""
        doc = Doc() if doc is None else doc
        self.say(peer, SyncStep1(doc.get_state()))
        self.say(peer, SyncStep2(doc.get_update(self.state())))

    def state(self) -> bytes:
        """What the room holds, as a state vector."""
        return self.room.hall.intake.state_vector()

    def heard(self, peer: int) -> list[Message]:
        """Take what a guest was sent."""
        return self.inboxes.pop(peer, [])


class Writer:
    """A Yjs client that writes a text and remembers its updates."""

    def __init__(self, client: int) -> None:
        self.doc: Doc[Text] = Doc(client_id=client)
        self.text = self.doc.get("t", type=Text)
        self.updates: list[bytes] = []
        self._subscription = self.doc.observe(
            lambda event: self.updates.append(event.update)
        )

    def write(self, text: str) -> bytes:
        """Append to the text; returns the update."""
        self.text += text
        return self.updates[-1]

    def take(self, messages: list[Message]) -> None:
        """Apply what was sent."""
        parts = Assembly(FRAME_BYTES_MAX)
        for message in messages:
            match message:
                case Update(update) | SyncStep2(update):
                    self.doc.apply_update(update)
                case Part():
                    if (frame := parts.add(message)) is not None:
                        self.take(decode(frame))
