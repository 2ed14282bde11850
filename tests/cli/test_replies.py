"""How a window on a screen shows what comes of a typed line."""

from __future__ import annotations

import shlex
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.slashes import REGISTRY
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.replies import clipboard, pager

from crdtsync.entities import Message
from crdtsync.session.opening import open_session

from .agentless import run_tool, start_turn
from .window import Window, prompt_rows, window


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answer(ui: Window, text: str) -> None:
    """An answer of the agent, whole at once."""
    message = Message("a1", "assistant", "demo", "2026-11-21T09:00:00Z", turn="t9")
    with ui.me.replica.edit() as (edit, _):
        edit.add_message(message)
        edit.append_text("a1", text)


def theme(ui: Window) -> str:
    return ui.screen._painter.ink.theme  # noqa: SLF001 - it shows nowhere by itself


async def test_an_answer_is_sent_to_the_clipboard(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        answer(ui, "**42**, of course ü")
        ui.type("/copy\r")
        await ui.until_shown("1 line sent to your terminal's clipboard")
        # That is base64 of the text.
        wanted = "\x1b]52;c;Kio0MioqLCBvZiBjb3Vyc2Ugw7w=\x07"
        assert any(wanted in frame for frame in ui.tty.frames)
        assert clipboard("**42**, of course ü") == wanted


async def test_too_long_an_answer_is_not_copied_in_part(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        answer(ui, "x" * 80_000)
        ui.type("/copy\r")
        await ui.until_shown("the answer has 80,000 bytes")
        assert not any("\x1b]52" in frame for frame in ui.tty.frames)


async def test_a_cleared_screen_has_lost_nothing(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        await ui.other.send("still there", note=True)
        await ui.until_shown("still there")
        ui.type("/clear\r")
        await ui.until(lambda: not any("still there" in x for x in ui.tty.shown))
        assert any("still there" in line for line in ui.tty.all)
        assert len(prompt_rows(ui.tty)) == 1


async def test_the_muted_are_not_shown(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        ui.type("/mute bob\r")
        await ui.until_shown("muted in this window: bob")
        await ui.other.send("you cannot see me", note=True)
        await ui.me.wait_for(lambda view: view.message_count == 1)
        await ui.me.send("a mark", note=True)
        await ui.until_shown("a mark")
        ui.type("/mute bob\r")
        await ui.until_shown("nobody is muted here")
        await ui.other.send("now you can", note=True)
        await ui.until_shown("now you can")
        assert not any("you cannot see me" in line for line in ui.tty.all)


async def test_followed_output_is_shown_and_quiet_hides_the_rest(
    tmp_path: Path,
) -> None:
    async with window(tmp_path) as ui:
        prompt = await ui.other.send("build it")
        await ui.me.wait_for(lambda view: view.message_count == 1)
        start_turn(ui.other, prompt.id)
        ui.type("/activity quiet\r")
        await ui.until_shown("finished tools are hidden")
        run_tool(ui.other, "t1/c1", "make one", "quietly built")
        await ui.other.send("a mark", note=True)
        await ui.until_shown("a mark")
        ui.type("/activity on\r/follow bob\r")
        await ui.until_shown("you follow bob")
        run_tool(ui.other, "t1/c2", "make two", "built\x1b[2J aloud")
        await ui.until_shown("built[2J aloud")
        assert not any("make one" in line for line in ui.tty.all)
        assert any("✓ shell  make two" in line for line in ui.tty.all)


async def test_a_long_reply_goes_to_the_pager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "paged"
    command = f"cat > {shlex.quote(str(target))}"
    monkeypatch.setenv("PAGER", shlex.join(["sh", "-c", command]))
    async with window(tmp_path / "data") as ui:
        for number in range(30):
            await ui.other.send(f"line {number}\x1b[2J", note=True)
        await ui.until_shown("line 29")
        ui.type("/history 30\r")
        await ui.until(lambda: target.exists() and "line 29" in target.read_text())
        ui.type("typed after")
        await ui.until_shown("typed after")
        lines = target.read_text().splitlines()
        assert len(lines) == 30
        assert lines[0].endswith("<bob> (note) line 0[2J")
        assert len(prompt_rows(ui.tty)) == 1


async def test_the_help_stays_on_the_screen_also_in_a_narrow_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "paged"
    monkeypatch.setenv("PAGER", f"tee {shlex.quote(str(target))}")
    async with window(tmp_path / "data", columns=40, rows=15) as ui:
        ui.type("/help\r")
        await ui.until_shown("Say /text.")
        assert not target.exists()
        assert len(prompt_rows(ui.tty)) == 1
        begin = ui.tty.all.index("  /help [COMMAND]")
        assert ui.tty.all[begin : begin + 4] == [
            "  /help [COMMAND]",
            "      Show what can be typed here.",
            "  /who",
            "      Show who is here.",
        ]
        helps = [line for line in ui.tty.all[begin:] if line.startswith("      ")]
        assert len(helps) > len(REGISTRY)


async def test_what_does_not_fit_of_a_reply_stays_in_its_column(
    tmp_path: Path,
) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as session:
        painter = Painter(session, Ink(colors=False))
        line = "14:02  bob  " + "word " * 12
        assert painter.reply([line], 40).splitlines() == [
            "  14:02  bob  word word word word word",
            "              word word word word word",
            "              word word",
        ]


async def test_an_error_and_its_hints_stay_behind_their_margin(tmp_path: Path) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as session:
        painter = Painter(session, Ink(colors=False))
        shown = painter.error("it went so wrong", "try again, please\nor leave", 20)
        assert shown.splitlines() == [
            "✗ it went so wrong",
            "  try again, please",
            "  or leave",
        ]
        shown = painter.error("a word " * 5, "try that or " * 3, 24)
        assert all(row.startswith(("✗ ", "  ")) for row in shown.splitlines())


async def test_a_command_to_be_copied_stays_whole(tmp_path: Path) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as session:
        painter = Painter(session, Ink(colors=False))
        line = "they type: crdtsync join 17-a-b --relay https://relay.example.org"
        assert painter.reply([line], 40) == f"  {line}\n"


async def test_who_has_typed_a_command_is_typing_no_more(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:

        def typing() -> bool:
            return any(p.typing for p in ui.other.presence if p.name == "ana")

        ui.type("/who")
        await ui.until(typing)
        ui.type(" \r")
        # It would be forgotten after 6 seconds.
        with anyio.fail_after(4):
            await ui.until(lambda: not typing())


async def test_a_short_reply_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "false")
    async with window(tmp_path) as ui:
        await ui.other.send("psst", note=True)
        await ui.until_shown("psst")
        ui.type("/history 1\r")
        await ui.until_shown("<bob> (note) psst")


async def test_the_theme_changes_what_comes_next(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        assert theme(ui) == "dark"
        ui.type("/theme none\r")
        await ui.until(lambda: theme(ui) == "none")
        ui.type("/theme pink\r")
        await ui.until_shown("there is no theme 'pink'")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"PAGER": "cat"}, ()),
        ({"PAGER": ""}, ()),
        ({"PAGER": "no-such-pager-anywhere"}, ()),
        ({"PAGER": "unbalanced 'quote"}, ()),
        ({"PAGER": "sh -c 'cat -n'"}, ("sh", "-c", "cat -n")),
    ],
)
def test_the_pager_is_the_persons_own(
    wanted: dict[str, str], found: tuple[str, ...]
) -> None:
    assert pager(wanted) == found


async def test_a_link_is_not_cut_where_the_window_ends(tmp_path: Path) -> None:
    link = f"https://relay.example.org/s/{'x' * 90}"
    async with open_session("s", data=tmp_path, name="ana") as session:
        painter = Painter(session, Ink(colors=False))
        shown = painter.reply([link, "a word " * 20], 60)
    assert f"  {link}\n" in shown
    assert all(len(row) <= 60 for row in shown.splitlines()[1:])
