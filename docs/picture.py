"""Takes the picture of two windows: runs them for real and draws what is on screen.

Run `uv run python docs/picture.py`; it needs tmux and writes docs/picture.svg.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

COLUMNS = 66
ROWS = 25
WAIT_S = 60.0
PICTURE = Path(__file__).with_name("picture.svg")

FILES = {
    "README.md": "# greet\n\nSays hello, politely.\n",
    "greet.py": "import sys\n\n# TODO: greet in other languages\n"
    'print(f"Hello, {sys.argv[1]}!")\n',
}


class Terminals:
    """Two windows in a tmux server of their own."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        self._folder = folder

    def run(self, *words: str) -> str:
        """Give tmux a command."""
        environment = {
            **os.environ,
            "CRDTSYNC_DATA": str(self._folder / "data"),
            "CRDTSYNC_CONFIG": str(self._folder / "none.toml"),
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(  # noqa: S603 - our own words
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return done.stdout

    def open(self, name: str, *more: str) -> None:
        """Open a window of the session for somebody."""
        main = "import sys; from crdtsync_cli.entry import main; sys.exit(main())"
        words = ["open", "fix-parser", "--name", name, *more]
        program = shlex.join([sys.executable, "-c", main, *words])
        size = ("-x", str(COLUMNS), "-y", str(ROWS + 1))
        folder = ("-c", str(self._folder / "greet"))
        self.run("new-session", "-d", "-s", name, *size, *folder, program)
        self.wait(name, lambda text: f"{name} " in text and "here" in text)

    def type(self, name: str, text: str) -> None:
        """Type into somebody's window."""
        self.run("send-keys", "-t", name, "-l", text)

    def enter(self, name: str) -> None:
        """Press Enter there."""
        self.run("send-keys", "-t", name, "Enter")

    def screen(self, name: str) -> str:
        """What is on somebody's screen, with colours."""
        return self.run("capture-pane", "-p", "-e", "-t", name)

    def wait(self, name: str, condition: Callable[[str], bool]) -> None:
        """Wait until somebody's screen shows something."""
        deadline = time.monotonic() + WAIT_S
        while not condition(Text.from_ansi(self.screen(name)).plain):
            if time.monotonic() > deadline:
                raise TimeoutError(self.screen(name))
            time.sleep(0.1)


def main() -> None:
    """Play a short scene and draw it."""
    with tempfile.TemporaryDirectory(prefix="crdtsync-") as name:
        folder = Path(name)
        (folder / "greet").mkdir()
        for file, text in FILES.items():
            (folder / "greet" / file).write_text(text)
        terminals = Terminals(folder)
        try:
            screens = play(terminals)
        finally:
            terminals.run("kill-server")
    draw(screens)


def play(terminals: Terminals) -> dict[str, str]:
    """Two people, one agent; stops at a question that is about to be answered."""
    terminals.open("ana", "--agent", "demo")
    terminals.open("bob")
    terminals.type("ana", "what is TODO here? search for TODO")
    terminals.enter("ana")
    terminals.wait("bob", lambda text: "turn 1" in text)
    terminals.type("bob", "good. then write a note about this folder")
    terminals.enter("bob")
    terminals.wait("ana", lambda text: "PERMISSION #1" in text)
    terminals.type("bob", "ana, ok for you?")
    terminals.type("ana", "/allow 1")
    terminals.wait("ana", lambda text: "bob is typing" in text and "/allow 1" in text)
    terminals.wait("bob", lambda text: "ana is typing" in text)
    return {name: terminals.screen(name) for name in ("ana", "bob")}


def draw(screens: dict[str, str]) -> None:
    """Draw the screens side by side."""
    console = Console(
        record=True, width=2 * (COLUMNS + 5), file=io.StringIO(), force_terminal=True
    )
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        *(
            Panel(
                Text.from_ansi("\n".join(screen.split("\n")[:ROWS])),
                title=f"{name}'s terminal",
                width=COLUMNS + 4,
                height=ROWS + 2,
            )
            for name, screen in screens.items()
        )
    )
    console.print(grid)
    svg = console.export_svg(title="crdtsync: two windows, one session")
    # Without fonts from elsewhere, so that the picture is in one file.
    svg = re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL)
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
