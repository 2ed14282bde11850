"""What one streamed delta costs in document, view and events, by length of history."""

from __future__ import annotations

import gc
import time
from statistics import median

from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.events import AssistantDelta, Happening
from crdtsync.schema import JsonObject
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder
from tests.bench.rows import Row

SMALL, LARGE = 100, 100_000
DELTAS = 200
"""Of one message: what a delta costs grows with the length of its own text."""
ROUNDS = 15
PIECE = "the loop keeps both replicas in step, "
AT = "2026-01-01T00:00:00.000Z"
TURNS_MAX = 2000
"""Turns of the large history; making more takes long and changes nothing."""


def _history(messages: int) -> bytes:
    """A session with so many messages, as one update of one writer.

    Appending to a long Yjs array walks it; inserting at its start does not.
    """
    document = Document(1)
    with document.edit() as edit:
        edit.seed({"id": "bench", "title": "bench"})
        headers = document._messages  # noqa: SLF001 - no typed write inserts at 0
        for number in reversed(range(messages)):
            role = "assistant" if number % 2 else "user"
            message = Message(f"m{number}", role, "ana", AT, turn=f"t{number // 2}")
            headers.insert(0, message.to_json())
            if message.streamed:
                edit.open_text(message.id)
                edit.append_text(message.id, PIECE)
        turns = min(messages // 2, TURNS_MAX)
        for number in range(turns):
            after = f"t{number - 1}"
            edit.set_turn(f"t{number}", _turn(number + 1, {after: "final"}))
        edit.set_turn("live", {**_turn(turns + 1, {}), "ended": False})
    return document.state()


def _turn(epoch: int, after: JsonObject) -> JsonObject:
    claim: JsonObject = {
        "epoch": epoch,
        "arb": "arb",
        "grant": "local",
        "runner": "runner",
        "machine": "machine",
        "agent": "demo",
        "prompts": [],
        "after": after,
        "closes": {},
    }
    return {"claim": claim, "started": True, "ended": True}


class _Window:
    def __init__(self, state: bytes) -> None:
        self.document = Document.load([state])
        self.view = SessionView(self.document)
        self.folder = Folder(self.document, self.view)
        # Everything was looked at once, as a window with all its parts open does.
        if self.view != self.view or self.view.text("m1") != PIECE:
            raise AssertionError("the session is not what was made")

    def begin(self, message: str) -> bytes:
        """Begin another message of the live turn."""
        header = Message(message, "assistant", "demo", AT, turn="live")
        with self.document.edit() as edit:
            edit.add_message(header)
        self.folder.fold(edit.change)
        return edit.change.update

    def write(self, message: str) -> tuple[float, list[bytes]]:
        """Microseconds per delta that this window writes, and the updates."""
        updates = []
        started = time.process_time()
        for _ in range(DELTAS):
            with self.document.edit() as edit:
                edit.append_text(message, PIECE)
            self._tell(self.folder.fold(edit.change))
            updates.append(edit.change.update)
        return (time.process_time() - started) / DELTAS * 1e6, updates

    def read(self, updates: list[bytes]) -> float:
        """Microseconds per delta that this window receives."""
        started = time.process_time()
        for update in updates:
            self._tell(self.folder.fold(self.document.apply([update])))
        return (time.process_time() - started) / DELTAS * 1e6

    @staticmethod
    def _tell(told: list[Happening]) -> None:
        if [type(happening.body) for happening in told] != [AssistantDelta]:
            raise AssertionError("one delta is one event")


def run() -> list[Row]:
    """Measure writing and receiving, both lengths in turn."""
    pairs = {}
    for size in (SMALL, LARGE):
        state = _history(size)
        pairs[size] = (_Window(state), _Window(state))
    written: dict[int, list[float]] = {size: [] for size in pairs}
    received: dict[int, list[float]] = {size: [] for size in pairs}
    gc.collect()
    for number in range(ROUNDS):
        message = f"live{number}"
        for size, (writer, reader) in pairs.items():
            reader.folder.fold(reader.document.apply([writer.begin(message)]))
            took, updates = writer.write(message)
            written[size].append(took)
            received[size].append(reader.read(updates))
    for writer, reader in pairs.values():
        if reader.view.text("live0") != PIECE * DELTAS:
            raise AssertionError("the text did not arrive")
        if reader.view != writer.view:
            raise AssertionError("the windows differ")
    return [
        _row("delta written, 100,000 messages", written),
        _row("delta received, 100,000 messages", received),
    ]


def _row(name: str, took: dict[int, list[float]]) -> Row:
    small, large = median(took[SMALL]), median(took[LARGE])
    # Of neighbours in time: a busy machine slows both down.
    ratio = median(b / a for a, b in zip(took[SMALL], took[LARGE], strict=True))
    limit = "<= 1.5x at 100 messages"
    return Row(name, large, "us", small, ratio, limit, ratio <= 1.5)
