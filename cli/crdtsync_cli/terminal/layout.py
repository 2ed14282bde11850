"""The input line with its surroundings; what the keys do is in `keys`.

It prints nothing above and takes no focus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import get_app
from prompt_toolkit.cache import SimpleCache
from prompt_toolkit.filters import Condition, has_completions, is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
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
from prompt_toolkit.styles import DynamicStyle
from prompt_toolkit.widgets import SearchToolbar

from crdtsync_cli.terminal.card import BAR, Card, questions_of
from crdtsync_cli.terminal.keys import bind
from crdtsync_cli.terminal.line import Hands, TypingLine
from crdtsync_cli.terminal.live import LiveApplication, SyncOutput
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.region import Region
from crdtsync_cli.terminal.tones import live_styles
from crdtsync_cli.terminal.whose import others_turn, own_turn
from crdtsync_cli.terminal.widths import level_line

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["Desk"]

HINT_S: Final = 2.0
"""How long a hint is shown, and how long a second Ctrl-C leaves."""

INPUT_ROWS_MAX: Final = 8
MENU_ROWS_MAX: Final = 6
LOWER_ROWS: Final = 2
"""For the toolbar, and one more, so that the screen is never full."""
PREFIX_COLUMNS: Final = 8
"""Before a typed line stands about so much."""
ESCAPE_S: Final = 0.05
"""So long after an Escape the rest of a key's sequence has come."""
CHORD_S: Final = 0.5
"""So long after Escape or Ctrl-X the next key still belongs to it."""

_SIGN: Final = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


class Desk:
    """The application of one window.

    Attributes:
        application: Prints above, and runs.
        card: The permission card.
        hands: What the keys can do.
        line: The line being typed.
        asked_to_stop: The turn that a key has asked to stop.
    """

    def __init__(
        self,
        session: Session,
        keys: Input,
        output: SyncOutput,
        painter: Painter,
        region: Region,
        hands: Hands,
    ) -> None:
        self._session = session
        self._output = output
        self._region = region
        self._hint = ""
        self._hint_until_s = self._leaving_until_s = float("-inf")
        self.hands = hands
        self.card = Card()
        self.asked_to_stop = ""
        self.line = TypingLine(session, self, hands)
        self._search = SearchToolbar(
            ignore_case=True, backward_search_prompt=[("class:dim", "search: ")]
        )
        self.application = LiveApplication(
            layout=self._layout(),
            key_bindings=bind(self),
            style=DynamicStyle(lambda: live_styles(painter.ink.theme)),
            input=keys,
            output=output,
            erase_when_done=True,
            # Keys are shown before what else waits.
            max_render_postpone_time=None,
            # The signal tells of a new size.
            terminal_size_polling_interval=None,
        )
        self.application.frames = output
        self.application.ttimeoutlen = ESCAPE_S
        self.application.timeoutlen = CHORD_S

    @property
    def columns(self) -> int:
        """The terminal's width."""
        return self._output.get_size().columns

    @property
    def rows(self) -> int:
        """The terminal's height."""
        return self._output.get_size().rows

    @property
    def shown(self) -> object:
        """What is shown around the line, to be compared with what was."""
        return self._above(), self._questions(), self._below()

    @property
    def now(self) -> float:
        """The time that hints and the card go by."""
        return self._session.place.clock.boottime()

    def say(self, hint: str, seconds: float = HINT_S) -> None:
        """Show a hint in the toolbar for a moment."""
        self._hint, self._hint_until_s = hint, self.now + seconds
        self._leaving_until_s = float("-inf")
        self.application.invalidate()
        self.application.invalidate_in(seconds)

    def say_leaving(self, hint: str) -> None:
        """Show a hint; while it is shown, the same key leaves."""
        self.say(hint)
        self._leaving_until_s = self._hint_until_s

    @property
    def leaving(self) -> bool:
        """Whether the next Ctrl-C leaves."""
        return self.now < self._leaving_until_s

    def leave(self) -> None:
        """End the application; harmless if it has ended."""
        future = self.application.future
        ending = future is not None and future.done()
        if self.application.is_running and not ending:
            self.application.exit()

    # The turn.

    @property
    def own_turn(self) -> str:
        """The running turn, if it answers a prompt of one's own; else ""."""
        return own_turn(self._session)

    @property
    def others_turn(self) -> str:
        """Who asked for the running turn, if somebody else did; else ""."""
        return others_turn(self._session)

    # The card.

    def review(self) -> None:
        """Give the keys to the oldest question, if there is one."""
        self._look_for_questions()
        self.card.focus(self.now)

    def choose(self, number: int) -> None:
        """Choose an answer by its number."""
        self.card.choose(number, self.now)

    def answer(self) -> None:
        """Give the chosen answer, if its question is still open."""
        self._look_for_questions()
        answer = self.card.confirm(self.now)
        if answer is not None and not self.hands.answer(answer):
            self.say("the disk is slow: answer again in a moment")

    def _look_for_questions(self) -> None:
        self.card.ask(questions_of(self._session), self.now)

    # What is shown.

    def _layout(self) -> Layout:
        line = Window(
            BufferControl(
                self.line.buffer,
                search_buffer_control=self._search.control,
                preview_search=True,
            ),
            get_line_prefix=self._prefix,
            wrap_lines=True,
            dont_extend_height=True,
            height=lambda: Dimension(min=1, max=self._input_rows_max),
        )
        menu = ConditionalContainer(
            Window(
                CompletionsMenuControl(),
                dont_extend_height=True,
                height=lambda: Dimension(max=min(MENU_ROWS_MAX, self.rows // 4)),
            ),
            has_completions & ~is_searching,
        )
        rows = HSplit(
            [
                _rows(self._above),
                _rows(self._questions),
                line,
                menu,
                self._search,
                _rows(self._below),
            ],
            align=VerticalAlign.TOP,
        )
        return Layout(rows, focused_element=line)

    def _prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        if wrapped:
            return []
        if line:
            return [("class:dim", self._region.sign("  … "))]
        name = level_line(self._session.me.name)
        return [("class:prompt", name), ("", self._region.sign(_SIGN))]

    def _above(self) -> StyleAndTextTuples:
        return self._region.above(self._output.get_size())

    def _questions(self) -> StyleAndTextTuples:
        self._look_for_questions()
        if not self.card.has_questions:
            return []
        bar = self._region.sign(BAR)
        height = max(1, self.rows - self._other_rows())
        rows = self.card.rows(self.columns, self.now, bar, height)
        return _lines([(style, self._region.sign(row)) for style, row in rows])

    @property
    def _input_rows_max(self) -> int:
        """So high the line may get; further rows scroll inside."""
        return max(1, min(INPUT_ROWS_MAX, self.rows // 3))

    def _other_rows(self) -> int:
        """How many rows there are besides a question."""
        lines = self.line.buffer.text.split("\n")
        line = sum(1 + (len(each) + PREFIX_COLUMNS) // self.columns for each in lines)
        typed = min(self._input_rows_max, line)
        return LOWER_ROWS + typed + _height(self._above())

    def _below(self) -> StyleAndTextTuples:
        hint = self._hint if self.now < self._hint_until_s else ""
        return self._region.below(self._output.get_size(), hint)


def _height(text: StyleAndTextTuples) -> int:
    """How many rows a text has."""
    return sum(part[1].count("\n") for part in text) + 1 if text else 0


def _lines(rows: list[tuple[str, str]]) -> StyleAndTextTuples:
    return [
        (style, row if at == len(rows) - 1 else f"{row}\n")
        for at, (style, row) in enumerate(rows)
    ]


def _rows(text: Callable[[], StyleAndTextTuples]) -> ConditionalContainer:
    """A window exactly as high as its text, and none without."""
    made: SimpleCache[int, StyleAndTextTuples] = SimpleCache(maxsize=1)

    def once() -> StyleAndTextTuples:
        """The text, made once per frame: it is asked for several times."""
        return made.get(get_app().render_counter, text)

    def height() -> Dimension:
        """Counted here: a window would lay the text out to know it, twice a frame."""
        return Dimension(preferred=_height(once()))

    window = Window(
        FormattedTextControl(once),
        dont_extend_height=True,
        wrap_lines=False,
        height=height,
    )
    return ConditionalContainer(window, Condition(lambda: bool(once())))
