"""What each key does in a window on a screen; it shows nothing and does no command.

One table for the program and for its reference page. While a permission card has the
focus all keys are for the card, and none is otherwise: see `_bind_card`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys

from crdtsync.sanitize import clean_line
from crdtsync_cli.terminal.card import CHOICES_MAX

if TYPE_CHECKING:
    from crdtsync_cli.terminal.layout import Desk

__all__ = ["CARD_KEYS", "KEYS", "bind"]

KEYS: Final = (
    ("Enter", "Send the line. While a turn runs, a prompt waits in the queue."),
    ("Alt-Enter, Ctrl-J, \\ Enter", "Begin a new line."),
    ("Up, Down", "Move in the text; at its edge, go through what you typed before."),
    ("Up on an empty line", "Edit your prompt that waits; Enter replaces it."),
    ("Ctrl-R", "Search what you typed before; Enter takes it, Ctrl-C does not."),
    ("Tab", "Complete a /command or an @name; else review the oldest question."),
    (
        "Ctrl-C",
        "Clear the line, which Up or Ctrl-_ brings back; else leave the question; else "
        "stop the turn that you asked for; else, twice within 2 seconds, leave the "
        "session.",
    ),
    ("Ctrl-D", "Leave the session, if the line is empty; turns elsewhere go on."),
    ("Esc", "Close the menu, the search or the question."),
    ("Esc Esc", "Stop the turn that you asked for."),
    ("Ctrl-O", "Show what the last tool printed."),
    ("Ctrl-L", "Paint the lower rows anew."),
    ("Ctrl-X Ctrl-E", "Write the line in your editor ($VISUAL or $EDITOR)."),
    ("Ctrl-Z", "Suspend; `fg` comes back. An agent that runs here stands still too."),
    ("Paste", "Insert; never send. A long paste is folded to [paste #1 +42 lines]."),
)
"""The keys, in the order of the reference page; beside them those of readline."""

CARD_KEYS: Final = (
    ("Left, Right, 1 to 9", "Choose an answer. It begins with no."),
    ("Enter", "Give the chosen answer."),
    ("Esc, Tab, Ctrl-C", "Go back to the line, which is as it was."),
)
"""The keys while a permission question has the focus."""


def bind(desk: Desk) -> KeyBindings:
    """Make the bindings of a window."""
    keys = KeyBindings()
    _bind_line(keys, desk)
    _bind_program(keys, desk)
    _bind_card(keys, desk)
    return keys


def _bind_line(keys: KeyBindings, desk: Desk) -> None:
    """Bind what edits and sends the line."""
    line, here = desk.line, ~is_searching
    buffer = line.buffer
    empty = Condition(lambda: not buffer.text)
    recalled = Condition(lambda: bool(line.recalled))
    menu = Condition(lambda: buffer.complete_state is not None)
    mark = Condition(lambda: bool(line.mark_before_cursor))

    keys.add("enter", filter=here)(lambda event: line.enter())
    for newline in (("escape", "enter"), ("c-j",)):
        keys.add(*newline, filter=here)(lambda event: buffer.newline(copy_margin=False))
    keys.add("up", filter=here & empty & ~menu)(lambda event: line.recall())
    keys.add("up", filter=here & recalled & ~menu)(lambda event: buffer.cursor_up())
    keys.add("down", filter=here & recalled & ~menu)(lambda event: buffer.cursor_down())
    keys.add("backspace", filter=here & mark)(
        lambda event: buffer.delete_before_cursor(len(line.mark_before_cursor))
    )
    keys.add("tab", filter=here)(lambda event: line.tab())
    keys.add(Keys.BracketedPaste, filter=here)(
        lambda event: buffer.insert_text(line.pastes.take(event.data))
    )
    keys.add("c-x", "c-e", filter=here)(lambda event: line.edit())


def _bind_program(keys: KeyBindings, desk: Desk) -> None:
    """Bind what is about the turn and the window."""
    here = ~is_searching
    keys.add("c-c", filter=here)(lambda event: _interrupt(desk))
    keys.add("c-d", filter=here)(lambda event: _end(desk))
    keys.add("escape", filter=here)(lambda event: desk.line.escape())
    keys.add("escape", "escape", filter=here)(lambda event: _stop_own(desk))
    keys.add("c-o", filter=here)(lambda event: desk.hands.accept("/activity last"))
    keys.add("c-l")(lambda event: desk.application.repaint())
    keys.add("c-z")(lambda event: event.app.suspend_to_background())


def _bind_card(keys: KeyBindings, desk: Desk) -> None:
    """Bind the keys of the focused card; eager, so that no other binding is reached."""
    card, focused = desk.card, Condition(lambda: desk.card.focused)

    def on(name: str, act: Callable[[], object]) -> None:
        keys.add(name, filter=focused, eager=True)(lambda event: act())

    # Swallows what is typed: neither the draft nor the answer changes.
    on(Keys.Any, lambda: None)
    for name in ("escape", "tab", "c-c"):
        on(name, lambda: card.leave(desk.now))
    for name in ("left", "up"):
        on(name, lambda: card.step(-1, desk.now))
    for name in ("right", "down"):
        on(name, lambda: card.step(1, desk.now))
    for number in range(1, CHOICES_MAX + 1):
        on(str(number), partial(desk.choose, number))
    on("enter", desk.answer)
    on("c-l", lambda: desk.application.repaint())  # noqa: PLW0108 - made later


def _interrupt(desk: Desk) -> None:
    """Ctrl-C: the text, then one's own turn, then, twice, the window."""
    if desk.line.buffer.text:
        desk.line.clear()
    elif desk.leaving:
        desk.leave()
    elif not _stop_own(desk):
        whose = desk.others_turn
        hint = f"{clean_line(whose)}'s turn: /cancel stops it · " if whose else ""
        desk.say_leaving(f"{hint}Ctrl-C again leaves")


def _stop_own(desk: Desk) -> bool:
    """Ask once to stop one's own turn; False if there is nothing to ask for."""
    turn = desk.own_turn
    if not turn or turn == desk.asked_to_stop:
        return False
    desk.asked_to_stop = turn
    desk.hands.stop_turn()
    return True


def _end(desk: Desk) -> None:
    if desk.line.buffer.text:
        desk.line.buffer.delete()
    else:
        desk.leave()
