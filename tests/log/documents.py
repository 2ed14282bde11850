"""Documents that the tests of the log write and compare."""

from __future__ import annotations

from pathlib import Path

from pycrdt import Doc, Text

from crdtsync.clock import SystemClock
from crdtsync.log import Stored
from crdtsync.log.sqlite import open_sqlite_log


def typed(*words: str, client_id: int = 7) -> list[bytes]:
    """The updates of a window that typed these words into one text."""
    document: Doc[Text] = Doc(client_id=client_id)
    updates: list[bytes] = []
    document.observe(lambda event: updates.append(event.update))
    text = document.get("text", type=Text)
    for word in words:
        text += word
    return updates


def text_of(stored: Stored) -> str:
    document: Doc[Text] = Doc()
    for update in filter(None, [stored.snapshot, *stored.updates]):
        document.apply_update(update)
    return str(document.get("text", type=Text))


async def write(path: Path, *updates: bytes, doc: str = "doc") -> None:
    """Append to a file as a window does that is opened for it."""
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create(doc)
        head = (await log.load(doc)).head
        await log.append(doc, updates, origin="w", after=head)


async def stored_in(path: Path, doc: str = "doc") -> Stored:
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        return await log.load(doc)
