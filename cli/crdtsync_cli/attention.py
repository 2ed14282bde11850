"""What one window wants to see: whom it follows and mutes, how much activity; no I/O.

It lives as long as the window and is nobody else's business, but for whom it follows:
that the others see.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from crdtsync.entities import ToolCall
from crdtsync.events import (
    MessageAdded,
    ParticipantJoined,
    ParticipantLeft,
    SessionEvent,
    ToolChanged,
    TypingChanged,
)
from crdtsync.sanitize import clean_line
from crdtsync_cli.activity import KEPT_MAX, Activity, asker
from crdtsync_cli.printed import output_lines, tool_id

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Attention"]

FOLLOWED_ROWS_MAX: Final = 20
"""Of what a followed tool printed, the last rows are shown."""


class Attention:
    """What one window pays attention to.

    Attributes:
        activity: What it noticed.
        quiet: Whether finished tools are left out.
        following: Participant whose tools' output is shown, and the name; or None.
        muted: Participants who are left out, with their names.
    """

    def __init__(self) -> None:
        self.activity = Activity()
        self.quiet = False
        self.following: tuple[str, str] | None = None
        self.muted: dict[str, str] = {}
        self._printed: deque[str] = deque(maxlen=KEPT_MAX)

    def hides(self, event: SessionEvent) -> bool:
        """Whether an event is not to be shown; take note of each with `note`."""
        match event.body:
            case MessageAdded(message=message):
                return message.author in self.muted
            case ParticipantJoined() | ParticipantLeft() | TypingChanged():
                return event.actor is not None and event.actor.id in self.muted
            case ToolChanged(tool=tool):
                return self.quiet and not tool.open
        return False

    def note(self, event: SessionEvent) -> None:
        """Remember what /activity may be asked about."""
        self.activity.note(event)

    def followed(self, session: Session, event: SessionEvent) -> list[str]:
        """What a tool has printed that has just ended, if somebody followed ran it."""
        body = event.body
        if self.following is None or not isinstance(body, ToolChanged):
            return []
        tool = body.tool
        if tool.open or tool.key in self._printed or not self._follows(session, tool):
            return []
        self._printed.append(tool.key)
        return output_lines(session, tool_id(session, tool), FOLLOWED_ROWS_MAX)

    def _follows(self, session: Session, tool: ToolCall) -> bool:
        """Whether a tool is used for, or by, whom this window follows."""
        if self.following is None:
            return False
        participant, name = self.following
        record = session.view.turns.get(tool.turn)
        agent = record.claim.agent if record is not None and record.claim else ""
        return participant == asker(session, tool.turn) or name == clean_line(agent)
