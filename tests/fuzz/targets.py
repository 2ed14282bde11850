"""What is fuzzed: the codec, admission, and a room with a bystander.

Each target takes any bytes and raises only if the program has a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from crdtsync_relay.presence import Stamp

from crdtsync import schema
from crdtsync.errors import ProtocolError, UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex, without_deletions
from crdtsync.sync.messages import SyncStep1, Unknown, Update
from crdtsync.sync.wire import decode, encode
from tests.relay.dialogue import Scene
from tests.sync.people import Window

__all__ = ["SEEDS", "TARGETS"]

BAD, GOOD = 1, 2


def codec(data: bytes) -> None:
    """What can be read can be written, and reads the same again."""
    try:
        messages = decode(data)
    except ProtocolError:
        return
    # What is unknown is not kept.
    known = [message for message in messages if not isinstance(message, Unknown)]
    if known:
        assert decode(encode(*known)) == known


def admission(data: bytes) -> None:
    """An update is let in, parked or refused, also without its deletions."""
    index = DocIndex(schema.ROOTS)
    for update in (data, without_deletions(data)):
        try:
            fits = index.check(index.scan(update))
        except UpdateRefused:
            continue
        if isinstance(fits, Admitted):
            index.commit(fits)


def room(data: bytes) -> None:
    """Whatever one peer sends, a room serves the others."""
    scene = Scene(session=True)
    scene.load()
    stamps = {BAD: "eve-00000001", GOOD: "ada-00000002"}
    for peer, participant in stamps.items():
        scene.join(peer, layer_2=True, stamp=Stamp(participant, "editor"))
        scene.sync(peer)
        scene.flush()
    for frame in _frames(data):
        scene.say_bytes(BAD, frame)
        scene.now += 0.01
        scene.room.tick(now=scene.now)
        scene.flush()
        scene.commit()
    assert GOOD not in scene.closed, scene.closed[GOOD]
    before = len(scene.log)
    scene.say(GOOD, Update(Window().say(stamps[GOOD])))
    scene.flush()
    scene.commit()
    assert len(scene.log) > before


def _frames(data: bytes) -> Iterator[bytes]:
    """Cut bytes into frames, each behind its length."""
    at = 0
    while at < len(data):
        size = data[at]
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "codec": codec,
    "admission": admission,
    "room": room,
}


def _seeds() -> dict[str, list[bytes]]:
    window = Window()
    updates = [window.say("eve-00000001"), window.ask(), window.vote("eve-00000001")]
    frames = [encode(SyncStep1(b"\0")), *(encode(Update(u)) for u in updates)]
    joined = b"".join(bytes([len(f)]) + f for f in frames if len(f) < 256)
    return {"codec": frames, "admission": updates, "room": [joined]}


SEEDS: Final[Mapping[str, list[bytes]]] = _seeds()
