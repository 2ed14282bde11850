"""A file that this process has open is not read as bytes: that would drop its locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crdtsync.clock import SystemClock
from crdtsync.errors import NotASession, UsageError
from crdtsync.log import inuse
from crdtsync.log.salvage import check
from crdtsync.log.sqlite import open_sqlite_log

OUTSIDER = """
import anyio, sys
from pathlib import Path
from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log

async def main():
    async with open_sqlite_log(Path(sys.argv[1]), clock=SystemClock()) as log:
        await log.append("doc", [sys.argv[2].encode()], origin="x", after=0)

anyio.run(main)
"""


def outside(path: Path, update: str) -> None:
    """Append from another process, which closes the file afterwards."""
    command = [sys.executable, "-c", OUTSIDER, str(path), update]
    subprocess.run(command, check=True, timeout=60)


async def test_two_windows_of_one_process_lose_nothing_to_an_outsider(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "session.db", SystemClock()
    async with open_sqlite_log(path, clock=clock) as one:
        await one.create("doc")
        await one.append("doc", [b"first"], origin="a", after=0)
        async with open_sqlite_log(path, clock=clock) as two:
            for number in range(3):
                await anyio.to_thread.run_sync(outside, path, f"outside {number}")
                log = (one, two)[number % 2]
                await log.append("doc", [b"after %d" % number], origin="a", after=0)
        await one.append("doc", [b"last"], origin="a", after=0)
    async with open_sqlite_log(path, clock=clock, read_only=True) as log:
        stored = await log.load("doc")
    assert list(stored.updates) == [
        b"first",
        b"outside 0",
        b"after 0",
        b"outside 1",
        b"after 1",
        b"outside 2",
        b"after 2",
        b"last",
    ]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_is_known_as_open_until_its_last_log_is_closed(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "session.db", SystemClock()
    assert not inuse.is_open_here(path)
    async with open_sqlite_log(path, clock=clock):
        async with open_sqlite_log(path, clock=clock):
            assert inuse.is_open_here(path)
        assert inuse.is_open_here(path)
        with pytest.raises(UsageError, match="open in this very program"):
            check(path)
    assert not inuse.is_open_here(path)


async def test_a_file_that_cannot_be_opened_is_not_known_as_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "session.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(NotASession):
        async with open_sqlite_log(path, clock=SystemClock()):
            pass
    assert not inuse.is_open_here(path)
