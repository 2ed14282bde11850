"""How much of a log a relay is not known to have, without opening it; for listings."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["count_untold"]

_QUERY = """
SELECT max(0, docs.snapshot_seq - ?1) + (
    SELECT count(*) FROM updates WHERE updates.doc = docs.id
        AND seq > max(?1, docs.snapshot_seq)
        AND substr(origin, -length(?2)) <> ?2)
FROM docs WHERE docs.doc = ?3
"""


def count_untold(path: Path, doc: str, safe_seq: int, link: str) -> int | None:
    """Count the updates that a relay lacks; None if the file tells nothing.

    Args:
        path: The database file; it is only read.
        doc: The document's id.
        safe_seq: The relay has everything up to here.
        link: The link's name: what came through it is at the relay as well.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            values = (safe_seq, f"@{link}", doc)
            row = connection.execute(_QUERY, values).fetchone()
    except sqlite3.Error:
        return None
    return int(row[0]) if row else None
