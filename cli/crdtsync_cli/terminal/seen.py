"""Which message was seen last in a session, kept in the data folder for the next time.

Losing it costs a mark on the screen and nothing else, so no fault is told.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["read_seen", "write_seen"]

FOLDER: Final = "seen"
ID_BYTES_MAX: Final = 128


def read_seen(data: Path, session: str) -> str:
    """The id of the last message seen; "" if unknown."""
    try:
        with (data / FOLDER / session).open("rb") as file:
            return file.read(ID_BYTES_MAX).decode("ascii", "replace").strip()
    except OSError:
        return ""


def write_seen(data: Path, session: str, message: str) -> None:
    """Remember the last message seen."""
    path = data / FOLDER / session
    draft = path.with_name(f".{session}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft.write_text(message, encoding="ascii", errors="replace")
        draft.replace(path)
