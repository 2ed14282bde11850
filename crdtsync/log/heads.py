"""How far a log is, read without opening it as one; for listings."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["read_head"]


def read_head(path: Path, doc: str) -> int | None:
    """The last sequence number of a document; None if the file tells none.

    Args:
        path: The database file; it is only read.
        doc: The document's id.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            query = "SELECT head FROM docs WHERE doc = ?"
            row = connection.execute(query, (doc,)).fetchone()
    except sqlite3.Error:
        return None
    return int(row[0]) if row else None
