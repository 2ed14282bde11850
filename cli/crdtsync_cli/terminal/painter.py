"""Paints a session's events: what is finished above, what is being written below.

What the events mean is the story's, how it looks the canvas's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from crdtsync.events import Reset, SessionEvent, SessionOpened
from crdtsync.sanitize import clean_text
from crdtsync_cli.scene import SessionCast
from crdtsync_cli.terminal.answers import Writing
from crdtsync_cli.terminal.block import Answer, Block, Failed, Line, Replied
from crdtsync_cli.terminal.drawing import Canvas, draw
from crdtsync_cli.terminal.ink import Ink, Row
from crdtsync_cli.terminal.replay import replay
from crdtsync_cli.terminal.story import Story
from crdtsync_cli.words import excerpt

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Painter"]


class Painter:
    """Paints one session's events.

    Args:
        session: The open session.
        ink: Makes the rows.
        seen: The last message that was seen here before, or "".
    """

    def __init__(self, session: Session, ink: Ink, *, seen: str = "") -> None:
        self.story = Story(SessionCast(session))
        self.ink = ink
        self._session = session
        self._seen = seen
        self._canvas = Canvas(ink)

    def paint(self, event: SessionEvent, width: int) -> str:
        """The lines to print above for one event; "" for none."""
        blocks = self.blocks(event)
        return self.drawn([*blocks, *self.story.commit()], width)

    def blocks(self, event: SessionEvent) -> list[Block]:
        """What one event finished; of the answer being written not yet."""
        match event.body:
            case SessionOpened() as opened:
                return [_title(opened), *self._past(event)]
            case Reset():
                return [Line("read anew", ruled=True), *self._past(event)]
        return self.story.take(event)

    def drawn(self, blocks: Sequence[Block], width: int) -> str:
        """Blocks as lines to be printed."""
        return self._canvas.drawn(blocks, width)

    def reply(self, lines: Sequence[str], width: int) -> str:
        """What a slash command answers; links stay whole, to be copied."""
        return "".join(
            self.drawn([Replied(line)], _room(line, width)) for line in lines
        )

    def error(self, text: str, hint: str, width: int) -> str:
        """What went wrong with what was typed."""
        said: list[Block] = [
            Failed(text),
            *(Replied(line) for line in hint.splitlines()),
        ]
        return self.drawn(said, width)

    def live(self, writing: Writing, width: int) -> list[Row]:
        """What is being written and not printed yet."""
        stream = writing.stream
        text = clean_text(stream.tail)
        if not text.strip():
            return []
        if stream.language is not None:
            return self.ink.code(text.rstrip("\n"), stream.language, width)
        head = self.story.answers.head(writing)
        apart = self._canvas.is_apart(head or Answer(text, stream.item))
        above: list[Row] = [()] if apart else []
        above += draw(head, self.ink, width) if head is not None else []
        return above + self.ink.markdown(text, width, stream.item)

    def _past(self, event: SessionEvent) -> list[Block]:
        self.story.restart()
        self.story.now(event.at)
        found: list[Block] = []
        for told in replay(self._session, event.at, self._seen):
            found += [told] if isinstance(told, Line) else self.story.take(told)
        self._seen = ""
        return found


def _title(opened: SessionOpened) -> Line:
    named = ""
    if opened.title not in {"", opened.name}:
        named = f" {excerpt(opened.title)}"
    return Line(f"session {opened.name}{named} · /help", ruled=True)


def _room(line: str, width: int) -> int:
    """How wide a line may get: one to be copied, with a link, as wide as it is."""
    copied = "://" in line and (" " not in line or "crdtsync " in line)
    return max(width, cell_len(line) + 2) if copied else width
