"""Sessions of a given size for the benchmarks, made by the typed writes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crdtsync.catalog import Catalog
from crdtsync.clock import SystemClock
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.log.sqlite import open_sqlite_log

DELTA = "the loop keeps both replicas in step, "
ROWS_AT_ONCE = 2000


def streamed(messages: int, deltas: int) -> Iterator[bytes]:
    """Updates of a session whose messages were streamed in `deltas` pieces each."""
    document = Document()
    with document.edit() as edit:
        edit.seed({"id": "bench", "title": "bench", "created_at": "", "created_by": ""})
    yield edit.change.update
    for number in range(messages):
        key = f"m{number:08d}"
        header = Message(key, "assistant", "agent", "2026-01-01T00:00:00.000Z")
        with document.edit() as edit:
            edit.add_message(header)
        yield edit.change.update
        for _ in range(deltas - 1):
            with document.edit() as edit:
                edit.append_text(key, DELTA)
            yield edit.change.update


def whole(messages: int, characters: int = 180) -> bytes:
    """One update with a whole session; much faster to make than `streamed`.

    Appending is quadratic in Yjs arrays, so the messages come as blocks of several
    writers, each of which is small.
    """
    document = Document()
    with document.edit() as edit:
        edit.seed({"id": "bench", "title": "bench", "created_at": "", "created_by": ""})
    block = 1000
    for start in range(0, messages, block):
        part = Document()
        with part.edit() as edit:
            for number in range(start, min(start + block, messages)):
                key = f"m{number:08d}"
                at = "2026-01-01T00:00:00.000Z"
                edit.add_message(Message(key, "assistant", "agent", at))
                edit.append_text(key, "x" * characters)
        document.apply([part.state()])
    return document.state()


async def store(data: Path, updates: list[bytes]) -> str:
    """Put a session "bench" with these updates into a data folder; returns its id."""
    catalog = Catalog(data)
    catalog.add("bench", "bench", "2026-01-01T00:00:00.000Z")
    clock = SystemClock()
    async with open_sqlite_log(catalog.path("bench"), clock=clock) as log:
        await log.create("bench")
        head = 0
        for start in range(0, len(updates), ROWS_AT_ONCE):
            batch = updates[start : start + ROWS_AT_ONCE]
            head = (await log.append("bench", batch, origin="b", after=head)).last
    return "bench"
