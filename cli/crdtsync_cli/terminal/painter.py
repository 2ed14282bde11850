"""Draws blocks as rows of the terminal; keeps only what the last one was.

All text from outside passes `sanitize` here. Between blocks stands exactly one blank
row or none, whatever the times they came at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.text import Text

from crdtsync.events import Reset, SessionEvent, SessionOpened
from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.terminal.block import (
    Answer,
    Block,
    Code,
    Day,
    Face,
    Head,
    Line,
    Plan,
    Said,
    Thought,
    ToolRow,
)
from crdtsync_cli.terminal.cast import SessionCast
from crdtsync_cli.terminal.ink import Ink, Part, Row
from crdtsync_cli.terminal.replay import replay
from crdtsync_cli.terminal.story import Story, Writing
from crdtsync_cli.terminal.tones import style_of
from crdtsync_cli.terminal.widths import cell_len, cut
from crdtsync_cli.words import duration, excerpt, tool_name

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Painter", "draw"]

TEXT_WIDTH_MIN: Final = 16
"""If less is left beside a name, the text begins below it."""

_MARKS: Final = {
    "completed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "cancelled": ("-", "wait"),
}


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
        self._last: Block | None = None

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
        found = []
        for block in blocks:
            rows = draw(block, self.ink, width)
            if not rows:
                continue
            if _is_apart(self._last, block):
                found.append("\n")
            self._last = block
            found.append(self.ink.ansi(rows))
        return "".join(found)

    def reply(self, lines: Sequence[str], width: int) -> str:
        """What a slash command answers."""
        return self.drawn([Line(f"  {line}", "") for line in lines], width)

    def error(self, text: str, hint: str, width: int) -> str:
        """What went wrong with what was typed."""
        said = [Line(f"✗ {text}", "bad"), *([Line(f"  {hint}")] * bool(hint))]
        return self.drawn(said, width)

    def live(self, writing: Writing, width: int) -> list[Row]:
        """What is being written and not printed yet."""
        stream = writing.stream
        text = clean_text(stream.tail)
        if not text.strip():
            return []
        if stream.language is not None:
            return self.ink.code(text.rstrip("\n"), stream.language, width)
        head = self.story.head(writing)
        above: list[Row] = [()] if _is_apart(self._last, head or Answer(text)) else []
        above += draw(head, self.ink, width) if head is not None else []
        return above + self.ink.markdown(text, width)

    def _past(self, event: SessionEvent) -> list[Block]:
        self.story.restart()
        self.story.now(event.at)
        found: list[Block] = []
        for told in replay(self._session, event.at, self._seen):
            found += [told] if isinstance(told, Line) else self.story.take(told)
        self._seen = ""
        return found


def draw(block: Block, ink: Ink, width: int) -> list[Row]:
    """One block as rows."""
    match block:
        case Said():
            return _said(block, ink, width)
        case Head(time=time, face=face, standing=standing):
            apart = f" ({standing})" if standing else ""
            parts = [(time, "dim"), (" ", ""), _name(face), (apart, "wait")]
            return ink.text(*parts, width=width)
        case Answer(text=text):
            return ink.markdown(clean_text(text), width)
        case Code(text=text, language=language):
            return ink.code(clean_text(text), clean_line(language), width)
        case _:
            return _row(block, ink, width)


def _row(block: Block, ink: Ink, width: int) -> list[Row]:
    match block:
        case Thought(text=text, took=took):
            said = " ".join(filter(None, ("thought", took, excerpt(text))))
            return ink.text(("  ", ""), (cut(said, width - 2), "thought"), width=width)
        case ToolRow():
            return _tool(block, ink, width)
        case Plan(rows=rows):
            return [
                row
                for entry in rows
                for row in ink.text((f"  {clean_line(entry)}", "dim"), width=width)
            ]
        case Day(date=date):
            named = f"── {date:%A} {date.day} {date:%B %Y} ──"
            return ink.text((named, "dim"), width=width)
        case Line(text=text, tone=tone, ruled=ruled):
            cleaned = clean_text(text).strip("\n")
            shown = f"── {clean_line(text)} ──" if ruled else cleaned
            return ink.text((shown, tone), width=width)
    return []


def _said(said: Said, ink: Ink, width: int) -> list[Row]:
    text = clean_text(said.text).strip("\n")
    name, tone = _name(said.face)
    if said.kind == "system":
        shown = f"{said.time} -- {name} {clean_line(text)} --"
        return ink.text((shown, "dim"), width=width)
    if said.called:
        tone = f"{tone} called"
    marks = ("*" * said.waits) + {"note": " (note)", "agent": " (agent)"}.get(
        said.kind, ""
    )
    head: list[Part] = [(said.time, "dim"), (" ", ""), (name, tone), (marks, "dim")]
    indent = sum(cell_len(part) for part, _ in head) + 2
    body = Text(text.expandtabs(4))
    if said.called:
        body.highlight_words([said.called], style_of("called", ink.theme))
    if width - indent < TEXT_WIDTH_MIN:
        return ink.text(*head, width=width) + ink.wrapped(body, width)
    beside = Text()
    for part, part_tone in [*head, ("  ", "")]:
        beside.append(part, style_of(part_tone, ink.theme))
    return ink.beside(beside, body, width)


def _tool(row: ToolRow, ink: Ink, width: int) -> list[Row]:
    tool = row.tool
    mark, tone = _MARKS.get(tool.phase, ("?", ""))
    code = f"exit {tool.exit_code}" if tool.exit_code is not None else ""
    took = duration(tool.started_at, tool.ended_at)
    facts = "  ".join(filter(None, (took, code, clean_line(row.by))))
    name = clean_line(tool_name(tool.kind))
    head = f"  {ink.signs(mark)} "
    room = width - cell_len(head) - cell_len(name) - cell_len(facts) - 4
    title = cut(clean_line(tool.title), max(8, room))
    said = "  ".join(filter(None, (name, title)))
    parts: list[Part] = [(head, tone), (said, ""), (f"  {facts}" * bool(facts), "dim")]
    return ink.text(*parts, width=width)[:1]


def _name(face: Face) -> Part:
    name = clean_line(face.name)
    tone = "agent" if face.slot is None else f"slot{face.slot % 10}"
    return name, f"{tone} mine" if face.mine else tone


def _is_apart(before: Block | None, block: Block) -> bool:
    """Whether a blank row stands between two blocks."""
    if before is None or isinstance(before, Head):
        return False
    if isinstance(block, Code) and isinstance(before, Code) and not block.first:
        return False
    return isinstance(before, Answer | Code) or isinstance(block, Answer | Code | Head)


def _title(opened: SessionOpened) -> Line:
    named = ""
    if opened.title not in {"", opened.name}:
        named = f" {excerpt(opened.title)}"
    return Line(f"session {opened.name}{named} · /help", ruled=True)
