"""Keys in real terminals: paste, search, editor, suspend, interrupt, questions."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .terminal import Pane, Tmux, private_tmux, program

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    (tmp_path / "greet").mkdir()
    # The path of a socket has to be short.
    with (
        tempfile.TemporaryDirectory(prefix="crdtsync-tmux-") as folder,
        private_tmux(Path(folder), tmp_path) as server,
    ):
        yield server


def arguments(name: str, *more: str) -> list[str]:
    return ["open", "talk", "--name", name, *more]


def opened(tmux: Tmux, name: str, *more: str) -> Pane:
    pane = tmux.pane(*arguments(name, *more))
    pane.wait_for(f"{name} ›")  # noqa: RUF001 - the prompt
    return pane


def with_agent(tmux: Tmux, name: str) -> Pane:
    return opened(tmux, name, "--agent", "demo", "--cwd", str(tmux.home / "greet"))


def test_pastes_searches_and_recalls(tmux: Tmux) -> None:
    ana = opened(tmux, "ana")
    ana.paste("/note one\ntwo 漢字\n three")
    ana.wait_for("  …  three")
    assert not any("(note)" in line for line in ana.history)
    ana.press("Enter")
    ana.wait_for("two 漢字")
    ana.wait_for("ana (note)  one")
    ana.type("/note ")
    ana.paste("".join(f"line {number}\n" for number in range(42)))
    ana.wait_for("/note [paste #1 +42 lines]")
    ana.press("Enter")
    ana.wait_for("line 41")
    ana.press("C-r")
    ana.type("漢")
    ana.wait_for("search: 漢")
    ana.press("Enter")
    ana.wait_for("ana › /note one")  # noqa: RUF001 - the prompt
    ana.press("C-c")
    ana.press("C-d")
    ana.wait_for("ended 0")
    again = opened(tmux, "ana")
    again.press("Up")
    again.wait_for("ana › /note one")  # noqa: RUF001 - the prompt
    assert len([line for line in again.history if "line 41" in line]) <= 1


def test_an_editor_writes_the_line_and_ctrl_z_suspends(tmux: Tmux) -> None:
    editor = tmux.home / "editor"
    editor.write_text(
        "import pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "path.write_text(path.read_text() + '\\nby the editor\\n')\n"
    )
    shell = tmux.shell()
    command = shlex.join([sys.executable, str(editor)])
    shell.type(f"EDITOR={shlex.quote(command)} {program(*arguments('ana'))}")
    shell.press("Enter")
    shell.wait_for("ana ›")  # noqa: RUF001 - the prompt
    bob = tmux.pane(*arguments("bob", "--plain"))
    bob.wait_for("session talk")
    shell.type("/note a draft")
    shell.press("C-x", "C-e")
    shell.wait_for("by the editor")
    shell.press("C-z")
    shell.wait_for("Stopped")
    bob.type("/note while it slept")
    bob.press("Enter")
    shell.type("fg")
    shell.press("Enter")
    shell.wait_for("while it slept")
    shell.press("Enter")
    bob.wait_for("by the editor")
    shell.press("C-d")
    shell.wait_for("left talk")
    shell.type("echo the terminal is $((40 + 2))")
    shell.press("Enter")
    shell.wait_for("the terminal is 42")


def test_ctrl_c_clears_then_stops_the_own_turn_then_leaves(tmux: Tmux) -> None:
    ana = with_agent(tmux, "ana")
    ana.type("count to 4000")
    ana.press("Enter")
    ana.wait_for("1 2 3")
    ana.type("half a line")
    ana.wait_for("half a line")
    ana.press("C-c")
    ana.type("x")
    ana.wait_for("ana › x")  # noqa: RUF001 - the prompt
    ana.press("BSpace", "C-c")
    ana.wait_for("asked to stop the turn")
    ana.wait_for("turn 1 cancelled")
    ana.press("C-c")
    ana.wait_for("Ctrl-C again leaves")
    ana.press("C-c")
    ana.wait_for("ended 0")


def test_a_question_closes_everywhere_when_one_decides(tmux: Tmux) -> None:
    ana = with_agent(tmux, "ana")
    bob = opened(tmux, "bob")
    bob.type("write a note")
    bob.press("Enter")
    for pane in (ana, bob):
        pane.wait_for("PERMISSION #1 demo wants: Write NOTES.md")
    ana.type("y1 a draft")
    ana.press("Tab")
    ana.wait_for(">2 Leave it")
    bob.press("Tab")
    bob.wait_for(">2 Leave it")
    bob.wait_until(lambda: bob.press("Enter"), "permission 1 denied by bob")
    ana.wait_for("permission 1 denied by bob")
    for pane in (ana, bob):
        pane.wait_for("turn 1 done")
        assert not any("Leave it" in line for line in pane.screen)
    assert any("ana › y1 a draft" in line for line in ana.screen)  # noqa: RUF001
    assert not (tmux.home / "greet" / "NOTES.md").exists()
