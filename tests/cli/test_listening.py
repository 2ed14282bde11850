"""People meet without a server: windows in processes of their own, as they would be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from crdtsync_relay.reach import reachable

from .conftest import Cli

MAIN = "import sys; from crdtsync_cli.entry import main; sys.exit(main(sys.argv[1:]))"
WAIT_S = 60.0

pytestmark = pytest.mark.timeout(180)

networked = pytest.mark.skipif(
    reachable("::") == ("127.0.0.1",), reason="this machine is in no network"
)


def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


class Machine:
    """A data folder, as on a machine of its own, and the programs that use it."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.name = name
        own = ("HOME", "CRDTSYNC_CONFIG")
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CRDTSYNC_")},
            **dict.fromkeys(own, str(folder / "home")),
            "CRDTSYNC_DATA": str(folder / "data"),
            "CRDTSYNC_NAME": name,
            "CRDTSYNC_DEMO_PACE": "0",
            "COLUMNS": "80",
        }

    def run(
        self, *arguments: str, stdin: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            input=stdin,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert code in {None, done.returncode}, done.stderr
        return done

    def texts(self, session: str) -> list[str]:
        shown = self.run("show", session, "--json").stdout.splitlines()
        return [json.loads(line)["text"] for line in shown]

    def window(self, *arguments: str) -> AbstractContextManager[Window]:
        return self.started("open", *arguments, "--plain")

    @contextmanager
    def started(self, command: str, *arguments: str) -> Iterator[Window]:
        names = [self.folder / f"{command}.{name}" for name in ("out", "err")]
        with (
            names[0].open("w") as out,
            names[1].open("w") as err,
            subprocess.Popen(
                [sys.executable, "-c", MAIN, command, *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=self.env,
                text=True,
            ) as process,
        ):
            try:
                yield Window(process, names)
            finally:
                process.kill()


class Window:
    """A window in lines, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], said: list[Path]) -> None:
        self.process = process
        self._said = said

    def said(self) -> str:
        return "".join(path.read_text() for path in self._said)

    def until_says(self, pattern: str) -> str:
        until(lambda: re.search(pattern, self.said()) is not None, self.said)
        found = re.search(pattern, self.said())
        assert found is not None
        return found.group()

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def leave(self) -> None:
        self.type("/quit")
        assert self.process.wait(WAIT_S) == 0

    def link(self) -> str:
        return self.until_says(r"crdtsync://\S+")


@pytest.fixture
def ana(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ana", "ana")


@pytest.fixture
def bob(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "bob", "bob")


def test_what_either_writes_the_other_reads(ana: Machine, bob: Machine) -> None:
    with ana.window("plan", "--listen", "127.0.0.1:0") as window:
        link = window.link()
        window.type("/note written before bob came")
        with bob.window(link) as other:
            other.until_says("written before bob came")
            window.until_says("bob joined")
            other.type("/note from bob")
            window.until_says("<bob> .*from bob")
            window.type("/note from ana")
            other.until_says("<ana> .*from ana")
            other.leave()
        made = ana.run("share", "plan", "--role", "viewer").stdout
        assert made.startswith("crdtsync://127.0.0.1:")
        second = ana.run("open", "plan", "--listen", "127.0.0.1:0", code=2)
        assert "listens for this session already" in second.stderr
        window.leave()
    assert ana.texts("plan") == bob.texts("plan")
    assert len(ana.texts("plan")) == 3
    assert "is on no relay" in ana.run("share", "plan", code=2).stderr


def test_a_killed_window_comes_back_and_nothing_is_lost(
    ana: Machine, bob: Machine
) -> None:
    with ana.window("plan", "--listen", "127.0.0.1:0") as window:
        name = bob.run("join", window.link()).stdout.strip()
        with bob.window(name) as other:
            other.until_says("link .* live")
            window.process.send_signal(signal.SIGKILL)
            window.process.wait(WAIT_S)
            other.until_says("link .* offline")
            other.type("/note bob alone")
            ana.run("send", "plan", "ana alone", "--note")
            with ana.window("plan", "--listen", "127.0.0.1:0") as again:
                again.until_says("bob alone")
                other.until_says("ana alone")
                other.leave()
                again.leave()
    assert sorted(ana.texts("plan")) == ["ana alone", "bob alone"]
    assert ana.texts("plan") == bob.texts(name)


def test_a_link_with_another_fingerprint_leads_nowhere(
    ana: Machine, bob: Machine
) -> None:
    with ana.window("plan", "--listen", "127.0.0.1:0") as window:
        link = re.sub("fp=[0-9a-f]{8}", "fp=00000000", window.link())
        refused = bob.run("join", link, code=4)
        assert "certificate is not the one that the link names" in refused.stderr
        window.leave()
    assert "bob" not in window.said()


@networked
def test_a_window_of_the_same_network_is_joined_by_its_code(
    tmp_path: Path, bob: Machine
) -> None:
    name = f"ana {os.getpid()}"
    ana = Machine(tmp_path / "ana", name)
    with ana.window("plan", "--listen", "0") as window:
        shown = window.until_says(r"join \S+ --nearby")
        code = shown.split()[1]
        pin = window.until_says(r"certificate: .*").partition(": ")[2]
        answers = f"{code}\n"
        while True:
            tried = bob.run("join", "--nearby", stdin=answers, code=None)
            if tried.returncode == 0:
                break
            # Somebody else in this network listens too, or nobody was seen yet.
            number = re.search(rf"^  (\d+) +{name} ", tried.stderr, re.MULTILINE)
            answers = f"{number[1]}\n{code}\n" if number else answers
        assert f"shows the certificate {pin}" in tried.stderr
        assert tried.stdout == "plan\n"
        window.leave()


def test_there_is_something_to_join_and_one_way_to_it(cli: Cli) -> None:
    assert "--nearby" in cli("join").err
    for arguments in (
        ("join", "--nearby", "--relay", "https://x.example"),
        ("open", "x", "--offline", "--listen", ":0"),
    ):
        refused = cli(*arguments)
        assert (refused.code, "exclude each other" in refused.err) == (2, True)


@pytest.mark.parametrize("arguments", [["config"], ["open", "x", "--plain"]])
def test_only_who_listens_pays_for_it(bob: Machine, arguments: list[str]) -> None:
    heavy = "{'cryptography', 'hypercorn', 'starlette', 'zeroconf', 'ifaddr'}"
    code = (
        "import sys; from crdtsync_cli.entry import main; main(sys.argv[1:]);"
        f"print('heavy:', *sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input="",
        env=bob.env,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]
