"""Finds a text in the messages of a session; it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from crdtsync.sanitize import clean_line
from crdtsync_cli.scene import SessionScene

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["found_lines"]

AROUND_CHARS = 40
"""How much is shown on either side of a hit."""


def found_lines(session: Session, text: str) -> Iterator[str]:
    """One line per message that holds the text, in any case, the oldest first."""
    scene, wanted = SessionScene(session), text.casefold()
    for message in session.view.messages:
        body = clean_line(session.view.text(message.id))
        at = body.casefold().find(wanted)
        if at < 0:
            continue
        start, end = max(0, at - AROUND_CHARS), at + len(text) + AROUND_CHARS
        shown = body[start:end]
        before, after = "…" * (start > 0), "…" * (end < len(body))
        name = clean_line(scene.name_of(message.author))
        yield f"[{_day(message.at)}] <{name}> {before}{shown}{after}"


def _day(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return "?"
