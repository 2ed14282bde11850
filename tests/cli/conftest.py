"""Runs the command line in this process, on folders of its own."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from crdtsync_cli.app import run
from hypothesis import settings

# The machine of a test may be busy; a property is about values, not about time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Cli(Protocol):
    """Runs the program with arguments, and bytes on stdin."""

    data: Path

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean home: no config, no sessions, a known name."""
    for name in list(os.environ):
        if name.startswith("CRDTSYNC_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CRDTSYNC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CRDTSYNC_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("CRDTSYNC_NAME", "ana")
    monkeypatch.setenv("CRDTSYNC_DEMO_PACE", "0")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    class Runner:
        data = home / "data"

        def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
            stream = io.TextIOWrapper(io.BytesIO(stdin))
            monkeypatch.setattr(sys, "stdin", stream)
            capsys.readouterr()
            code = run(arguments)
            found = capsys.readouterr()
            return Outcome(code, found.out, found.err)

    before = logging.root.level
    yield Runner()
    logging.captureWarnings(capture=False)
    logging.root.setLevel(before)


@pytest.fixture
def folder(home: Path) -> Callable[[str], Path]:
    """Makes a small working folder for the demo agent."""

    def make(name: str) -> Path:
        made = home / name
        made.mkdir()
        (made / "README.md").write_text("# greet\n\nSays hello.\n")
        return made

    return make
