"""What keys do in a window, on a real session and with a terminal in memory."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from crdtsync_cli.terminal.keys import CARD_KEYS, KEYS, bind

from crdtsync.session import Session
from crdtsync.view import SessionView

from .agentless import ask, decide, end_turn, run_tool, start_turn
from .window import Window, prompt_rows, window

UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"
ENTER, TAB, ESC, CTRL_C, CTRL_R = "\r", "\t", "\x1b", "\x03", "\x12"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def text(ui: Window) -> str:
    return ui.screen.desk.line.buffer.text


async def holds(ui: Window, wanted: str) -> None:
    await ui.until(lambda: text(ui) == wanted)


async def asked(session: Session, words: str, *, running: bool = True) -> str:
    """A prompt, and a turn that answers it."""
    sent = await session.send(words)
    if running:
        start_turn(session, sent.id)
    return sent.id


def votes(view: SessionView, number: int) -> dict[str, str]:
    return dict(view.approvals[f"q{number}"].votes)


# The table.

WORDS = {
    "c-m": "Enter",
    "escape c-m": "Alt-Enter",
    "c-j": "Ctrl-J",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "c-i": "Tab",
    "escape": "Esc",
    "escape escape": "Esc Esc",
    "c-x c-e": "Ctrl-X Ctrl-E",
    "<bracketed-paste>": "Paste",
    **{f"c-{letter}": f"Ctrl-{letter.upper()}" for letter in "cdolz"},
    **{str(number): "1 to 9" for number in range(1, 10)},
}
UNTOLD = {"c-h", "<any>"}
"""Backspace, which everybody knows, and what the card swallows."""


async def test_the_table_names_every_key_that_does_something(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        bindings = bind(ui.screen.desk).bindings
        bound = {
            " ".join(str(getattr(k, "value", k)) for k in b.keys) for b in bindings
        }
    assert bound - UNTOLD <= WORDS.keys()
    told = ", ".join(keys for keys, _ in (*KEYS, *CARD_KEYS))
    for keys in bound - UNTOLD:
        assert WORDS[keys] in told


# The line.


@pytest.mark.parametrize("newline", ["\\\r", "\x1b\r", "\n"])
async def test_a_line_may_have_several_lines(tmp_path: Path, newline: str) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"one{newline}two")
        await holds(ui, "one\ntwo")
        assert ui.me.view.message_count == 0
        ui.type(ENTER)
        await ui.until(lambda: ui.me.view.message_count == 1)
        assert ui.me.view.messages[0].text == "one\ntwo"


async def test_a_backslash_inside_the_line_is_sent(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"a\\{LEFT}{LEFT}{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 1)
        assert ui.me.view.messages[0].text == "a\\"


async def test_a_long_paste_is_folded_and_sent_whole(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        pasted = "".join(f"line {n}\r\n" for n in range(42))
        ui.keys.send_bytes(b"\x1b[200~" + pasted.encode() + b"\x1b[201~")
        await ui.until_shown("[paste #1 +42 lines]")
        ui.type(" and\x7f\x7f\x7f\x7f")
        await holds(ui, "[paste #1 +42 lines]")
        ui.type("\x7f")
        await holds(ui, "")
        ui.keys.send_bytes(b"\x1b[200~" + pasted.encode() + b"\x1b[201~")
        await ui.until_shown("[paste #2 +42 lines]")
        ui.type(ENTER)
        await ui.until(lambda: ui.me.view.message_count == 1)
        assert ui.me.view.messages[0].text == pasted.replace("\r\n", "\n")


async def test_lines_typed_before_come_back_in_another_window(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"/note first{ENTER}/note second{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 2)
    async with window(tmp_path) as ui:
        ui.type(UP)
        await holds(ui, "/note second")
        ui.type(UP)
        await holds(ui, "/note first")
        ui.type(DOWN)
        await holds(ui, "/note second")


async def test_up_moves_in_a_text_and_leaves_it_at_its_edge(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"/note before{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 1)
        ui.type(f"one\ntwo{UP}!")
        await holds(ui, "one!\ntwo")
        ui.type(UP)
        await holds(ui, "/note before")


async def test_reverse_search_shows_what_it_finds(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"/note apples{ENTER}/note pears{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 2)
        ui.type(f"{CTRL_R}app")
        await ui.until_shown("ana › /note apples")  # noqa: RUF001 - the prompt
        ui.type(ENTER)
        await holds(ui, "/note apples")
        assert ui.me.view.message_count == 2
        ui.type(CTRL_C)
        await holds(ui, "")
        ui.type(f"draft{CTRL_R}pear")
        await ui.until_shown("ana › /note pears")  # noqa: RUF001 - the prompt
        ui.type(CTRL_C)
        await ui.until_shown("ana › draft")  # noqa: RUF001 - the prompt
        assert text(ui) == "draft"


async def test_up_recalls_an_own_prompt_that_waits(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await asked(ui.other, "first")
        mine = await asked(ui.me, "and the lexer", running=False)
        await ui.other.wait_for(lambda view: mine in view.queue)
        await asked(ui.other, "others", running=False)
        await ui.until(lambda: len(ui.me.view.pending) == 2)
        ui.type(UP)
        await holds(ui, "and the lexer")
        ui.type(f" too{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 4)
        waiting = [ui.me.view.message(p.prompt) for p in ui.me.view.pending]
        assert [m.text for m in waiting if m] == ["and the lexer too", "others"]
        assert mine not in ui.me.view.queue
        await holds(ui, "")


async def test_a_recalled_prompt_is_left_alone_by_escape(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await asked(ui.other, "first")
        mine = await asked(ui.me, "and the lexer", running=False)
        ui.type(UP)
        await holds(ui, "and the lexer")
        ui.type(f"xx{ESC}")
        await holds(ui, "")
        ui.type(f"/note another{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 3)
        assert [p.prompt for p in ui.me.view.pending] == [mine]


async def test_tab_completes_commands_and_names(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"/act{TAB}")
        await holds(ui, "/activity")
        ui.type(f"{CTRL_C}ask @b{TAB}")
        await holds(ui, "ask @bob")
        ui.type(f"{CTRL_C}no /act{TAB}")
        await holds(ui, "no /act")


async def test_ctrl_c_stops_ones_own_turn_once_and_then_leaves(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await asked(ui.me, "count")
        ui.type(f"draft{CTRL_C}")
        await holds(ui, "")
        assert ui.me.view.message_count == 1
        ui.type(CTRL_C)
        await ui.until_shown("asked to stop the turn")
        assert ui.me.view.messages[-1].extra == {"action": "cancel"}
        ui.type(CTRL_C)
        await ui.until_shown("Ctrl-C again leaves")
        assert ui.me.view.message_count == 2
        ui.type(CTRL_C)
        await ui.until(lambda: not ui.screen.desk.application.is_running)


async def test_a_cleared_line_can_be_brought_back(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type(f"a long thought{CTRL_C}")
        await holds(ui, "")
        ui.type("\x1f")
        await holds(ui, "a long thought")
        ui.type(f"{CTRL_C}{UP}")
        await holds(ui, "a long thought")


async def test_double_escape_stops_ones_own_turn_only(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await asked(ui.other, "count")
        ui.type(f"{ESC}{ESC}")
        ui.type(f"/note after{ENTER}")
        await ui.until(lambda: ui.me.view.message_count == 2)
        end_turn(ui.other)
        prompt = await asked(ui.me, "mine", running=False)
        start_turn(ui.other, prompt, "t2")
        await ui.until(lambda: ui.screen.desk.own_turn == "t2")
        ui.type(f"{ESC}{ESC}")
        await ui.until(lambda: ui.me.view.messages[-1].turn == "t2")


async def test_ctrl_o_shows_what_the_last_tool_printed(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await asked(ui.me, "test it")
        run_tool(ui.me, "t1/c1", "pytest -q", "3 passed\x1b[2J in 1 s\n")
        ui.type("\x0f")
        await ui.until_shown("3 passed[2J in 1 s")
        await ui.until_shown("1.1  shell  pytest -q  ok")


# The card.


async def test_a_card_is_reviewed_and_answered(tmp_path: Path) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.me, "clean up")
        ask(ui.me, 7)
        await ui.until_shown("PERMISSION #7 demo wants: rm -r build/")
        ui.type(f"a draft{TAB}")
        await ui.until_shown(">3 Reject")
        await ui.until(lambda: not ui.screen.desk.card.is_dead(ui.screen.desk.now))
        ui.type(f"{LEFT}{LEFT}{ENTER}")
        await ui.until(lambda: votes(ui.me.view, 7) == {ui.me.me.id: "yes"})
        assert text(ui) == "a draft"
        assert not ui.screen.desk.card.focused


async def test_others_decide_and_the_card_closes(tmp_path: Path) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.other, "clean up")
        ask(ui.other, 7)
        await ui.until_shown("PERMISSION #7")
        ui.type(f"a draft{TAB}")
        await ui.until_shown(">3 Reject")
        ui.clock.hold()
        decide(ui.other, 7, "no")
        await ui.until(lambda: not ui.screen.desk.card.focused)
        ui.type(ENTER)
        await ui.until_shown("the question has just closed")
        await ui.until_shown("permission 7 denied by bob")
        assert text(ui) == "a draft"
        assert ui.me.view.message_count == 1


async def test_ctrl_c_and_escape_give_the_keys_back(tmp_path: Path) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.me, "clean up")
        ask(ui.me, 7)
        await ui.until_shown("PERMISSION #7")
        for back in (CTRL_C, ESC, TAB):
            ui.type(f"x{TAB}")
            await ui.until(lambda: ui.screen.desk.card.focused)
            ui.type(back)
            await ui.until(lambda: not ui.screen.desk.card.focused)
        assert text(ui) == "xxx"
        assert votes(ui.me.view, 7) == {}


async def test_a_paste_into_the_card_answers_nothing(tmp_path: Path) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.me, "clean up")
        ask(ui.me, 7)
        await ui.until_shown("PERMISSION #7")
        ui.type(TAB)
        await ui.until(lambda: ui.screen.desk.card.focused)
        await ui.until(lambda: not ui.screen.desk.card.is_dead(ui.screen.desk.now))
        ui.keys.send_bytes(b"\x1b[200~1\r\n1\r\n\x1b[201~")
        ui.type(f"yes{LEFT}")
        await ui.until_shown(">2 Always")
        assert ui.screen.desk.card.focused
        assert votes(ui.me.view, 7) == {}
        assert text(ui) == ""


async def test_a_viewer_cannot_answer(tmp_path: Path) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.me, "clean up")
        ask(ui.me, 7)
        await ui.until_shown("PERMISSION #7")
        ui.me.place = replace(ui.me.place, viewer=True)
        ui.type(TAB)
        await ui.until_shown(">3 Reject")
        await ui.until(lambda: not ui.screen.desk.card.is_dead(ui.screen.desk.now))
        ui.type(ENTER)
        await ui.until_shown("you are a viewer of this session")
        assert votes(ui.me.view, 7) == {}


async def test_typing_never_answers_a_question(tmp_path: Path) -> None:
    """Random keys, but for Tab, while questions come and go: nobody votes."""
    random_keys = random.Random(7)  # noqa: S311 - no secret
    keys = ["y", "1", "2", "3", "n", ENTER, UP, DOWN, LEFT, RIGHT, " ", "\x7f", "\x0f"]
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.other, "clean up")
        for number in range(1, 6):
            ask(ui.other, number)
            await ui.until_shown(f"PERMISSION #{number}")
            for _ in range(40):
                ui.type(random_keys.choice(keys))
            ui.type(f"{CTRL_C}/note end {number}{ENTER}")
            end = f"end {number}"
            await ui.until(lambda end=end: ui.me.view.tail(1)[0].text == end)  # type: ignore[misc]
            assert votes(ui.me.view, number) == {}
            decide(ui.other, number, "no")


async def test_keys_that_meant_the_line_decide_nothing_after_tab(
    tmp_path: Path,
) -> None:
    async with window(tmp_path, columns=90) as ui:
        await asked(ui.me, "clean up")
        ask(ui.me, 7)
        await ui.until_shown("PERMISSION #7")
        ui.clock.hold()
        ui.type(f"{TAB}1{ENTER}y{ENTER}{ENTER}")
        await ui.until_shown(">3 Reject")
        ui.type(f"{ESC}")
        await ui.until(lambda: not ui.screen.desk.card.focused)
        assert votes(ui.me.view, 7) == {}
        assert text(ui) == ""


async def test_any_keys_leave_one_usable_line(tmp_path: Path) -> None:
    """Random keys, remote lines and questions: nothing breaks the window."""
    dice = random.Random(11)  # noqa: S311 - no secret
    keys = [*"ab/@ ", TAB, UP, DOWN, LEFT, RIGHT, ESC, ENTER, f"{ESC}\r", "\n", CTRL_R]
    keys += ["\x7f", "\x0c", "\x0f", "\x01", "\x0b", "\x1f", "\x1b[200~x\ny\x1b[201~"]
    async with window(tmp_path) as ui:
        await asked(ui.other, "clean up")
        ui.clock.hold()
        for number in range(1, 9):
            ask(ui.other, number)
            await ui.other.send(f"remote {number}", note=True)
            ui.type("".join(dice.choice(keys) for _ in range(60)))
            await ui.until_shown(f"remote {number}")
            assert votes(ui.other.view, number) == {}
        ui.clock.release()
        # Out of the search, out of the card, and whatever stands in the line is gone.
        ui.type("\x07")
        await ui.until(lambda: not ui.screen.desk.application.layout.is_searching)
        ui.screen.desk.card.leave(ui.screen.desk.now)
        await ui.until(lambda: not ui.screen.desk.card.is_dead(ui.screen.desk.now))
        ui.screen.desk.line.buffer.reset()
        ui.type(f"/note still here{ENTER}")
        await ui.until_shown("still here")
        assert not any("\x1b[2J" in f or "\x1b[3J" in f for f in ui.tty.frames)
        assert len(prompt_rows(ui.tty)) == 1
