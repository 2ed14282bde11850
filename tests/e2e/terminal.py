"""Real windows in a private tmux server; a helper of the tests in this folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Pane", "Tmux", "private_tmux", "program", "until"]

WAIT_S = 60.0
PROMPT = "›"  # noqa: RUF001 - the sign before the input


def until(condition: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Wait for a condition outside this process, which can only be polled."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came; the screen is:\n{explain()}")
        time.sleep(0.05)


class Tmux:
    """A tmux server of its own."""

    def __init__(self, socket: Path, home: Path) -> None:
        self._socket = socket
        self.home = home
        self.data = home / "data"

    def command(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=True,
            env=self._environment(),
        )
        return done.stdout

    def pane(self, *arguments: str, columns: int = 92, rows: int = 30) -> Pane:
        """Start the program in a terminal of its own."""
        # After the program has ended the terminal stays, to be looked at.
        after = "echo ended $?; exec sleep 600"
        return self._pane(f"{program(*arguments)}; {after}", columns, rows)

    def shell(self) -> Pane:
        """Start a shell with jobs in a terminal of its own."""
        return self._pane("PS1='$ ' exec bash --norc --noprofile", 92, 30)

    def _pane(self, command: str, columns: int, rows: int) -> Pane:
        words = ["new-window", "-d"] if self._running() else ["new-session", "-d"]
        if words[0] == "new-session":
            words += ["-x", str(columns), "-y", str(rows)]
        words += ["-P", "-F", "#{pane_id}", "-c", str(self.home)]
        return Pane(self, self.command(*words, command).strip())

    def _running(self) -> bool:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "has-session"],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("CRDTSYNC_")}
        own.pop("TMUX", None)
        return own | {
            "HOME": str(self.home),
            "CRDTSYNC_DATA": str(self.data),
            "CRDTSYNC_CONFIG": str(self.home / "config.toml"),
            "CRDTSYNC_DEMO_PACE": "25",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "",
            "SHELL": "/bin/sh",
        }


_MAIN = "import sys; from crdtsync_cli.entry import main; sys.exit(main())"


def program(*arguments: str) -> str:
    """The program with these arguments, as a shell takes it."""
    return shlex.join([sys.executable, "-c", _MAIN, *arguments])


class Pane:
    """One terminal."""

    def __init__(self, tmux: Tmux, name: str) -> None:
        self._tmux = tmux
        self.name = name

    @property
    def screen(self) -> list[str]:
        """The rows one can see."""
        found = self._tmux.command("capture-pane", "-p", "-t", self.name)
        return [line.rstrip() for line in found.splitlines()]

    @property
    def history(self) -> list[str]:
        """All rows, those that have scrolled away too."""
        found = self._tmux.command("capture-pane", "-p", "-S", "-", "-t", self.name)
        return [line.rstrip() for line in found.splitlines()]

    @property
    def prompts(self) -> list[str]:
        """The rows that show an input line, on the screen or in the history."""
        return [line for line in self.history if f" {PROMPT}" in line]

    def type(self, text: str) -> None:
        self._tmux.command("send-keys", "-t", self.name, "-l", text)

    def paste(self, text: str) -> None:
        """Paste as a terminal does: in brackets, in one piece."""
        source = self._tmux.home / "pasted"
        source.write_text(text)
        self._tmux.command("load-buffer", str(source))
        self._tmux.command("paste-buffer", "-p", "-r", "-d", "-t", self.name)

    def press(self, *keys: str) -> None:
        self._tmux.command("send-keys", "-t", self.name, *keys)

    def resize(self, columns: int, rows: int) -> None:
        window = self._tmux.command(
            "display-message", "-p", "-t", self.name, "#{window_id}"
        ).strip()
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux.command("resize-window", "-t", window, *size)
        # tmux wraps its rows at once, and tells the program a moment later.
        until(lambda: self._told_columns() == columns, lambda: "not resized")

    def _told_columns(self) -> int:
        words = ("display-message", "-p", "-t", self.name, "#{pane_tty}")
        terminal = os.open(
            self._tmux.command(*words).strip(), os.O_RDONLY | os.O_NOCTTY
        )
        try:
            return os.get_terminal_size(terminal).columns
        finally:
            os.close(terminal)

    def wait_for(self, text: str) -> None:
        until(
            lambda: any(text in line for line in self.history),
            lambda: "\n".join([f"no {text!r} in", *self.history]),
        )

    def wait_until(self, act: Callable[[], None], text: str) -> None:
        """Do something again and again until a text is there, as the impatient do."""

        def came() -> bool:
            if any(text in line for line in self.history):
                return True
            act()
            return False

        until(came, lambda: "\n".join([f"no {text!r} in", *self.history]))

    @property
    def pid(self) -> int:
        """The program's process, a child of the terminal's shell."""
        shell = self._tmux.command(
            "display-message", "-p", "-t", self.name, "#{pane_pid}"
        ).strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])


@contextmanager
def private_tmux(folder: Path, home: Path) -> Iterator[Tmux]:
    """Run a tmux server that no other one knows, and end it."""
    tmux = Tmux(folder / "tmux", home)
    try:
        yield tmux
    finally:
        if tmux._running():  # noqa: SLF001 - of this module
            tmux.command("kill-server")
