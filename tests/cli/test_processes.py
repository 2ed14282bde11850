"""Several processes on one session, and how a process ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import Cli

MAIN = "import sys; from crdtsync_cli.entry import main; sys.exit(main())"
WAIT_S = 40.0

pytestmark = pytest.mark.timeout(120)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def until_says(process: subprocess.Popen[str], text: str) -> str:
    """Read a process's stdout up to a line that holds the text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    pytest.fail(f"it ended without saying {text!r}")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def host(
    cli: Cli, folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("CRDTSYNC_DEMO_PACE", "200")
    cwd = str(folder("greet"))
    with started("host", "talk", "--agent", "demo", "--cwd", cwd) as process:
        until_says(process, "session talk")
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


def test_a_script_sends_and_waits_for_the_answer_of_a_host(
    cli: Cli, host: subprocess.Popen[str]
) -> None:
    found = cli("send", "talk", "list the folder", "--wait", "--name", "bob")
    assert found.code == 0, found.err
    assert "<demo> Looking into **greet**." in found.out
    assert "`README.md`" in found.out
    assert "turn 1 started by bob" in until_says(host, "turn 1 started")
    answer = json.loads(cli("send", "talk", "list it", "--wait", "--json").out)
    assert answer["stop_reason"] == "end_turn"
    assert "README.md" in answer["messages"][-1]["text"]


def test_a_question_is_answered_from_the_command_line(
    cli: Cli, home: Path, host: subprocess.Popen[str]
) -> None:
    cli("send", "talk", "write a note")
    until_says(host, "!! permission 1: Write NOTES.md (answer: /allow 1 or /deny 1)")
    status = json.loads(cli("status", "talk", "--json").out)
    assert [a["number"] for a in status["approvals"]] == [1]
    assert cli("deny", "talk", "1", "not", "today", "--name", "bob").code == 0
    until_says(host, "!! permission 1 denied by bob")
    assert cli("watch", "talk", "--until", "idle").code == 0
    assert not (home / "greet" / "NOTES.md").exists()
    cli("send", "talk", "write a note")
    until_says(host, "!! permission 2")
    assert cli("approve", "talk", "2").code == 0
    assert cli("watch", "talk", "--until", "idle").code == 0
    assert (home / "greet" / "NOTES.md").exists()


def test_a_turn_is_cancelled_from_the_command_line(
    cli: Cli, host: subprocess.Popen[str]
) -> None:
    cli("send", "talk", "count to 9000")
    until_says(host, "turn 1 started")
    assert cli("cancel", "talk").code == 0
    until_says(host, "turn 1 cancelled")
    assert "agents   demo" in cli("status", "talk").out
    assert "runs demo" in cli("who", "talk").out


def test_watch_follows_another_process_as_json(
    cli: Cli, host: subprocess.Popen[str]
) -> None:
    with started("watch", "talk", "--json", "--deltas", "--until", "turn") as watch:
        assert json.loads(until_says(watch, "session.opened"))["v"] == 1
        cli("send", "talk", "list the folder")
        lines = [json.loads(line) for line in watch.stdout or ()]
        assert watch.wait(WAIT_S) == 0
    kinds = [line["type"] for line in lines]
    order = ("message", "turn.started", "assistant.delta", "tool", "turn.ended")
    assert [k for k in dict.fromkeys(kinds) if k in order] == list(order)
    assert kinds[-1] == "turn.ended"
    seqs = [line["seq"] for line in lines]
    assert seqs == sorted(seqs)


def test_a_reader_that_has_enough_is_no_error(cli: Cli) -> None:
    cli("talk", "--plain", "--detach", stdin=b"/note hello\n" * 50)
    for command in ("show", "export"):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-c", MAIN, command, "talk"],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_window_leaves_with_130(cli: Cli, sent: signal.Signals) -> None:
    with started("open", "talk", "--plain") as window:
        until_says(window, "session talk")
        window.send_signal(sent)
        assert window.wait(WAIT_S) == 130
        assert window.stderr is not None
        assert window.stderr.read() == ""
    assert cli("who", "talk").out == "nobody is here\n"


def test_a_traceback_goes_to_the_log_file_alone(cli: Cli, home: Path) -> None:
    log = home / "log"
    found = cli("show", "nope", "--log-file", str(log), "--log-level", "debug")
    assert "Traceback" not in found.err
    assert found.code == 2
