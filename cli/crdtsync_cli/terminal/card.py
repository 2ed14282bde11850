"""The permission card: what it shows, what is selected in it; it decides nothing.

Pure: questions, keys and the time come in, rows and answers go out. It never takes the
focus by itself, and while it has not been given it, no key is for it. An answer comes
only from Enter, on the question that was focused, after the dead time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crdtsync.entities import Approval, Option
from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.printed import written
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.terminal.widths import cell_len, cut, level, level_line

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["DEAD_S", "Answer", "Card", "Question", "questions_of"]

DEAD_S: Final = 0.4
"""So long after the card got or lost the focus, no key decides or sends anything."""

DETAIL_ROWS_MAX: Final = 4
"""Rows of what the agent wants to run, in a focused card."""

ROWS_MAX: Final = 16
"""Of the whole card: a title, what is to be run, every answer, and a hint."""

HEAD_COLUMNS_MIN: Final = 22
"""So much of a question is shown at least before hints beside it."""

CHOICES_MAX: Final = 9
"""Answers that have a number key."""

BAR: Final = "╎ "

Row = tuple[str, str]
"""A style and a text, cut to the width."""


@dataclass(frozen=True, slots=True)
class Question:
    """An open permission question with the names that belong to it.

    Attributes:
        approval: The question.
        agent: Who asks.
        asked_by: Whose prompt it runs; "" if unknown.
        refused: Why this window may not answer; "" if it may.
    """

    approval: Approval
    agent: str
    asked_by: str
    refused: str = ""

    @property
    def choices(self) -> tuple[Option, ...]:
        """What can be answered here."""
        return () if self.refused else self.approval.options[:CHOICES_MAX]

    @property
    def default(self) -> int:
        """Index of the plain no; -1 if there is none, and then nothing is selected."""
        deny = self.approval.option(allow=False)
        return self.choices.index(deny) if deny in self.choices else -1

    @property
    def key(self) -> tuple[str, str]:
        """What an answer is bound to: this question about exactly this input."""
        return self.approval.id, self.approval.input_hash


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody chose in the card."""

    approval: str
    number: int
    option: str
    label: str


class Card:
    """The card of one window.

    Times are of one monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._open: tuple[Question, ...] = ()
        self._focused: Question | None = None
        self._selected = -1
        self._turned_s = float("-inf")

    @property
    def questions(self) -> tuple[Question, ...]:
        """The open questions, the oldest first."""
        return self._open

    @property
    def focused(self) -> bool:
        """Whether the keys are for the card."""
        return self._focused is not None

    @property
    def selected(self) -> Option | None:
        """What Enter would answer."""
        if self._focused is None or self._selected < 0:
            return None
        return self._focused.choices[self._selected]

    def is_dead(self, now: float) -> bool:
        """Whether the focus has just changed, so that Enter may be meant otherwise."""
        return now - self._turned_s < DEAD_S

    def ask(self, questions: Sequence[Question], now: float) -> None:
        """Take what is open now; the focus goes if its question is not any more."""
        self._open = tuple(questions)
        if self._focused is None:
            return
        if self._focused.key not in {question.key for question in questions}:
            self.leave(now)

    def focus(self, now: float) -> bool:
        """Give the keys to the oldest question; False if there is none."""
        if not self._open or self._focused is not None:
            return False
        self._focused = self._open[0]
        self._selected = self._focused.default
        self._turned_s = now
        return True

    def leave(self, now: float) -> None:
        """Give the keys back to the input; nothing is answered."""
        if self._focused is not None:
            self._focused, self._selected, self._turned_s = None, -1, now

    def step(self, by: int, now: float) -> None:
        """Select the answer so many places further."""
        if self._focused is not None and not self.is_dead(now):
            count = len(self._focused.choices)
            start = self._selected if self._selected >= 0 else (-1 if by > 0 else 0)
            self._selected = (start + by) % count if count else -1

    def choose(self, number: int, now: float) -> None:
        """Select the answer with this number; it is not given yet."""
        if self._focused is None or self.is_dead(now):
            return
        if 1 <= number <= len(self._focused.choices):
            self._selected = number - 1

    def confirm(self, now: float) -> Answer | None:
        """Answer with what is selected, and give the keys back."""
        question, option = self._focused, self.selected
        if question is None or option is None or self.is_dead(now):
            return None
        self.leave(now)
        approval = question.approval
        return Answer(approval.id, approval.number, option.id, option.label)

    @property
    def has_questions(self) -> bool:
        """Whether a question is open."""
        return bool(self._open)

    def rows(
        self, columns: int, now: float, bar: str = BAR, height: int = ROWS_MAX
    ) -> list[Row]:
        """What is to be shown: a row of the oldest question, or the focused card.

        Args:
            columns: Of the terminal; rows are one shorter.
            now: For the dead time.
            bar: Stands before every row.
            height: So many rows at most; what can be answered is shown in any case.
        """
        if not self._open:
            return []
        width = columns - 1 - cell_len(bar)
        if self._focused is None:
            found = [self._folded(width)]
        else:
            found = self._unfolded(self._focused, width, height, now)
        return [(style, bar + cut(text, width)) for style, text in found]

    def _folded(self, width: int) -> Row:
        question, more = self._open[0], len(self._open) - 1
        by = f"   asked by {question.asked_by}" if question.asked_by else ""
        others = f"   +{more} more" if more else ""
        review = "  [Tab] read" if question.refused else "  [Tab] review"
        head = _headline(question)
        for hint in (f"{review}{by}{others}", f"{review}{others}", review, "  [Tab]"):
            room = width - cell_len(hint)
            if room >= min(cell_len(head), HEAD_COLUMNS_MIN):
                return "class:question", f"{cut(head, room)}{hint}"
        return "class:question", head

    def _unfolded(
        self, question: Question, width: int, height: int, now: float
    ) -> list[Row]:
        style = "class:dim" if self.is_dead(now) else "class:question"
        choices = [(style, row) for row in self._choices(question, width)]
        spare = height - len(choices) - 1
        # Short, as a long row wraps when the terminal gets narrower.
        keys = f"1-{len(question.choices)} choose, Enter answers, Esc goes back"
        longer = f"arrows or {keys}"
        hint = longer if cell_len(longer) <= width else keys
        if question.refused:
            hint = f"{question.refused}; Esc goes back"
        details = _details(question.approval, width - 2)
        shown = details[: max(0, min(DETAIL_ROWS_MAX, spare - 1))]
        if len(shown) < len(details) and shown:
            more = len(details) - len(shown) + 1
            shown[-1] = f"... {more} more rows: /activity"
        return [
            ("class:question", _headline(question)),
            *(("", f"  {row}") for row in shown),
            *choices,
            *([("class:dim", hint)] if spare > 0 else []),
        ]

    def _choices(self, question: Question, width: int) -> list[str]:
        """The answers in one row, or in one each: none may be cut off."""
        found = [
            f"{'>' if at == self._selected else ' '}{at + 1} {level_line(option.label)}"
            for at, option in enumerate(question.choices)
        ]
        row = "   ".join(found)
        return [row] if row and cell_len(row) <= width else found


def questions_of(session: Session) -> list[Question]:
    """The open questions of a session, the oldest first."""
    scene, view = SessionScene(session), session.view
    found = []
    for approval in view.open_approvals():
        turn = view.turns.get(approval.turn)
        claim = turn.claim if turn is not None else None
        asked = scene.message(claim.prompts[0]) if claim and claim.prompts else None
        found.append(
            Question(
                approval,
                level_line(claim.agent if claim else "") or "the agent",
                level_line(scene.name_of(asked.author)) if asked else "",
                session.refused_vote(approval),
            )
        )
    return found


def _headline(question: Question) -> str:
    title = level_line(question.approval.title)
    return f"PERMISSION #{question.approval.number} {question.agent} wants: {title}"


def _details(approval: Approval, columns: int) -> list[str]:
    """The input as rows, so that nobody approves what a title hides."""
    text = level(clean_text(written(approval.input))).expandtabs(4)
    if not text.strip() or clean_line(text) == clean_line(approval.title):
        return []
    return [
        line[start : start + columns]
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), max(1, columns))
    ]
