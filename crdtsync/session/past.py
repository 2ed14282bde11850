"""What happened according to a log: the happenings of its rows, derived anew.

It reads no log and follows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from crdtsync.document import Document
from crdtsync.events import Happening, Reset
from crdtsync.log import Stored
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder

__all__ = ["past_happenings"]


def past_happenings(
    stored: Stored, since: int, upto: int
) -> Iterator[tuple[int, list[Happening]]]:
    """Derive what the rows after `since`, up to `upto`, brought, row by row.

    If some of them were compacted away, a `reset` comes first and then what follows
    the snapshot.
    """
    rows = stored.head - stored.snapshot_seq
    # Before the rows stand those that the snapshot could not take in.
    kept = len(stored.updates) - rows
    start = max(since, stored.snapshot_seq)
    at = kept + start - stored.snapshot_seq
    known, later = stored.updates[:at], stored.updates[at:]
    document = Document.load([u for u in (stored.snapshot, *known) if u])
    view = SessionView(document)
    if since < stored.snapshot_seq:
        yield start, [Happening(Reset("compacted", view.message_count))]
    folder = Folder(document, view)
    for seq, update in enumerate(later[: max(0, upto - start)], start + 1):
        yield seq, folder.fold(document.apply([update]))
