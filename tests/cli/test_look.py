"""How a window looks and sounds, and what it remembers and keeps off the screen."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from crdtsync_cli.settings import THEMES
from crdtsync_cli.terminal.alerts import PAUSE_S, Alerts
from crdtsync_cli.terminal.block import Line
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.look import Look, look_from
from crdtsync_cli.terminal.noise import LINE_CHARS_MAX, quiet
from crdtsync_cli.terminal.page import BACKLOG_MAX, ROWS_PER_FRAME, Page
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.seen import read_seen, write_seen
from crdtsync_cli.terminal.tones import PALETTE, live_styles, style_of

from crdtsync.palette import SLOTS
from crdtsync.session.opening import open_session

SETTINGS = {
    "theme": "auto",
    "ascii": "off",
    "bell": "on",
    "notify": "off",
    "reduced_motion": "off",
}


def look(environ: dict[str, str], **settings: str) -> Look:
    return look_from({**SETTINGS, **settings}, environ, colors=True, encoding="utf-8")


def test_the_look_comes_from_the_settings() -> None:
    assert look({}) == Look()
    assert look({}, bell="off", notify="osc9", reduced_motion="1", ascii="on") == Look(
        bell=False, notify="osc9", motion=False, ascii=True
    )


@pytest.mark.parametrize(
    ("colors", "theme"),
    [("", "dark"), ("15;0", "dark"), ("0;15", "light"), ("0;default;7", "light")],
)
def test_a_bright_background_gets_the_light_theme(colors: str, theme: str) -> None:
    assert look({"COLORFGBG": colors}).theme == theme
    assert look({"COLORFGBG": colors}, theme="none").theme == "none"


def test_another_locale_than_utf8_gets_ascii() -> None:
    for encoding, plain in (("UTF8", False), ("latin-1", True), ("nonsense", True)):
        found = look_from(SETTINGS, {}, colors=True, encoding=encoding)
        assert found.ascii is plain


@pytest.mark.parametrize(
    ("environ", "reflows"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "XTERM_VERSION": "XTerm(389)"}, False),
        ({"TERM": "tmux-256color", "XTERM_VERSION": "XTerm(389)", "TMUX": "x"}, True),
        ({"TERM": "linux"}, False),
        ({"TERM": "linux", "CRDTSYNC_REFLOW": "on"}, True),
        ({"TERM": "xterm", "CRDTSYNC_REFLOW": "off"}, False),
    ],
)
def test_terminals_that_do_not_wrap_anew_are_known(
    environ: dict[str, str], *, reflows: bool
) -> None:
    assert look(environ).reflow is reflows
    assert look({**environ, "CRDTSYNC_SYNC": "off"}).sync is False


def test_a_call_rings_but_not_often() -> None:
    alerts = Alerts(Look())
    assert alerts.call("bob", "look", 100) == "\a"
    assert alerts.call("bob", "look", 100 + PAUSE_S / 2) == ""
    assert alerts.call("bob", "look", 100 + PAUSE_S) == "\a"


def test_a_notification_carries_nothing_but_its_text() -> None:
    text = "look; here\x1b]0;owned\x07"
    quiet_look = Look(bell=False, notify="osc777")
    called = Alerts(quiet_look).call("bob", text, 0)
    assert called == "\x1b]777;notify;crdtsync;bob: look, here]0,owned\x1b\\"
    called = Alerts(Look(notify="osc9")).call("bob", "x" * 500, 0)
    assert called.startswith("\a\x1b]9;bob: xxx")
    assert len(called) < 140


def test_what_was_seen_is_remembered_per_session(tmp_path: Path) -> None:
    assert read_seen(tmp_path, "s1") == ""
    write_seen(tmp_path, "s1", "m1")
    write_seen(tmp_path, "s1", "m2")
    write_seen(tmp_path, "s2", "m3")
    assert (read_seen(tmp_path, "s1"), read_seen(tmp_path, "s2")) == ("m2", "m3")
    write_seen(tmp_path / "missing", "s1", "m1")


def test_nothing_else_writes_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        with quiet(lines.append):
            sys.stdout.write("one\ntw")
            sys.stderr.write("o\n\n")
            sys.stdout.write("x" * (LINE_CHARS_MAX + 1))
            logging.getLogger("crdtsync").error("hidden")
        assert handler in logging.getLogger().handlers
    finally:
        logging.getLogger().removeHandler(handler)
    assert lines == ["one", "two", "x" * (LINE_CHARS_MAX + 1)]
    assert capfd.readouterr() == ("", "")


def test_every_theme_has_every_tone() -> None:
    assert len(PALETTE) == SLOTS
    for theme in THEMES:
        for slot in range(SLOTS):
            assert (style_of(f"slot{slot}", theme).color is None) == (theme == "none")
        assert live_styles(theme).class_names_and_attrs
    assert style_of("slot3 mine", "none").bold
    assert style_of("called", "none").reverse


def frame(page: Page) -> str:
    """The rows of the next frame."""
    while page.draw(80):
        pass
    return page.take()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_backlog_is_spread_and_a_large_one_is_not(
    tmp_path: Path, anyio_backend: str
) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as session:
        page = Page(Painter(session, Ink(colors=False)))
        page.add([Line(f"line {number}") for number in range(100)])
        assert frame(page).count("\n") == ROWS_PER_FRAME
        assert page.waiting == 100 - ROWS_PER_FRAME
        page.add([Line(f"more {number}") for number in range(BACKLOG_MAX)])
        rows = frame(page).splitlines()
        assert rows[0] == f"line {ROWS_PER_FRAME}"
        assert rows[-1] == f"more {BACKLOG_MAX - 1}"
        assert page.waiting == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_cannot_be_drawn_is_a_row(
    tmp_path: Path, anyio_backend: str
) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as session:
        page = Page(Painter(session, Ink(colors=False)))
        page.add([Line(None), Line("after")])  # type: ignore[arg-type]
        assert frame(page) == "render error: see the log\nafter\n"
