"""What others do is shown in a window as it happens, and what they did before it."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.terminal.noise import quiet
from crdtsync_cli.terminal.seen import write_seen
from prompt_toolkit.data_structures import Size

from crdtsync.entities import Message
from crdtsync.events import (
    AssistantDelta,
    AssistantMessage,
    MessageAdded,
    Reset,
    TurnStarted,
)
from crdtsync.session.opening import open_session
from tests.story import turn_of

from .window import Window, prompt_rows, window


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def past(data: Path, count: int) -> list[str]:
    """A session that somebody has written into; the messages' ids."""
    async with open_session("talk", data=data, name="bob") as bob:
        sent = [await bob.send(f"note {n}", note=True) for n in range(count)]
        write_seen(data, bob.id, sent[-3].id)
    return [message.id for message in sent]


def turn_rows(ui: Window) -> list[str]:
    """What is shown of turns, without the times."""
    rows = [re.sub(r"^([\d-]+ )?\d\d:\d\d ", "", row) for row in ui.tty.all]
    begin = next(at for at, row in enumerate(rows) if "hello" in row)
    end = next(at for at, row in enumerate(rows) if "turn 2 done" in row)
    return rows[begin : end + 1]


async def test_who_comes_in_sees_the_last_messages(tmp_path: Path) -> None:
    await past(tmp_path, 25)
    async with window(tmp_path, rows=40) as ui:
        await ui.until_shown("note 24")
        assert ui.tty.all[1] == "── 5 earlier · /history ──"
        said = [row.split()[-1] for row in ui.tty.all if "(note)" in row]
        assert said == [str(number) for number in range(5, 25)]


async def test_what_is_new_is_marked(tmp_path: Path) -> None:
    await past(tmp_path, 5)
    async with window(tmp_path, rows=40) as ui:
        await ui.until_shown("note 4")
        rows = ui.tty.all
        mark = rows.index("── 2 new since you left ──")
        assert "note 2" in rows[mark - 1]
        assert "note 3" in rows[mark + 1]


async def test_a_turn_that_comes_in_at_once_looks_as_to_who_comes_later(
    tmp_path: Path,
) -> None:
    async with window(tmp_path) as ui:
        with ui.other.replica.edit() as (edit, _):
            for step in (*turn_of("t1", "p1"), *turn_of("t2", "p2", 2)):
                for write in step:
                    write(edit)
        await ui.until_shown("turn 2 done")
        there = turn_rows(ui)
    async with window(tmp_path, rows=40) as ui:
        await ui.until_shown("turn 2 done")
        assert turn_rows(ui) == there
    one = [
        "!! permission 1 allowed by bob: run make",
        "  ✓ tool  make  exit 0  allowed by bob",
        "It builds.",
        "  [>] build",
    ]
    shown = [row for row in there if re.search("permission|builds|tool|build", row)]
    assert shown == [*one, one[0].replace("1", "2"), *one[1:]]


async def test_what_was_seen_is_remembered_at_the_end(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        sent = await ui.other.send("the last word", note=True)
        await ui.until_shown("the last word")
        session = ui.me.id
    assert (tmp_path / "seen" / session).read_text() == sent.id


async def test_ones_name_rings_once(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        for number in range(3):
            await ui.other.send(f"@ana {number}", note=True)
            await ui.until_shown(f"@ana {number}")
        await ui.other.send("@anabel", note=True)
        await ui.until_shown("@anabel")
        assert sum(frame.count("\a") for frame in ui.tty.frames) == 1


async def test_what_is_printed_inside_is_shown_above(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        with quiet(ui.screen.note):
            sys.stdout.write("from a library\n")
        await ui.until_shown("from a library")
        assert len(prompt_rows(ui.tty)) == 1


async def test_a_fault_in_the_loop_is_told_and_the_window_stays(tmp_path: Path) -> None:
    async with window(tmp_path) as ui:
        loop = ui.screen.desk.application.loop
        assert loop is not None
        loop.call_soon(lambda: 1 / 0)
        await ui.until_shown("something went wrong inside")
        ui.type("still here")
        await ui.until_shown("still here")


async def test_a_reset_tells_everything_once(tmp_path: Path) -> None:
    async with window(tmp_path, rows=40) as ui:
        for number in range(3):
            await ui.other.send(f"note {number}", note=True)
        await ui.until_shown("note 2")
        last = ui.me.view.tail(1)[0]
        ui.me.notify(Reset("slow", 3))
        # It was there already when the view was read.
        ui.me.notify(MessageAdded(last, queued=False))
        await ui.until_shown("── read anew ──")
        await ui.until(lambda: sum("note 2" in row for row in ui.tty.all) == 2)
        await ui.other.send("after", note=True)
        await ui.until_shown("after")
        assert sum("note 2" in row for row in ui.tty.all) == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_comes_in_whatever_order(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    async with window(tmp_path) as ui:
        # This terminal in memory does not wrap anew.
        ui.screen.desk.application.reflows = False
        ui.me.notify(TurnStarted("t", (), "demo", 1, ""))
        typed, answer, notes = "", "", 0
        for _ in range(200):
            match rng.choice(["delta", "delta", "key", "key", "rub", "note", "size"]):
                case "delta":
                    piece = _piece(rng, answer.count("p"))
                    answer += piece
                    ui.me.notify(AssistantDelta("m", "t", piece))
                case "key":
                    typed += rng.choice("xyz ")
                    ui.type(typed[-1])
                case "rub" if typed:
                    typed = typed[:-1]
                    ui.type("\x7f")
                case "note":
                    ui.screen.note(f"note {notes}")
                    notes += 1
                case "size":
                    resize(ui, rng.choice([30, 47, 70, 101]))
            if rng.random() < 0.3:
                await anyio.sleep(rng.random() * 0.05)
            assert len(ui.screen.desk.shown[0]) < 60  # type: ignore[index]
        message = Message("m", "assistant", "demo", "", turn="t")
        ui.me.notify(AssistantMessage(message, answer))
        await ui.until(lambda: ui.screen.desk.line.buffer.text == typed)
        wanted = re.findall(r"p\d+", answer)
        await ui.until(lambda: _said(ui, r"^p\d+$") == wanted)
        assert _said(ui, r"^note \d+$") == [f"note {n}" for n in range(notes)]
        assert len(prompt_rows(ui.tty)) == 1
        written = "".join(ui.tty.frames)
        assert not re.search(r"\x1b\[[23]J|\x1b\[\?1049h|\x1b\]", written)


def _piece(rng: random.Random, number: int) -> str:
    harm = rng.choice(["", "", "\x1b[2J", "\x1b]0;owned\x07", "\u202e"])
    return f"{harm}p{number}\n\n"


def _said(ui: Window, pattern: str) -> list[str]:
    """Rows of that kind, where the harm that came with them is taken out."""
    rows = [re.sub(r"^(\[2J|\]0;owned)", "", row) for row in ui.tty.all]
    return [row for row in rows if re.search(pattern, row)]


def resize(ui: Window, columns: int) -> None:
    rows = ui.tty.size.rows
    ui.tty.size = Size(rows=rows, columns=columns)
    ui.tty.screen.resize(rows, columns)
    ui.screen.desk.application._on_resize()  # noqa: SLF001 - as SIGWINCH does
