"""The input line with its surroundings, and what the keys do; it prints nothing above.

Typing is never disturbed: nothing but the person's own keys changes the input, except
`give_back`, and that only while it is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Dimension,
    FormattedTextControl,
    HSplit,
    Layout,
    VerticalAlign,
    Window,
)
from prompt_toolkit.layout.menus import CompletionsMenuControl
from prompt_toolkit.styles import Style

from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.terminal.complete import SlashCompleter
from crdtsync_cli.terminal.live import LiveApplication, SyncOutput
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.status import live_rows, toolbar

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Desk", "Hands"]

HINT_S: Final = 2.0
"""How long a hint is shown, and how long a second Ctrl-C leaves."""

INPUT_ROWS_MAX: Final = 8
MENU_ROWS_MAX: Final = 6
ESCAPE_S: Final = 0.05
"""So long after an Escape the rest of a key's sequence has come."""

_SIGN: Final = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "

_STYLE: Final = {
    "dim": "ansibrightblack",
    "tool": "ansicyan",
    "question": "ansiyellow bold",
    "prompt": "bold",
    "completion-menu": "bg:default fg:default",
    "completion-menu.completion.current": "reverse",
    "completion-menu.meta.completion": "bg:default ansibrightblack",
    "completion-menu.meta.completion.current": "bg:default ansibrightblack",
}


class Hands(Protocol):
    """What the keys can do."""

    def accept(self, line: str) -> bool:
        """Take a typed line; False, and the line stays, if too many wait."""
        ...

    def stop_turn(self) -> None:
        """Ask to stop the running turn."""
        ...


class Desk:
    """The application of one window.

    Attributes:
        application: Prints above, and runs.
    """

    def __init__(
        self,
        session: Session,
        keys: Input,
        output: SyncOutput,
        painter: Painter,
        hands: Hands,
    ) -> None:
        self._session = session
        self._output = output
        self._painter = painter
        self._hands = hands
        self._hint = ""
        self._hint_until_s = 0.0
        self.buffer = Buffer(
            multiline=True,
            completer=SlashCompleter(),
            complete_while_typing=True,
            history=InMemoryHistory(),
            on_text_changed=self._typed,
        )
        self.application = LiveApplication(
            layout=self._layout(),
            key_bindings=self._keys(),
            style=Style.from_dict(_STYLE),
            input=keys,
            output=output,
            erase_when_done=True,
        )
        self.application.frames = output
        self.application.ttimeoutlen = ESCAPE_S

    @property
    def columns(self) -> int:
        """The terminal's width."""
        return self._output.get_size().columns

    def say(self, hint: str) -> None:
        """Show a hint in the toolbar for a moment."""
        self._hint = hint
        self._hint_until_s = self._now() + HINT_S
        self.application.invalidate()

    def give_back(self, line: str) -> None:
        """Put a refused line back, unless something else was typed already."""
        if not self.buffer.text:
            self.buffer.insert_text(line)

    def leave(self) -> None:
        """End the application; harmless if it has ended."""
        if self.application.is_running and not self._is_ending():
            self.application.exit()

    def _is_ending(self) -> bool:
        future = self.application.future
        return future is not None and future.done()

    def _now(self) -> float:
        return self._session.place.clock.boottime()

    def _typed(self, buffer: Buffer) -> None:
        self._session.company.note_input(typing=bool(buffer.text))

    # What is shown.

    def _layout(self) -> Layout:
        control = BufferControl(self.buffer)
        line = Window(
            control,
            get_line_prefix=self._prefix,
            wrap_lines=True,
            dont_extend_height=True,
            height=Dimension(min=1, max=INPUT_ROWS_MAX),
        )
        menu = ConditionalContainer(
            Window(
                CompletionsMenuControl(),
                dont_extend_height=True,
                height=Dimension(max=MENU_ROWS_MAX),
            ),
            has_completions,
        )
        rows = HSplit(
            [_rows(self._above), line, menu, _rows(self._below)],
            align=VerticalAlign.TOP,
        )
        return Layout(rows, focused_element=line)

    def _prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        if wrapped:
            return []
        if line:
            return [("class:dim", "  … ")]
        return [("class:prompt", clean_line(self._session.me.name)), ("", _SIGN)]

    def _above(self) -> StyleAndTextTuples:
        size = self._output.get_size()
        now = self._session.place.clock.now()
        tail = self._painter.live
        rows = live_rows(self._session, tail, size.columns, size.rows, now)
        return [
            (style, row if at == len(rows) - 1 else f"{row}\n")
            for at, (style, row) in enumerate(rows)
        ]

    def _below(self) -> StyleAndTextTuples:
        hint = self._hint if self._now() < self._hint_until_s else ""
        clock = self._session.place.clock
        return [("class:dim", toolbar(self._session, self.columns, hint, clock))]

    # What the keys do.

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("enter")(self._enter)
        keys.add("escape", "enter")(_newline)
        keys.add("c-j")(_newline)
        keys.add("c-c")(self._interrupt)
        keys.add("c-d")(self._end)
        keys.add("c-l")(lambda event: event.app.invalidate())
        keys.add("c-z")(lambda event: event.app.suspend_to_background())
        keys.add(Keys.BracketedPaste)(_paste)
        return keys

    def _enter(self, event: KeyPressEvent) -> None:
        if self.buffer.text.endswith("\\"):
            self.buffer.delete_before_cursor()
            self.buffer.newline(copy_margin=False)
        elif not self.buffer.text.strip():
            self.buffer.reset()
        elif self._hands.accept(self.buffer.text):
            self.buffer.reset(append_to_history=True)
        else:
            self.say("the disk is slow: press Enter again in a moment")

    def _interrupt(self, event: KeyPressEvent) -> None:
        """Ctrl-C: first the text, then one's own turn, then, twice, the window."""
        running = self._session.view.running
        if self.buffer.text:
            self.buffer.append_to_history()
            self.buffer.reset()
        elif running is not None and self._asked_by_me(running.id):
            self._hands.stop_turn()
        elif running is not None and not self._hint_is_shown():
            self.say("not your turn: /cancel stops it, Ctrl-C again leaves")
        elif self._hint_is_shown():
            self.leave()
        else:
            self.say("Ctrl-C again leaves")

    def _hint_is_shown(self) -> bool:
        return "again leaves" in self._hint and self._now() < self._hint_until_s

    def _asked_by_me(self, turn: str) -> bool:
        view = self._session.view
        claim = view.turns[turn].claim
        asked = [view.message(prompt) for prompt in claim.prompts] if claim else []
        return any(m is not None and m.author == self._session.me.id for m in asked)

    def _end(self, event: KeyPressEvent) -> None:
        if self.buffer.text:
            self.buffer.delete()
        else:
            self.leave()


def _rows(text: Callable[[], StyleAndTextTuples]) -> ConditionalContainer:
    """A window exactly as high as its text, and none without."""
    control = FormattedTextControl(text)
    window = Window(control, dont_extend_height=True, wrap_lines=False)
    return ConditionalContainer(window, Condition(lambda: bool(text())))


def _newline(event: KeyPressEvent) -> None:
    event.current_buffer.newline(copy_margin=False)


def _paste(event: KeyPressEvent) -> None:
    """Insert pasted text; it is never sent by its line ends."""
    event.current_buffer.insert_text(clean_text(event.data))
