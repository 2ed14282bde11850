"""The last row: the session, its links, who is here, the turn, what waits, the cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from crdtsync.schema import JsonValue
from crdtsync_cli.terminal.ink import Ink, Part
from crdtsync_cli.terminal.links import link_words, unsynced
from crdtsync_cli.terminal.story import Story
from crdtsync_cli.terminal.widths import cell_len, level_line

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["seconds", "toolbar", "usage_words"]

FACES_MAX: Final = 4
"""So many others are called by name."""

NAME_CELLS_MAX: Final = 24
HOUR_S: Final = 3600
MINUTE_S: Final = 60
_CURRENCIES: Final = {"USD": "$", "EUR": "€", "GBP": "£"}


def toolbar(
    session: Session, story: Story, ink: Ink, width: int, now: datetime, hint: str
) -> list[Part]:
    """The parts that fit, the most important first."""
    parts: list[Part] = [(hint, "")] if hint else []
    name = ink.cut(level_line(session.name), NAME_CELLS_MAX)
    room, now_s = width - cell_len(f" {name} · "), session.place.clock.boottime()
    state, tone = link_words(session.links, now_s, room)
    parts += [(name, "dim"), (state, tone)]
    waiting = unsynced(session.links)
    if waiting:
        parts.append((f"{waiting} unsynced", "wait"))
    if session.read_only and "read-only" not in state:
        parts.append(("read-only", "wait"))
    parts += [(text, "dim") for text in _facts(session, story, now) if text]
    return _fitting([(ink.signs(text), tone) for text, tone in parts], ink, width)


def usage_words(usage: Mapping[str, JsonValue]) -> str:
    """Tokens and cost in words, as far as the agent says."""
    found = []
    used, size, cost = (usage.get(key) for key in ("used", "size", "cost"))
    if isinstance(used, int | float):
        share = ""
        if isinstance(size, int | float) and size > 0:
            share = f" ({100 * used / size:.0f}%)"
        found.append(f"{_short(used)} tokens{share}")
    if isinstance(cost, int | float):
        currency = str(usage.get("currency") or "")
        sign = _CURRENCIES.get(currency)
        found.append(
            f"{sign}{cost:.2f}"
            if sign
            else f"{cost:.2f} {level_line(currency)}".strip()
        )
    return " ".join(found)


def seconds(since: datetime, now: datetime) -> str:
    """The time since then, short."""
    passed = max(0, int((now - since).total_seconds()))
    if passed >= HOUR_S:
        return f"{passed // HOUR_S}h{passed % HOUR_S // MINUTE_S:02d}m"
    if passed >= MINUTE_S:
        return f"{passed // MINUTE_S}m{passed % MINUTE_S:02d}s"
    return f"{passed}s"


def _facts(session: Session, story: Story, now: datetime) -> list[str]:
    people, view = session.presence, session.view
    me = session.me.id
    others = [level_line(p.name) for p in people if p.participant != me]
    faces = " ".join(others[:FACES_MAX])
    more = len(others) - FACES_MAX
    here = f"{len(people)} here" + (f": {faces}" if faces else "")
    turn = ""
    if (running := story.running) is not None:
        by = f": {level_line(running.by)}" if running.by else ""
        turn = f"turn {running.number}{by} {seconds(running.since, now)}"
        if any(p.typing for p in people if p.participant == me):
            turn += ", Enter queues"
    agents = ", ".join(map(level_line, session.agents()))
    return [
        here + (f" +{more}" if more > 0 else ""),
        turn,
        f"queue {len(view.pending)}" if view.pending else "",
        f"agent {agents}" if agents else "no agent",
        usage_words(story.usage),
        f"rev {session.head}",
    ]


def _fitting(parts: list[Part], ink: Ink, width: int) -> list[Part]:
    """Parts with dots between, without those at the right for which no room is."""
    dot = ink.signs(" · ")
    found: list[Part] = [(" ", "")]
    left = width - 1
    for at, (text, tone) in enumerate(parts):
        before = dot if at else ""
        room = left - cell_len(before)
        if cell_len(text) > room and at:
            break
        shown = ink.cut(text, room)
        found += [(before, "dim"), (shown, tone)]
        left = room - cell_len(shown)
    return [part for part in found if part[0]]


def _short(count: float) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:.0f}"
