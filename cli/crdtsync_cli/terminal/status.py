"""The rows that are repainted, of what goes on now; it prints nothing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from crdtsync.clock import Clock
from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.words import excerpt

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["live_rows", "toolbar"]

TAIL_ROWS_MAX: Final = 12
LISTED_MAX: Final = 3
"""Tools, and waiting prompts, that have a row of their own."""
COLUMNS_MIN: Final = 30
ROWS_MIN: Final = 6
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

Row = tuple[str, str]
"""A style and a text."""


def live_rows(
    session: Session, tail: str, columns: int, rows: int, now: datetime
) -> list[Row]:
    """The rows above the input: the answer's end, tools, people, queue."""
    if columns < COLUMNS_MIN or rows < ROWS_MIN:
        return []
    height = max(3, min(TAIL_ROWS_MAX, rows // 3))
    found: list[Row] = [("", row) for row in _wrap(tail, columns - 1)[-height:]]
    view = session.view
    if view.running is not None:
        glyph = _SPINNER[int(now.timestamp() * 10) % len(_SPINNER)]
        tools = [t for t in view.tools_of(view.running.id) if t.open]
        names = [clean_line(t.title or t.kind) for t in tools] or ["working"]
        found += [("class:tool", f"{glyph} {name}") for name in names[:LISTED_MAX]]
    found += [("class:dim", row) for row in (*_typing(session), *_queue(session))]
    return [(style, _cut(row, columns - 1)) for style, row in found]


def toolbar(session: Session, columns: int, hint: str, clock: Clock) -> str:
    """The last row: the session, who is here, the turn, what waits."""
    view = session.view
    parts = [session.name, f"{len(session.people())} here"]
    running = view.running
    if running is not None:
        number = SessionScene(session).turn_number(running.id)
        parts.append(f"turn {number}{_since(running.started_at, clock)}")
    if view.pending:
        parts.append(f"queue {len(view.pending)}")
    agents = ", ".join(map(clean_line, session.agents()))
    parts.append(f"agent {agents}" if agents else "no agent")
    if session.read_only:
        parts.append("read-only")
    if hint:
        parts.insert(0, hint)
    return _cut(" " + " · ".join(parts), columns - 1)


def _since(started_at: str | None, clock: Clock) -> str:
    try:
        started = datetime.fromisoformat(started_at or "")
    except ValueError:
        return ""
    return f" {max(0, (clock.now() - started).total_seconds()):.0f}s"


def _typing(session: Session) -> list[str]:
    others = [p for p in session.people() if p.typing]
    names = [clean_line(p.name) for p in others if p.participant != session.me.id]
    return [f"… {', '.join(names)} typing"] if names else []


def _queue(session: Session) -> list[str]:
    scene, view = SessionScene(session), session.view
    found = []
    for waiting in view.pending[:LISTED_MAX]:
        message = view.message(waiting.prompt)
        if message is not None:
            name = clean_line(scene.name_of(message.author))
            held = " held" if waiting.held else ""
            found.append(f"{waiting.position}{held} {name} {excerpt(message.text)}")
    more = len(view.pending) - LISTED_MAX
    return ["waiting: " + "  ".join(found) + f"  +{more}" * (more > 0)] * bool(found)


def _wrap(text: str, columns: int) -> list[str]:
    """The end of a text as rows; only so much is looked at as can be shown."""
    text = clean_text(text).expandtabs(4)[-columns * TAIL_ROWS_MAX :]
    return [
        line[start : start + columns]
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), columns)
    ]


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: max(0, columns - 1)] + "…"
