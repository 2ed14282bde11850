"""The interactive window on a real session, with a terminal in memory."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.terminal.live import LiveApplication
from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.renderer import Renderer

from .window import prompt_rows, window


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_half_typed_line_survives_300_remote_messages(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type("half ty")
        async with anyio.create_task_group() as group:
            for number in range(300):
                note = partial(ui.other.send, f"line {number:03}", note=True)
                group.start_soon(note)
        ui.type("ped")
        await ui.until_shown("line 299")
        await ui.until(lambda: any("half typed" in row for row in prompt_rows(ui.tty)))
        said = [line for line in ui.tty.all if "bob (note)" in line]
        assert [line[-8:] for line in said] == [f"line {n:03}" for n in range(300)]
        assert prompt_rows(ui.tty) == ["ana › half typed"]  # noqa: RUF001
        ui.type("\r")
        await ui.until(lambda: ui.other.view.tail(1)[0].text == "half typed")


async def test_every_frame_is_one_synchronized_write(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await ui.other.send("hello", note=True)
        await ui.until_shown("hello")
        for frame in ui.tty.frames:
            assert frame.startswith("\x1b[?2026h")
            assert frame.endswith("\x1b[?2026l")
            assert not re.search(r"\x1b\[[23]J|\x1b\[\?1049h", frame)


async def test_a_paste_is_not_sent_and_loses_its_controls(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.keys.send_bytes(b"\x1b[200~one\ntwo\x1b[31m\x07\x1b[201~")
        await ui.until_shown("two")
        assert ui.screen.desk.line.buffer.text == "one\ntwo[31m"
        assert ui.me.view.message_count == 0


async def test_ctrl_c_clears_then_warns_then_leaves(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type("something")
        await ui.until(lambda: ui.screen.desk.line.buffer.text == "something")
        ui.type("\x03")
        await ui.until(lambda: ui.screen.desk.line.buffer.text == "")
        assert ui.screen.desk.application.is_running
        ui.type("\x03")
        await ui.until_shown("Ctrl-C again leaves")
        ui.type("\x03")
        await ui.until(lambda: not ui.screen.desk.application.is_running)
        assert prompt_rows(ui.tty) == []


async def test_ctrl_d_leaves_only_from_an_empty_line(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type("x\x04")
        await ui.until(lambda: ui.screen.desk.line.buffer.text == "x")
        ui.type("\x7f\x04")
        await ui.until(lambda: not ui.screen.desk.application.is_running)


async def test_a_refused_line_comes_back_and_nothing_is_sent(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type("/alow 7\r")
        await ui.until_shown("there is no command /alow; nothing was sent")
        await ui.until(lambda: ui.screen.desk.line.buffer.text == "/alow 7")
        assert ui.me.view.message_count == 0


async def test_escapes_of_others_do_not_reach_the_terminal(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await ui.other.send("\x1b[2J\x1b]0;owned\x07gone? \u202e", note=True)
        await ui.until_shown("gone?")
        assert all("\x1b]0" not in frame for frame in ui.tty.frames)
        assert all("\x1b[2J" not in frame for frame in ui.tty.frames)


async def test_typing_of_others_is_shown_until_they_send(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.other.company.note_input(typing=True)
        await ui.until_shown("… bob is typing")
        await ui.other.send("done", note=True)
        await ui.until(lambda: not any("… bob is typing" in x for x in ui.tty.shown))


async def test_a_resize_leaves_one_prompt(tmp_path: Path) -> None:
    async with window(tmp_path, columns=70) as ui:
        ui.type("half typed")
        await ui.until_shown("half typed")
        for columns, rows in ((40, 14), (90, 10), (60, 20)):
            ui.tty.size = Size(rows=rows, columns=columns)
            ui.tty.screen.resize(rows, columns)
            ui.screen.desk.application._on_resize()  # noqa: SLF001 - as SIGWINCH does
            await ui.other.send(f"at {columns}", note=True)
            await ui.until_shown(f"at {columns}")
            assert len(prompt_rows(ui.tty)) == 1


def test_the_private_names_of_prompt_toolkit_are_there() -> None:
    for name in ("_redraw", "_on_resize"):
        assert callable(getattr(Application, name))
    application: LiveApplication = LiveApplication()
    for name in ("_is_running", "_running_in_terminal"):
        assert hasattr(application, name)
    assert isinstance(application.renderer, Renderer)
    for name in (
        "_last_size",
        "_last_screen",
        "_cursor_pos",
        "_style_string_has_style",
    ):
        assert hasattr(application.renderer, name)
