"""Several processes on one file: real ones, stopped and killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from pathlib import Path

import anyio
import pytest

from tests.log import window
from tests.log.documents import stored_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

TTL_S = 1.0
PATIENCE_S = 20.0


class Window:
    """A window's process."""

    def __init__(self, path: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, window.__file__, str(path), name, str(TTL_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.hear()

    def close(self) -> list[str]:
        """Let it end if it still can; return what it had said."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.stdout.closed:
            return []
        said = self.process.stdout.read().splitlines()
        self.process.stdout.close()
        self.process.wait(PATIENCE_S)
        return said


Open = Callable[[str], Window]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


@pytest.fixture
def open_window(path: Path) -> Generator[Open]:
    with ExitStack() as stack:

        def start(name: str) -> Window:
            opened = Window(path, name)
            stack.callback(opened.close)
            stack.callback(opened.process.kill)
            assert opened.hear() == "open"
            return opened

        yield start


def test_two_processes_lose_nothing_and_leave_no_gap(
    path: Path, open_window: Open
) -> None:
    windows = [open_window("ana"), open_window("ben")]
    for each in windows:
        each.tell("append 300")
    said = [line for each in windows for line in each.close() if line != "done"]
    updates = anyio.run(stored_in, path).updates
    assert sorted(int(line.split()[0]) for line in said) == list(range(1, 601))
    for line in said:
        seq, update = line.split()
        assert updates[int(seq) - 1].decode() == update


@pytest.mark.parametrize("run", range(5))
def test_what_was_acknowledged_survives_a_kill(
    path: Path, open_window: Open, run: int
) -> None:
    victim, other = open_window("victim"), open_window("other")
    victim.tell("flood")
    other.tell("append 100")
    said = [victim.hear() for _ in range(37 * run + 1)]
    victim.process.kill()
    said += victim.close()
    said += [line for line in other.close() if line != "done"]
    updates = anyio.run(stored_in, path).updates
    for line in said:
        seq, update = line.split()
        assert updates[int(seq) - 1].decode() == update
    assert len(updates) - len(said) in {0, 1}


def test_a_stopped_holder_is_refused_after_a_takeover(
    path: Path, open_window: Open
) -> None:
    ana, ben = open_window("ana"), open_window("ben")
    assert ana.ask("acquire") == "granted 1"
    assert ana.ask("hold") == "written"
    ana.process.send_signal(signal.SIGSTOP)
    assert ben.ask("acquire") == "denied by ana"
    deadline = time.monotonic() + PATIENCE_S
    while (answer := ben.ask("acquire")) != "granted 2":
        assert answer == "denied by ana"
        assert time.monotonic() < deadline
    assert ben.ask("hold") == "written"
    ana.process.send_signal(signal.SIGCONT)
    assert ana.ask("hold") == "refused"
    ana.close()
    ben.close()
    assert list(anyio.run(stored_in, path).updates) == [b"ana holds", b"ben holds"]


def test_a_killed_holder_is_followed_after_its_ttl(open_window: Open) -> None:
    ana, ben = open_window("ana"), open_window("ben")
    assert ana.ask("acquire") == "granted 1"
    granted_at = time.monotonic()
    ana.process.kill()
    while ben.ask("acquire") != "granted 2":
        assert time.monotonic() < granted_at + TTL_S + PATIENCE_S
    assert time.monotonic() - granted_at > TTL_S * 0.9
    ana.close()
    ben.close()
