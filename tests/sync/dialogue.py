"""Two ends of one connection in memory, and what they said to each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from crdtsync.document import Document
from crdtsync.entities import Message as SessionMessage
from crdtsync.sync.arrivals import Arrival
from crdtsync.sync.conduct import FEATURES, Conduct, relay_hello, window_hello
from crdtsync.sync.messages import Limits
from crdtsync.sync.protocol import Peer
from crdtsync.sync.wire import FRAME_BYTES_MAX, Message, decode

SESSION = "0192f0c1-0000-7000-8000-000000000001"


def relay_conduct(
    *,
    document: str = SESSION,
    role: str = "editor",
    frame_bytes: int = FRAME_BYTES_MAX,
    layer_2: bool = True,
    features: frozenset[str] = FEATURES,
) -> Conduct:
    hello = relay_hello(
        document,
        role=role,
        participant="ana-1",
        limits=Limits(frame_bytes=frame_bytes, presence_bytes=4096),
        features=features,
        program="relay 1",
    )
    return Conduct(
        hello,
        layer_2=layer_2,
        others_write=role != "viewer",
        frame_bytes_max=frame_bytes,
    )


def window_conduct(document: str = SESSION) -> Conduct:
    return Conduct(window_hello(document, participant="ana-1", program="test"))


def say(document: Document, key: str, text: str = "hello") -> bytes:
    """Write a message; returns the update."""
    with document.edit() as edit:
        edit.add_message(
            SessionMessage(key, "note", "ana-1", "2026-01-01T00:00:00.000Z", text=text)
        )
    return edit.change.update


def keys(document: Document) -> list[str]:
    return sorted(str(h["id"]) for h in document.headers() if isinstance(h, dict))


@dataclass
class End:
    """One end: its document, its peer, and all that arrived and was sent."""

    peer: Peer
    document: Document
    arrived: list[Arrival] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    sent_bytes: int = 0

    def news(self) -> list[Arrival]:
        """What arrived since this was last called."""
        found, self.arrived = self.arrived, []
        return found


def pair(
    relay: Conduct | None = None, window: Conduct | None = None, *, now: float = 0.0
) -> tuple[End, End]:
    """A relay and a window, not opened yet."""
    ends = []
    for conduct in (relay or relay_conduct(), window or window_conduct()):
        document = Document()
        ends.append(End(Peer(conduct, document, now=now), document))
    return ends[0], ends[1]


def carry(source: End, target: End, now: float) -> bool:
    """Carry every waiting frame over; returns whether there were any."""
    frames = source.peer.frames()
    for frame in frames:
        source.sent_bytes += len(frame)
        source.said += decode(frame)
        target.arrived += target.peer.receive(frame, now)
    return bool(frames)


def talk(one: End, other: End, now: float = 0.0) -> None:
    """Carry frames both ways until both are silent."""
    while carry(one, other, now) | carry(other, one, now):
        pass
