"""What was done in a session, one line each; it does nothing itself.

What the document keeps is read from it, however old; of the rest, such as who came and
went, a window remembers the last 100.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from crdtsync.entities import ToolCall
from crdtsync.events import (
    ConnectionChanged,
    Failure,
    Merged,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    SessionEvent,
    TitleChanged,
)
from crdtsync.sanitize import clean_line
from crdtsync.view.outcomes import turn_ended
from crdtsync_cli.printed import tool_text
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.words import (
    columns,
    decided,
    excerpt,
    outcome,
    plural,
    tool_name,
)

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["KEPT_MAX", "Activity", "Deed", "activity_lines", "asker"]

KEPT_MAX: Final = 100
"""What the document does not keep, a window remembers so far back."""

SHOWN_MAX: Final = 30
"""So many are shown, the last ones."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done.

    Attributes:
        at: When, for people.
        id: By which `/activity` shows more of it, such as "3.2"; "" for none.
        who: Id of whom it is put down to: for a tool, who asked for its turn.
        kind: A tool's kind, or "turn", "permission", "people", "note".
        text: In words, one line.
    """

    at: datetime
    id: str
    who: str
    kind: str
    text: str


class Activity:
    """What a window has noticed that the document does not keep."""

    def __init__(self) -> None:
        self._kept: deque[Deed] = deque(maxlen=KEPT_MAX)

    def note(self, event: SessionEvent) -> None:
        """Remember an event, if it is worth it."""
        found = _noticed(event)
        if found is not None:
            self._kept.append(found)

    def deeds(self, session: Session) -> list[Deed]:
        """Everything, the oldest first; the order of equal times is kept."""
        found = [
            *self._kept,
            *_begun(session),
            *_tools(session),
            *_asked(session),
            *_ended(session),
        ]
        return sorted(found, key=lambda deed: deed.at)


def activity_lines(deeds: Sequence[Deed], session: Session) -> list[str]:
    """The last deeds as a table."""
    scene = SessionScene(session)
    shown = deeds[-SHOWN_MAX:]
    rows = [
        (
            f"{deed.at.astimezone():%H:%M:%S}" if deed.at > _NEVER else "--:--:--",
            deed.id,
            deed.kind,
            clean_line(scene.name_of(deed.who)) if deed.who else "",
            deed.text,
        )
        for deed in shown
    ]
    earlier = len(deeds) - len(shown)
    head = [f"{plural(earlier, 'earlier deed')}: name a person or a kind"]
    return head * (earlier > 0) + columns(rows) or ["nothing was done yet"]


def asker(session: Session, turn: str) -> str:
    """Id of the participant who asked for a turn; "" if that is not known."""
    record = session.view.turns.get(turn)
    claim = record.claim if record is not None else None
    found = session.view.message(claim.prompts[0]) if claim and claim.prompts else None
    return found.author if found is not None else ""


def _tools(session: Session) -> Iterator[Deed]:
    view = session.view
    by_turn: dict[str, list[ToolCall]] = {}
    for tool in view.tools.values():
        by_turn.setdefault(tool.turn, []).append(tool)
    numbers = _numbers(session)
    for turn, tools in by_turn.items():
        tools.sort(key=lambda tool: (tool.started_at, tool.key))
        who = asker(session, turn)
        for place, tool in enumerate(tools, 1):
            name = f"{numbers.get(turn, 0)}.{place}"
            at = _moment(tool.ended_at or tool.started_at)
            yield Deed(at, name, who, tool_name(tool.kind), tool_text(tool))


def _begun(session: Session) -> Iterator[Deed]:
    view = session.view
    for turn, number in _numbers(session).items():
        record = view.turns[turn]
        claim = record.claim
        if record.started_at and claim is not None:
            asked = view.message(claim.prompts[0]) if claim.prompts else None
            said = f"  {excerpt(asked.text)}" if asked else ""
            text = f"{clean_line(claim.agent)} started{said}"
            at = _moment(record.started_at)
            yield Deed(at, str(number), asker(session, turn), "turn", text)


def _ended(session: Session) -> Iterator[Deed]:
    for turn, number in _numbers(session).items():
        record = session.view.turns[turn]
        if record.ended_at:
            how = outcome(turn_ended(record, session.view.reading))
            at, who = _moment(record.ended_at), asker(session, turn)
            yield Deed(at, str(number), who, "turn", how)


def _asked(session: Session) -> Iterator[Deed]:
    scene = SessionScene(session)
    for approval in session.view.approvals.values():
        how = f"  {decided(approval, scene)}" if approval.decision else "  open"
        text = f"#{approval.number} {clean_line(approval.title)}{how}"
        who = approval.decided_by or asker(session, approval.turn)
        yield Deed(_moment(approval.asked_at), "", who, "permission", text)


def _numbers(session: Session) -> dict[str, int]:
    """The turns that count, by number."""
    view = session.view
    real = (turn for turn in view.reading.order if not view.turns[turn].void)
    return {turn: number for number, turn in enumerate(real, 1)}


def _noticed(event: SessionEvent) -> Deed | None:
    who = event.actor.id if event.actor is not None else ""
    kind = "note"
    match event.body:
        case ParticipantJoined():
            kind, text = "people", "joined"
        case ParticipantLeft():
            kind, text = "people", "left"
        case ConnectionChanged(link=link, state=state, reason=reason):
            kind = "link"
            text = f"{link} {state}" + (f": {reason}" if reason else "")
        case Merged(messages=messages):
            text = f"{plural(len(messages), 'message')} written apart joined"
        case TitleChanged(title=title):
            text = f"title: {title}"
        case Notice(text=text) | Failure(text=text):
            pass
        case _:
            return None
    return Deed(event.at, "", who, kind, clean_line(text))


def _moment(at: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(at or "")
    except ValueError:
        return _NEVER
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
