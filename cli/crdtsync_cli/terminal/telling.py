"""How events that are no messages and no turns are told on a screen, in a row each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from crdtsync.events import (
    ApprovalResolved,
    ConnectionChanged,
    Failure,
    Merged,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    SessionClosed,
    SessionEvent,
    TitleChanged,
)
from crdtsync_cli.terminal.block import Block, Face, Line
from crdtsync_cli.terminal.cast import Cast
from crdtsync_cli.words import REFUSED_HINT, decided, excerpt

__all__ = ["called_in", "told"]

SMALL_COMPANY: Final = 6
"""Among so many everybody is seen to come and go; in a larger one who wrote lately."""


def told(
    event: SessionEvent,
    cast: Cast,
    face: Callable[[str], Face],
    *,
    spoke_lately: bool = False,
) -> list[Block]:
    """The block for an event; none for what the live part shows by itself."""
    match event.body:
        case ParticipantJoined(here=here) | ParticipantLeft(here=here):
            seen = spoke_lately or here <= SMALL_COMPANY
            return [_came_or_went(event, cast)] if seen else []
        case Merged() as merged:
            return [Line(_merged(merged, cast, face), ruled=True)]
        case ApprovalResolved(approval=approval):
            verdict = f"{approval.number} {decided(approval, cast)}: {approval.title}"
            return [Line(f"!! permission {verdict}", "wait")]
        case body:
            return _said(body)


def _said(body: object) -> list[Block]:
    match body:
        case TitleChanged(title=title):
            return [Line(f"title: {title}", ruled=True)]
        case Notice(text=text):
            return [Line(text)]
        case Failure(text=text, hint=hint):
            return [Line(f"✗ {text}  {hint}".rstrip(), "bad")]
        case ConnectionChanged(link=link, state="refused", reason=reason):
            # Of the other states the toolbar tells.
            why = f": {reason}" if reason else ""
            line = Line(f"✗ {link} refuses this window{why}", "bad")
            return [line, Line(REFUSED_HINT)]
        case SessionClosed(reason=reason) if reason:
            return [Line(f"closed: {reason}", ruled=True)]
    return []


def _came_or_went(event: SessionEvent, cast: Cast) -> Line:
    who = event.actor.name if event.actor else "somebody"
    match event.body:
        case ParticipantJoined(here=here):
            role = cast.role_of(event.actor.id) if event.actor else ""
            shown = " (viewer)" if role == "viewer" else ""
            return Line(f"{who} joined{shown}, {here} here", ruled=True)
        case ParticipantLeft(here=here):
            return Line(f"{who} left, {here} here", ruled=True)
    raise AssertionError(event.type)


def called_in(text: str, name: str) -> str:
    """How a name is called in a text, as "@Ana"; "" if it is not."""
    found = re.search(rf"(?i)(?<![\w@])@{re.escape(name)}(?!\w)", text)
    return found.group() if found else ""


def _merged(merged: Merged, cast: Cast, face: Callable[[str], Face]) -> str:
    """The notice that the history got something in its middle (D-6)."""
    count = len(merged.messages)
    names = ", ".join(face(author).name for author in merged.authors)
    said = f"merged {count} message{'s' * (count > 1)} from {names}, written apart"
    first, last = _clock(merged.first_at), _clock(merged.last_at)
    if first:
        said += f" {first}" if first == last else f" {first} to {last}"
    before = cast.message(merged.before)
    if before is not None and before.text:
        said += f"; they stand before {excerpt(before.text)}"
    return said


def _clock(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at).astimezone():%H:%M}"
    except ValueError:
        return ""
