"""Draws blocks as rows of the terminal; keeps only what the last one was.

All text from outside passes `sanitize` here. Between blocks stands exactly one blank
row or none, whatever the times they came at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.terminal.block import (
    Answer,
    Block,
    Code,
    Day,
    Face,
    Failed,
    Head,
    Line,
    Plan,
    Replied,
    Said,
    Thought,
    ToolRow,
)
from crdtsync_cli.terminal.ink import Ink, Part, Row
from crdtsync_cli.terminal.tones import style_of
from crdtsync_cli.terminal.widths import cell_len
from crdtsync_cli.words import duration, excerpt, tool_name

__all__ = ["Canvas", "draw"]

TEXT_WIDTH_MIN: Final = 16
"""If less is left beside a name, the text begins below it."""

TITLE_WIDTH_MIN: Final = 12
"""What a tool did comes before how long it took and who allowed it."""

_LAST_COLUMN: Final = re.compile(r"(.*\s{2})(\S.*)")

_MARKS: Final = {
    "completed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "cancelled": ("-", "wait"),
}


class Canvas:
    """Where blocks are drawn, one after the other.

    Args:
        ink: Makes the rows.
    """

    def __init__(self, ink: Ink) -> None:
        self.ink = ink
        self._last: Block | None = None
        # Rows below an item, which stand there only if another one follows.
        self._blank = 0

    def drawn(self, blocks: Sequence[Block], width: int) -> str:
        """Blocks as lines to be printed."""
        found = []
        for block in blocks:
            rows = draw(block, self.ink, width)
            blank = 0
            while isinstance(block, Answer) and rows and not rows[-1]:
                rows.pop()
                blank += 1
            if not rows:
                continue
            if self.is_apart(block):
                found.append("\n")
            elif isinstance(block, Answer) and block.item:
                found.append("\n" * self._blank)
            self._blank = blank
            self._last = block
            found.append(self.ink.ansi(rows))
        return "".join(found)

    def is_apart(self, block: Block) -> bool:
        """Whether a blank row stands between the last block and this one."""
        before = self._last
        if before is None or isinstance(before, Head):
            return False
        if isinstance(block, Code) and isinstance(before, Code) and not block.first:
            return False
        if isinstance(block, Answer) and isinstance(before, Answer) and block.item:
            return False
        return isinstance(before, Answer | Code) or isinstance(
            block, Answer | Code | Head
        )


def draw(block: Block, ink: Ink, width: int) -> list[Row]:
    """One block as rows."""
    match block:
        case Said():
            return _said(block, ink, width)
        case Head(time=time, face=face, standing=standing):
            apart = f" ({standing})" if standing else ""
            parts = [(time, "dim"), (" ", ""), _name(face), (apart, "wait")]
            return ink.text(*parts, width=width)
        case Answer(text=text, item=item, goes_on=goes_on):
            return ink.markdown(clean_text(text), width, item, goes_on=goes_on)
        case Code(text=text, language=language):
            return ink.code(clean_text(text), clean_line(language), width)
        case _:
            return _row(block, ink, width)


def _row(block: Block, ink: Ink, width: int) -> list[Row]:
    match block:
        case Thought(text=text, took=took):
            said = " ".join(filter(None, ("thought", took, excerpt(text))))
            return ink.text(
                ("  ", ""), (ink.cut(said, width - 2), "thought"), width=width
            )
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
        case Line() | Failed() | Replied():
            return _own(block, ink, width)
    return []


def _own(block: Line | Failed | Replied, ink: Ink, width: int) -> list[Row]:
    """What the window itself says."""
    if isinstance(block, Replied):
        lines = clean_text(block.text).split("\n")
        return [row for line in lines for row in _replied(line, ink, width)]
    cleaned = clean_text(block.text).strip("\n")
    if isinstance(block, Failed):
        bad = style_of("bad", ink.theme)
        return ink.beside(Text(ink.signs("✗ "), bad), Text(cleaned, bad), width)
    if not block.ruled:
        return ink.text((cleaned, block.tone), width=width)
    shown = f"── {clean_line(block.text)} ──"
    if cell_len(shown) <= width:
        return ink.text((shown, block.tone), width=width)
    # A rule that stands alone in the last row looks like another line.
    tone = style_of(block.tone, ink.theme)
    text = Text(clean_line(block.text), tone)
    return ink.beside(Text(ink.signs("── "), tone), text, width)


def _replied(line: str, ink: Ink, width: int) -> list[Row]:
    """A line of columns; what does not fit of the last one stays in its column."""
    whole = f"  {line.rstrip()}"
    found = _LAST_COLUMN.fullmatch(whole)
    if found is None:
        return ink.text((whole, ""), width=width)
    before, last = found.groups()
    narrow = width - cell_len(before) < TEXT_WIDTH_MIN
    if cell_len(whole) <= width and not (narrow and _is_first(before)):
        return ink.text((whole, ""), width=width)
    if not narrow:
        return ink.beside(Text(before), Text(last), width)
    above = ink.text((before.rstrip(), ""), width=width) if before.strip() else []
    return [*above, *ink.beside(Text("      "), Text(last), width)]


def _is_first(columns: str) -> bool:
    """Whether it is a single column: where there is no room, all rows are alike."""
    return "  " not in columns.strip()


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
    known = [fact for fact in (took, code, clean_line(row.by)) if fact]
    name = clean_line(tool_name(tool.kind))
    head = f"  {ink.signs(mark)} "
    left = width - cell_len(head) - cell_len(name) - 4
    while known and left - cell_len("  ".join(known)) < TITLE_WIDTH_MIN:
        known.pop()
    facts = "  ".join(known)
    room = left - cell_len(facts)
    title = ink.cut(clean_line(tool.title), max(8, room))
    said = "  ".join(filter(None, (name, title)))
    parts: list[Part] = [(head, tone), (said, ""), (f"  {facts}" * bool(facts), "dim")]
    return ink.text(*parts, width=width)[:1]


def _name(face: Face) -> Part:
    name = clean_line(face.name)
    tone = "agent" if face.slot is None else f"slot{face.slot % 10}"
    return name, f"{tone} mine" if face.mine else tone
