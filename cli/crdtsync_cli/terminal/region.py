"""The rows that are repainted, of what goes on now; it prints nothing and takes no key.

Never higher than the screen: each kind of row has its bound, and so has their sum.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text import StyleAndTextTuples

from crdtsync.entities import ToolCall
from crdtsync.events import QueuedPrompt
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.terminal.answers import Writing
from crdtsync_cli.terminal.ink import Part, Row
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.story import Running
from crdtsync_cli.terminal.toolbar import seconds, toolbar
from crdtsync_cli.terminal.whose import is_out_of_reach
from crdtsync_cli.terminal.widths import cell_len, level_line
from crdtsync_cli.words import excerpt, plural, tool_name

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Region"]

TAIL_ROWS_MAX: Final = 12
LISTED_MAX: Final = 3
"""Tools, and rows of waiting prompts, that are shown."""

OTHER_ROWS: Final = 10
"""Kept free for the input, its menu, a question and the toolbar."""

COLUMNS_MIN: Final = 30
ROWS_MIN: Final = 6
"""In a smaller terminal there is nothing but the input."""

ROWS_LOW: Final = 10
"""In a lower one only one row is shown above the input."""

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
STILL: Final = "•"

_TABLE: Final = re.compile(r"[^\n]*\|[^\n]*\n[ :|-]*-[ :|-]*\n")
"""A row of a table, and below it the line that makes it the head."""

_log = logging.getLogger(__name__)


class Region:
    """The live rows around the input of one window.

    Args:
        session: The open session.
        painter: Knows what is being written, and its ink.
        motion: Whether the spinner turns.
    """

    def __init__(self, session: Session, painter: Painter, *, motion: bool) -> None:
        self._session = session
        self._painter = painter
        self._story = painter.story
        self._ink = painter.ink
        self._motion = motion
        self._scene = SessionScene(session)
        self._cached: tuple[object, StyleAndTextTuples] = ((), [])
        self._stale = True

    @property
    def busy(self) -> bool:
        """Whether something in it moves by itself."""
        return self._story.running is not None

    def refresh(self) -> None:
        """Have the next frame show what was written by now.

        A frame for a key shows the rows of the one before: to make them takes long,
        and what is finished must not leave them before it is printed.
        """
        self._stale = True

    def above(self, size: Size) -> StyleAndTextTuples:
        """The rows above the input; empty if nothing goes on or no room is."""
        return self._safely(lambda: self._above(size))

    def below(self, size: Size, hint: str) -> StyleAndTextTuples:
        """The toolbar; empty in a tiny terminal, unless there is a hint."""
        return self._safely(lambda: self._below(size, hint))

    def sign(self, text: str) -> str:
        """A sign as this terminal can show it."""
        return self._ink.signs(text)

    def _safely(self, show: Callable[[], StyleAndTextTuples]) -> StyleAndTextTuples:
        """A fault in here must not end the window."""
        try:
            return show()
        except Exception:
            _log.exception("cannot show what goes on")
            return [("class:bad", "render error: see the log")]

    def _below(self, size: Size, hint: str) -> StyleAndTextTuples:
        if _tiny(size) and not hint:
            return []
        now = self._now()
        width = size.columns - 1
        parts = toolbar(self._session, self._story, self._ink, width, now, hint)
        return [(_class(tone), text) for text, tone in parts]

    def _above(self, size: Size) -> StyleAndTextTuples:
        if _tiny(size):
            return []
        width, now = size.columns - 1, self._now()
        tools = self._tools(width, now)
        if size.rows < ROWS_LOW:
            return self._lines(tools[:1])
        lower = [*tools, *self._plan(width), *self._typing(width), *self._queue(width)]
        room = max(LISTED_MAX + 1, size.rows - OTHER_ROWS)
        lower = lower[:room]
        height = max(LISTED_MAX, min(TAIL_ROWS_MAX, size.rows // 3))
        tail = self._tail(width, min(height, max(2, room - len(lower))))
        between = [("", "\n")] if tail and lower else []
        return [*tail, *between, *self._lines(lower)]

    def _lines(self, rows: list[list[Part]]) -> StyleAndTextTuples:
        found: StyleAndTextTuples = []
        for at, row in enumerate(rows):
            if at:
                found.append(("", "\n"))
            found += [(_class(tone), text) for text, tone in row]
        return found

    # What is being written.

    def _tail(self, width: int, height: int) -> StyleAndTextTuples:
        """The last rows of the answer that are not printed yet."""
        key = (width, height, self._ink.theme)
        if self._stale or self._cached[0] != key:
            self._cached = (key, self._ink.live(self._written(width, height)))
            self._stale = False
        return self._cached[1]

    def _written(self, width: int, height: int) -> list[Row]:
        writing = self._answer()
        if writing is None:
            return []
        rows, tail = self._painter.live(writing, width), writing.stream.tail
        if len(rows) > height and _TABLE.match(tail):
            count = tail.strip().count("\n") - 1
            said = f"table, {plural(max(0, count), 'row')} so far"
            first = self._ink.text((said, "dim"), width=width)[0]
            rows = [first, *rows[len(rows) - height + 1 :]]
        return rows[-height:]

    def _answer(self) -> Writing | None:
        for writing in reversed(self._story.answers.writing.values()):
            if not writing.thought and writing.stream.tail.strip():
                return writing
        return None

    # What is done.

    def _tools(self, width: int, now: datetime) -> list[list[Part]]:
        story = self._story
        if story.running is None:
            return []
        if is_out_of_reach(self._session):
            return [self._alone(story.running, width, now)]
        tools = list(story.tools.values())
        if not tools:
            return [self._doing(width, now)]
        rows = [self._tool(tool, width, now) for tool in tools[:LISTED_MAX]]
        more = len(tools) - LISTED_MAX
        return [*rows, *([[(f"  +{more} more", "dim")]] if more > 0 else [])]

    def _alone(self, running: Running, width: int, now: datetime) -> list[Part]:
        """A turn whose end nobody here will see, and what ends it."""
        said = f" {level_line(running.agent)} is out of reach"
        said += f"  {seconds(running.since, now)}"
        if not self._session.read_only:
            goes_on = self._session.agents()
            said += " · " + (
                "the next prompt goes on without it" if goes_on else "/agent NAME"
            )
        return [(self.sign("◷"), "wait"), (self._ink.cut(said, width - 1), "wait")]

    def _doing(self, width: int, now: datetime) -> list[Part]:
        running = self._story.running
        writings = reversed(self._story.answers.writing.values())
        last = next((w for w in writings if w.stream.tail), None)
        words, since = "working", running.since if running else now
        if last is not None:
            words, since = ("thinking" if last.thought else "writing"), last.since
        agent = level_line(running.agent) if running else ""
        said = f" {agent} is {words}  {seconds(since, now)}"
        return [(self._spinner(now), "tool"), (self._ink.cut(said, width - 1), "dim")]

    def _tool(self, tool: ToolCall, width: int, now: datetime) -> list[Part]:
        asked = tool.key in self._story.asking
        sign = self.sign("◷") if asked else self._spinner(now)
        by = self._story.by.get(tool.key, "")
        facts = ["asks"] if asked else [_since(tool, now), by]
        said = " · ".join(level_line(fact) for fact in facts if fact)
        name = level_line(tool_name(tool.kind))
        room = width - cell_len(sign) - cell_len(name) - cell_len(said) - 5
        title = self._ink.cut(level_line(tool.title), max(8, room))
        row = f" {name}  {title}" + (f"  {said}" if said else "")
        tone = "wait" if asked else "tool"
        return [(sign, tone), (self._ink.cut(row, width - cell_len(sign)), tone)]

    def _plan(self, width: int) -> list[list[Part]]:
        """How far the plan is, and what it is at."""
        entries = [entry for entry in self._story.plan if isinstance(entry, dict)]
        if not entries or self._story.running is None:
            return []
        done = sum(entry.get("status") == "completed" for entry in entries)
        at = [e for e in entries if e.get("status") == "in_progress"]
        text = str((at[0].get("text") or at[0].get("content") or "") if at else "")
        said = f"plan {done}/{len(entries)}  {level_line(text)}".rstrip()
        return [[(self._ink.cut(said, width), "dim")]]

    def _spinner(self, now: datetime) -> str:
        if not self._motion:
            return self.sign(STILL)
        return self.sign(SPINNER[int(now.timestamp() * 10) % len(SPINNER)])

    # What people do.

    def _typing(self, width: int) -> list[list[Part]]:
        me = self._session.me.id
        people = [p for p in self._session.presence if p.participant != me]
        names = [f"{level_line(p.name)} is typing" for p in people if p.typing]
        said = self.sign(f"… {', '.join(names)}")
        return [[(self._ink.cut(said, width), "dim")]] if names else []

    def _queue(self, width: int) -> list[list[Part]]:
        """The prompts that wait, several in a row, in a few rows."""
        entries = [e for e in map(self._waiting, self._session.view.pending) if e]
        if not entries:
            return []
        rows = ["queued:"]
        for shown, entry in enumerate(entries):
            full = cell_len(rows[-1]) + cell_len(entry) > width
            if full and rows[-1] != "queued:" and len(rows) == LISTED_MAX:
                more = f" +{len(entries) - shown}"
                rows[-1] = self._ink.cut(rows[-1], width - len(more)) + more
                break
            if full and rows[-1] != "queued:":
                rows.append("       ")
            rows[-1] = self._ink.cut(rows[-1] + entry, width)
        return [[(self.sign(row.rstrip()), "dim")] for row in rows]

    def _waiting(self, waiting: QueuedPrompt) -> str:
        message = self._session.view.message(waiting.prompt)
        if message is None:
            return ""
        mine = message.author == self._session.me.id
        name = "you" if mine else level_line(self._scene.name_of(message.author))
        held = " held" if waiting.held else ""
        return f" {waiting.position}{held} {name} {excerpt(level_line(message.text))} "

    def _now(self) -> datetime:
        return self._session.place.clock.now()


def _tiny(size: Size) -> bool:
    return size.columns < COLUMNS_MIN or size.rows < ROWS_MIN


def _class(tone: str) -> str:
    return " ".join(f"class:{name}" for name in tone.split())


def _since(tool: ToolCall, now: datetime) -> str:
    try:
        started = datetime.fromisoformat(tool.started_at)
    except ValueError:
        return ""
    if started.tzinfo is None:
        started = started.replace(tzinfo=UTC)
    return seconds(started, now)
