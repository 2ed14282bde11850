"""The line being typed: sending, clearing, recalling, folding and completing it.

Nothing but the person's own keys changes it, except `give_back`, and that only while it
is empty. It shows nothing but hints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import get_common_complete_suffix
from prompt_toolkit.filters import Condition

from crdtsync.sanitize import clean_text
from crdtsync_cli.terminal.card import Answer
from crdtsync_cli.terminal.complete import (
    LineCompleter,
    as_completions,
    completes,
    proposals,
)
from crdtsync_cli.terminal.pasting import Pastes
from crdtsync_cli.terminal.typed import TypedLines
from crdtsync_cli.terminal.whose import own_waiting

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync_cli.terminal.layout import Desk

__all__ = ["Hands", "TypingLine"]

RECALL_HINT_S = 4.0


class Hands(Protocol):
    """What the keys can do."""

    def accept(self, line: str, replaces: str = "") -> bool:
        """Take a typed line; False, and the line stays, if too many wait."""
        ...

    def answer(self, answer: Answer) -> bool:
        """Take the answer to a permission question; False if too much waits."""
        ...

    def stop_turn(self) -> None:
        """Ask to stop the running turn."""
        ...


class TypingLine:
    """The input line of one window.

    Args:
        session: Open.
        desk: Says hints, and has the card.
        hands: Take what is sent.

    Attributes:
        buffer: Its text, as the terminal edits it.
        pastes: Its folded pastes.
        recalled: The waiting prompt that is being edited in it; "" for none.
    """

    def __init__(self, session: Session, desk: Desk, hands: Hands) -> None:
        self._session = session
        self._desk = desk
        self._hands = hands
        self.pastes = Pastes()
        self.recalled = ""
        self.buffer = Buffer(
            multiline=True,
            completer=LineCompleter(session),
            # Each look for completions draws a frame, even if there are none.
            complete_while_typing=Condition(self._completes),
            history=TypedLines(session.place.data, self.pastes.unfold),
            on_text_changed=self._typed,
            tempfile_suffix=".md",
        )

    def _completes(self) -> bool:
        return completes(self.buffer.document.text_before_cursor)

    def give_back(self, line: str) -> None:
        """Put a refused line back, unless something else was typed already."""
        if not self.buffer.text:
            self.buffer.insert_text(self.pastes.take(line))

    def enter(self) -> None:
        """Send the line, or go on with it."""
        buffer = self.buffer
        if self._desk.card.is_dead(self._desk.now):
            self._desk.say("the question has just closed: press Enter again to send")
        elif buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        elif not buffer.text.strip():
            buffer.reset()
        elif self._hands.accept(self.pastes.unfold(buffer.text), self.recalled):
            command = buffer.text.startswith("/")
            buffer.reset(append_to_history=True)
            if command:
                self._typed(buffer)
            self._desk.say("")
        else:
            self._desk.say("the disk is slow: press Enter again in a moment")

    def clear(self) -> None:
        """Empty the line; Up, or Ctrl-_, brings it back."""
        buffer, text = self.buffer, self.buffer.text
        if not self.recalled:
            buffer.append_to_history()
        buffer.reset()
        # A reset forgets what could be undone.
        buffer.text = text
        buffer.save_to_undo_stack()
        buffer.text = ""

    def escape(self) -> None:
        """Close the menu; leave a recalled prompt as it is."""
        if self.buffer.complete_state is not None:
            self.buffer.cancel_completion()
        elif self.recalled:
            self.buffer.reset()
            self._desk.say("the waiting prompt stays as it is")

    def tab(self) -> None:
        """Complete what is being typed; else give the keys to the oldest question."""
        buffer = self.buffer
        menu = buffer.complete_state
        if menu is not None and len(menu.completions) == 1:
            buffer.apply_completion(menu.completions[0])
        elif menu is not None:
            buffer.complete_next()
        elif completes(buffer.document.text_before_cursor):
            self._complete()
        else:
            self._desk.review()

    def _complete(self) -> None:
        """Insert what is certain, at once, and propose the rest."""
        buffer = self.buffer
        found = proposals(self._session, buffer.document.text_before_cursor)
        completions = as_completions(buffer.document, found)
        if len(completions) == 1:
            buffer.apply_completion(completions[0])
            return
        buffer.insert_text(get_common_complete_suffix(buffer.document, completions))
        buffer.start_completion()

    def recall(self) -> None:
        """Edit one's own prompt that waits, or go back in what was typed."""
        waiting = own_waiting(self._session)
        if waiting is None:
            self.buffer.auto_up()
            return
        self.buffer.insert_text(self.pastes.take(waiting.text))
        self.recalled = waiting.id
        self._desk.say(
            "your waiting prompt: Enter replaces it, Esc leaves it", RECALL_HINT_S
        )

    @property
    def mark_before_cursor(self) -> str:
        """The mark of a folded paste right before the cursor; "" without one."""
        return self.pastes.mark_before(self.buffer.document.text_before_cursor)

    def edit(self) -> None:
        """Write the line in an editor; what others do is shown afterwards."""
        self.buffer.text = self.pastes.unfold(self.buffer.text)
        task = self.buffer.open_in_editor()
        task.add_done_callback(lambda _: self._edited())

    def _edited(self) -> None:
        self.buffer.text = clean_text(self.buffer.text)
        self.buffer.cursor_position = len(self.buffer.text)
        self._desk.application.print_above("")

    def _typed(self, buffer: Buffer) -> None:
        if not buffer.text:
            self.recalled = ""
        self._session.company.note_input(typing=bool(buffer.text))
