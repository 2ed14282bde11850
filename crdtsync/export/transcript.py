"""A session as a list of blocks in reading order, for the forms that people read.

It decides what is said and in which words; it knows no markup. All text in a block has
been made safe to show (X-2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from crdtsync import schema
from crdtsync.entities import Approval, Message
from crdtsync.export.toolshow import Detail, details_of
from crdtsync.export.wording import (
    ITEM_WORDS,
    KIND_WORDS,
    decision_words,
    tool_words,
    turn_words,
)
from crdtsync.sanitize import clean_line, clean_text
from crdtsync.turns.claim import TurnRecord
from crdtsync.view import SessionView

__all__ = ["Asked", "Block", "Ran", "Said", "Summary", "Used", "blocks", "summary"]

Voice: TypeAlias = Literal["person", "agent", "thought", "note", "system", "unknown"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands above the transcript.

    Attributes:
        people: Names in the order in which they joined.
        agents: Likewise.
    """

    session: str
    title: str
    created_at: str
    created_by: str
    people: tuple[str, ...]
    agents: tuple[str, ...]
    messages: int


@dataclass(frozen=True, slots=True)
class Said:
    """One message.

    Attributes:
        voice: Who speaks, in kind.
        slot: Index of the name's colour.
        at: ISO 8601 time.
        text: Markdown of an answer, or what a person typed.
        late: The end of the text, if the agent of the next turn did not see it.
        marks: What else is to be known of it, in words.
    """

    voice: Voice
    author: str
    slot: int
    at: str
    text: str
    late: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """One tool call.

    Attributes:
        words: What became of it.
        failed: Whether it ended badly.
        details: What is folded away.
    """

    title: str
    kind: str
    words: str
    failed: bool
    details: tuple[Detail, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One permission question and its answer."""

    number: int
    title: str
    words: str
    allowed: bool | None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a turn ended, if that needs saying."""

    words: tuple[str, ...]


Block: TypeAlias = Said | Used | Asked | Ran

_VOICES: Final[dict[str, Voice]] = {
    schema.USER: "person",
    schema.ASSISTANT: "agent",
    schema.THOUGHT: "thought",
    schema.AGENT: "agent",
    schema.NOTE: "note",
    schema.SYSTEM: "system",
}


def summary(view: SessionView) -> Summary:
    """Gather what stands above the transcript."""
    met = sorted(view.participants.values(), key=lambda p: (p.joined_at, p.id))
    return Summary(
        session=clean_line(view.meta.id),
        title=clean_line(view.meta.title) or "Untitled session",
        created_at=clean_line(view.meta.created_at),
        created_by=clean_line(view.name_of(view.meta.created_by)),
        people=tuple(clean_line(p.name) for p in met if p.kind == "person"),
        agents=tuple(clean_line(p.name) for p in met if p.kind == "agent"),
        messages=view.message_count,
    )


def blocks(view: SessionView) -> Iterator[Block]:
    """Walk through a session in the order shown: each thing once, nothing left out."""
    plan = _Plan(view)
    for message in view.messages:
        yield plan.said(message)
        yield from plan.after(message)
    yield from plan.rest()


@dataclass(slots=True)
class _Plan:
    """Where tools, questions and ends of turns go between the messages."""

    view: SessionView
    _last: dict[str, str] = field(default_factory=dict)
    _nth: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _tools: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _asked: dict[str, list[Approval]] = field(default_factory=lambda: defaultdict(list))
    _ends: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _waiting: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        view = self.view
        known = {message.id for message in view.messages}
        for message in view.messages:
            if message.turn and message.role in schema.STREAMED_ROLES:
                self._last[message.turn] = message.id
        ordered = sorted(view.tools.values(), key=lambda tool: tool.started_at)
        for tool in ordered:
            at = tool.message if tool.message in known else self._end_of(tool.turn)
            self._tools[at].append(tool.key)
        for approval in sorted(view.approvals.values(), key=lambda a: a.number):
            self._asked[approval.tool].append(approval)
        for turn in view.reading.order:
            at = self._end_of(turn)
            self._ends[at if at in known else ""].append(turn)
        for entry in view.pending:
            held = "held until somebody releases it"
            place = f"waiting, number {entry.position} in the queue"
            self._waiting[entry.prompt] = held if entry.held else place

    def said(self, message: Message) -> Said:
        """Show a message."""
        marks = [
            KIND_WORDS.get(message.role, f"of a kind not known yet: {message.role}")
        ]
        if waits := self._waiting.get(message.id):
            marks.append(waits)
        text, late = self._split(message, marks)
        found = self.view.participants.get(message.author)
        return Said(
            voice=_VOICES.get(message.role, "unknown"),
            author=clean_line(self._author(message)) or "unknown",
            slot=found.slot if found is not None else 0,
            at=clean_line(message.at),
            text=clean_text(text),
            late=clean_text(late),
            marks=tuple(clean_line(mark) for mark in marks if mark),
        )

    def after(self, message: Message) -> Iterator[Block]:
        """Show what follows a message: its tools, and the end of its turn."""
        yield from self._used(self._tools.pop(message.id, []))
        yield from self._ran(self._ends.pop(message.id, []))

    def rest(self) -> Iterator[Block]:
        """Show what belongs to no message that is here."""
        for keys in self._tools.values():
            yield from self._used(keys)
        for approvals in self._asked.values():
            yield from (self._question(approval) for approval in approvals)
        for turns in self._ends.values():
            yield from self._ran(turns)

    def _author(self, message: Message) -> str:
        turn = self.view.turns.get(message.turn)
        if not message.author and turn is not None and turn.claim is not None:
            return turn.claim.agent
        return self.view.name_of(message.author)

    def _split(self, message: Message, marks: list[str]) -> tuple[str, str]:
        """Part a text where the next turn stopped seeing it; add marks to the rest."""
        text = self.view.text(message.id)
        turn = message.turn
        if not message.streamed or turn not in self.view.turns:
            return text, ""
        nth = self._nth[turn]
        self._nth[turn] += 1
        reading = self.view.reading
        if word := ITEM_WORDS.get(reading.item(turn, nth)):
            marks.append(word)
        cut = reading.closers.get(turn)
        if cut is None or nth != cut.messages - 1 or cut.passed(nth, 0):
            return text, ""
        data = text.encode()
        seen = data[: cut.length].decode(errors="ignore")
        return seen, text[len(seen) :]

    def _used(self, keys: list[str]) -> Iterator[Block]:
        for key in keys:
            tool = self.view.tools[key]
            yield Used(
                title=clean_line(tool.title) or "Tool",
                kind=clean_line(tool.kind),
                words=tool_words(tool),
                failed=tool.phase == "failed",
                details=details_of(tool),
            )
            for approval in self._asked.pop(key, []):
                yield self._question(approval)

    def _question(self, approval: Approval) -> Asked:
        label, allowed = decision_words(approval)
        by = clean_line(self.view.name_of(approval.decided_by))
        return Asked(
            number=approval.number,
            title=clean_line(approval.title),
            words=f"{label} by {by}" if by and approval.decision else label,
            allowed=allowed,
        )

    def _ran(self, turns: list[str]) -> Iterator[Block]:
        for turn in turns:
            orphans = [
                key
                for key, asked in self._asked.items()
                if any(approval.turn == turn for approval in asked)
            ]
            for key in orphans:
                yield from (self._question(a) for a in self._asked.pop(key))
            if words := turn_words(self.view, self.view.turns[turn]):
                yield Ran(tuple(clean_line(word) for word in words))

    def _end_of(self, turn: str) -> str:
        """Find the message after which a turn's end is told; "" if none is here."""
        if turn in self._last:
            return self._last[turn]
        record: TurnRecord | None = self.view.turns.get(turn)
        claim = record.claim if record is not None else None
        return claim.prompts[-1] if claim is not None and claim.prompts else ""
