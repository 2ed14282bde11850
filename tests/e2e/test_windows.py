"""Two windows of one session, as a person sees them."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .terminal import Pane, Tmux, private_tmux, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    project = tmp_path / "greet"
    project.mkdir()
    (project / "README.md").write_text("# greet\n\nSays hello.\n")
    (project / "greet.py").write_text("# TODO: more languages\n")
    # The path of a socket has to be short.
    with (
        tempfile.TemporaryDirectory(prefix="crdtsync-tmux-") as folder,
        private_tmux(Path(folder), tmp_path) as server,
    ):
        yield server


def opened(tmux: Tmux, name: str, *more: str) -> Pane:
    cwd = str(tmux.home / "greet")
    agent = ("--agent", "demo", "--cwd", cwd) if "agent" in more else ()
    pane = tmux.pane("open", "talk", "--name", name, *agent)
    pane.wait_for(f"{name} ›")  # noqa: RUF001
    return pane


def test_a_turn_streams_into_both_windows(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    bob = opened(tmux, "bob")
    ana.wait_for("bob joined")
    bob.type("list this folder")
    ana.wait_for("… bob is typing")
    bob.press("Enter")
    for pane in (ana, bob):
        pane.wait_for("bob  list this folder")
        pane.wait_for("turn 1 · demo")
        pane.wait_for("README.md")
        pane.wait_for("turn 1 done")
    answers = [
        [line for line in pane.history if "greet.py" in line] for pane in (ana, bob)
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 1


def test_a_permission_is_answered_in_the_other_window(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    bob = opened(tmux, "bob")
    ana.type("write a note")
    ana.press("Enter")
    bob.wait_for("PERMISSION #1 demo wants: Write NOTES.md")
    assert not (tmux.home / "greet" / "NOTES.md").exists()
    bob.type("/allow 1")
    bob.press("Enter")
    for pane in (ana, bob):
        pane.wait_for("permission 1 allowed by bob")
        pane.wait_for("turn 1 done")
    assert (tmux.home / "greet" / "NOTES.md").exists()


def test_an_agent_is_started_and_stopped_in_an_open_window(tmux: Tmux) -> None:
    ana = opened(tmux, "ana")
    ana.type("list this folder")
    ana.press("Enter")
    ana.wait_for("no agent runs here: /agent NAME")
    ana.type("/agent demo")
    ana.press("Enter")
    ana.wait_for("demo runs the turns in this window")
    ana.wait_for("turn 1 done")
    ana.type("count to 400")
    ana.press("Enter")
    ana.wait_for("1 2 3")
    ana.type("/agent none")
    ana.press("Enter")
    ana.wait_for("demo is in the middle of a turn")
    ana.wait_for("/cancel stops it")
    ana.press("C-c")
    ana.type("/cancel")
    ana.press("Enter")
    ana.wait_for("turn 2 cancelled")
    ana.type("/agent none")
    ana.press("Enter")
    ana.wait_for("no agent runs in this window: /agent NAME starts one")


def test_who_comes_in_mid_turn_sees_the_turn(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    ana.type("count to 400")
    ana.press("Enter")
    ana.wait_for("1 2 3")
    bob = opened(tmux, "bob")
    bob.wait_for("ana  count to 400")
    bob.wait_for("turn 1")
    bob.press("C-c")
    bob.wait_for("ana's turn: /cancel stops it")
    ana.press("C-c")
    for pane in (ana, bob):
        pane.wait_for("turn 1 cancelled")


def test_three_see_one_turn_also_who_comes_in_its_middle(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    bob = opened(tmux, "bob")
    ana.wait_for("bob joined")
    bob.type("hey @ana, look at this one")
    bob.press("Enter")
    # Between the first tool and the end there is time to come in.
    ana.wait_for("✓ read")
    carol = opened(tmux, "carol")
    for pane in (ana, bob, carol):
        pane.wait_for("turn 1 done")
    told = [_turn(pane) for pane in (ana, bob, carol)]
    assert told[0] == told[1] == told[2]
    assert any("README.md 2" in row for row in told[0])
    assert [row[0] for row in told[0] if row.startswith("✓")] == ["✓", "✓"]


def _turn(pane: Pane) -> list[str]:
    """What a window shows of turn 1, but for times, blanks and who came meanwhile."""
    times = re.compile(r"\d+\.\ds|^\d\d:\d\d ")
    rows = [" ".join(times.sub("", row).split()) for row in pane.history]
    start = rows.index("── turn 1 · demo ──")
    end = next(at for at, row in enumerate(rows) if row.startswith("── turn 1 done"))
    kept = [row for row in rows[start:end] if row and "carol" not in row]
    # Somebody who came between two parts of the answer stands between two heads.
    return [row for row in kept if row != "demo"]


def test_another_window_takes_over_from_a_killed_one(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    ana.type("count to 4000")
    ana.press("Enter")
    ana.wait_for("1 2 3")
    # Comes when ana's window has the turn, which either of two could have taken.
    bob = opened(tmux, "bob", "agent")
    bob.wait_for("ana  count to 4000")
    bob.type("list this folder")
    bob.press("Enter")
    bob.wait_for("queued: 1 you")
    # Only the window that runs the turn is killed; the agent ends with its stdin.
    os.kill(ana.pid, signal.SIGKILL)
    ana.wait_for("ended 137")
    bob.wait_for("turn 1 interrupted, outcome unknown")
    bob.wait_for("turn 2 · demo")
    bob.wait_for("turn 2 done")
    assert any("README.md" in line for line in bob.history)


def test_a_half_typed_line_survives_remote_lines_and_resizes(tmux: Tmux) -> None:
    ana = opened(tmux, "ana", "agent")
    ana.type("count to 4000")
    ana.press("Enter")
    ana.wait_for("1 2 3")
    ana.type("half typed, and longer than the window will be wide in a moment")
    ana.wait_for("in a moment")
    lines = "".join(f"/note line {number:03}\n" for number in range(300))
    source = tmux.home / "lines"
    source.write_text(lines)
    bob = tmux.pane("open", "talk", "--name", "bob", "--plain")
    bob.wait_for("session talk")
    tmux.command("load-buffer", str(source))
    tmux.command("paste-buffer", "-t", bob.name)
    ana.wait_for("line 299")
    for columns, rows in ((50, 24), (100, 14), (40, 30), (92, 26)):
        ana.resize(columns, rows)
        until(lambda: len(ana.prompts) == 1, lambda: "\n".join(ana.history))
        bob.type(f"/note at {columns}")
        bob.press("Enter")
        ana.wait_for(f"at {columns}")
    said = [line for line in ana.history if "bob (note)" in line]
    assert [line[-8:] for line in said[:300]] == [f"line {n:03}" for n in range(300)]
    assert len(ana.prompts) == 1, ana.history
    ana.press("Enter")
    ana.wait_for(
        "ana*  half typed, and longer than the window will be wide in a moment"
    )


def test_signs_in_ascii(tmux: Tmux) -> None:
    pane = tmux.pane("open", "talk", "--name", "ana", "--ascii", "--no-animation")
    pane.wait_for("ana >")
    pane.type("/note all right")
    pane.press("Enter")
    pane.wait_for("ana (note)  all right")
    assert all(row.isascii() for row in pane.history)


def test_leaving_restores_the_terminal(tmux: Tmux) -> None:
    ana = opened(tmux, "ana")
    bob = opened(tmux, "bob")
    ana.wait_for("bob joined")
    bob.press("C-d")
    bob.wait_for("left talk; to come back: crdtsync talk")
    bob.wait_for("ended 0")
    ana.wait_for("bob left, 1 here")
    assert bob.prompts == [], bob.history
    os.kill(ana.pid, signal.SIGTERM)
    ana.wait_for("ended 0")
    assert ana.prompts == []
