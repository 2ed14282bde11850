"""Opening files: new, foreign, newer, copied, moved, read-only."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crdtsync.clock import SimulatedClock, SystemClock
from crdtsync.errors import (
    LogDamaged,
    LogUnwritable,
    NewerFormat,
    NotASession,
    SessionNotFound,
)
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.turns.arbiter import Denied, Granted
from tests.log.documents import stored_in, write


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def run_child(code: str, path: Path) -> list[str]:
    """Run a program on a file; return the lines it prints."""
    # It becomes another user, who could not save what is measured.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    with anyio.fail_after(30):
        child = await anyio.run_process(
            [sys.executable, "-c", code, str(path)], check=False, env=environ
        )
    assert child.stderr.decode() == ""
    return child.stdout.decode().splitlines()


async def test_the_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        assert mode_of(path.parent) == 0o700
        assert {mode_of(file) for file in path.parent.iterdir()} == {0o600}
    assert [file.name for file in path.parent.iterdir()] == ["s.db"]


async def test_a_file_that_must_exist_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with pytest.raises(SessionNotFound):
        async with open_sqlite_log(path, clock=SystemClock(), must_exist=True):
            pass
    assert not path.exists()


@pytest.mark.parametrize("content", [b"hello", b"x" * 5000, b"%PDF-1.7\n" + b"0" * 200])
async def test_a_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)
    with pytest.raises(NotASession, match=r"s\.db"):
        async with open_sqlite_log(path, clock=SystemClock()):
            pass
    assert path.read_bytes() == content


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE updates (id INTEGER)")
    with pytest.raises(NotASession):
        async with open_sqlite_log(path, clock=SystemClock()):
            pass


async def test_an_empty_file_is_damaged_not_new(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    with pytest.raises(LogDamaged, match=r"s\.db") as caught:
        async with open_sqlite_log(path, clock=SystemClock()):
            pass
    assert "crdtsync doctor" in caught.value.hint
    assert path.read_bytes() == b""


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await write(path, b"x")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(NewerFormat, match="format 2"):
        async with open_sqlite_log(path, clock=SystemClock()):
            pass


async def test_a_newer_version_that_takes_over_meanwhile_stops_the_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(NewerFormat):
            await log.append("doc", [b"x"], origin="w", after=0)


async def test_a_removed_file_refuses_to_take_more(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        path.unlink()
        with pytest.raises(LogUnwritable, match="removed"):
            await log.append("doc", [b"x"], origin="w", after=0)


async def test_a_moved_file_keeps_its_arbiter_and_a_copy_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    await write(path, b"x")
    arb = (await stored_in(path)).arb
    moved = tmp_path / "moved.db"
    path.rename(moved)
    assert (await stored_in(moved)).arb == arb
    copy = tmp_path / "copy.db"
    shutil.copy2(moved, copy)
    copied = (await stored_in(copy)).arb
    assert copied != arb
    assert (await stored_in(copy)).arb == copied
    assert (await stored_in(moved)).arb == arb


async def test_a_copy_ends_leases_and_waits_out_a_ttl(tmp_path: Path) -> None:
    clock = SimulatedClock()
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    async with open_sqlite_log(path, clock=clock) as log:
        await log.create("doc")
        await log.acquire("doc", "ana", 1, 0, alone=False)
    shutil.copy(path, copy)
    async with open_sqlite_log(copy, clock=clock) as log:
        assert await log.renew("doc", 1, 1) is False
        denied = await log.acquire("doc", "ben", 1, 0, alone=False)
        assert denied == Denied(holder=None, turn=None, remaining_s=15.0)
        clock.advance(15.1)
        granted = await log.acquire("doc", "ben", 2, 0, alone=False)
        assert isinstance(granted, Granted)
        assert granted.epoch == 2


async def test_a_window_that_is_alone_with_a_copy_does_not_wait(tmp_path: Path) -> None:
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    await write(path, b"x")
    shutil.copy(path, copy)
    async with open_sqlite_log(copy, clock=SystemClock()) as log:
        granted = await log.acquire("doc", "ben", 1, 0, alone=True)
        assert isinstance(granted, Granted)


async def test_a_copy_never_lends_a_client_id_of_the_original(tmp_path: Path) -> None:
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        first = await log.lend_client_id("doc")
        await log.return_client_id("doc", first.value)
    shutil.copy(path, copy)
    async with open_sqlite_log(copy, clock=SystemClock()) as log:
        assert (await log.lend_client_id("doc")).reused is False
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        again = await log.lend_client_id("doc")
        assert (again.value, again.reused) == (first.value, True)


async def test_a_client_id_of_a_window_that_crashed_is_not_lent_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        first = await log.lend_client_id("doc")
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        second = await log.lend_client_id("doc")
        assert second.reused is False
        assert second.value != first.value


async def test_opened_for_reading_it_reads_and_refuses_to_write(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await write(path, b"x", b"y")
    before = path.read_bytes()
    async with open_sqlite_log(path, clock=SystemClock(), read_only=True) as log:
        assert list((await log.load("doc")).updates) == [b"x", b"y"]
        rows = await log.read("doc", 1)
        assert rows is not None
        assert [row.update for row in rows] == [b"y"]
        assert (await log.lend_client_id("doc")).reused is False
        with pytest.raises(LogUnwritable):
            await log.append("doc", [b"z"], origin="w", after=2)
        with pytest.raises(LogUnwritable):
            await log.acquire("doc", "ana", 1, 0, alone=True)
        with pytest.raises(LogUnwritable):
            await log.compact("doc")
    assert path.read_bytes() == before


READ_ONLY_CHILD = """
import anyio, os, sys
from pathlib import Path
from crdtsync.clock import SystemClock
from crdtsync.errors import LogUnwritable
from crdtsync.log.sqlite import open_sqlite_log

async def main():
    path = Path(sys.argv[1])
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        print(len((await log.load("doc")).updates))
        try:
            await log.append("doc", [b"more"], origin="w", after=0)
        except LogUnwritable as error:
            print(error)

# Nobody may not read the interpreter's own folder: first import all that runs it.
anyio.run(anyio.sleep, 0)
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
anyio.run(main)
"""


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that other users can enter, as pytest's own ones are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of Unix")
@pytest.mark.parametrize("crashed", [False, True])
async def test_in_a_read_only_folder_reading_works_and_writing_says_why(
    open_folder: Path, crashed: bool
) -> None:
    path = open_folder / "folder" / "s.db"
    await write(path, b"x", b"y")
    if crashed:
        async with open_sqlite_log(path, clock=SystemClock()) as log:
            await log.append("doc", [b"z"], origin="w", after=2)
            shutil.copytree(path.parent, open_folder / "crashed")
        path = open_folder / "crashed" / "s.db"
        (path.parent / "s.db-shm").unlink()
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    count, error = await run_child(READ_ONLY_CHILD, path)
    assert count == ("3" if crashed else "2")
    assert str(path) in error
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    path.parent.chmod(0o755)


FULL_DISK_CHILD = """
import anyio, resource, signal, sys
from pathlib import Path
from crdtsync.clock import SystemClock
from crdtsync.errors import LogUnwritable
from crdtsync.log.sqlite import open_sqlite_log

async def main():
    path = Path(sys.argv[1])
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        head = (await log.load("doc")).head
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1))
        try:
            while True:
                update = b"%d " % head + b"x" * 5000
                answer = await log.append("doc", [update], origin="w", after=head)
                head = answer.last
        except LogUnwritable as error:
            print(head)
            print(error)
        print(len((await log.load("doc")).updates))
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        answer = await log.append("doc", [b"again"], origin="w", after=head)
        print(answer.last)

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")
async def test_a_full_disk_loses_nothing_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await write(path, b"x")
    head, error, count, after = await run_child(FULL_DISK_CHILD, path)
    assert int(head) > 10
    assert str(path) in error
    assert count == head
    assert int(after) == int(head) + 1
    assert len((await stored_in(path)).updates) == int(after)


async def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogUnwritable, match="file"):
        async with open_sqlite_log(tmp_path / "file" / "s.db", clock=SystemClock()):
            pass
    with pytest.raises(LogUnwritable, match="directory"):
        async with open_sqlite_log(tmp_path, clock=SystemClock()):
            pass


async def test_what_is_called_after_closing_is_refused(tmp_path: Path) -> None:
    async with open_sqlite_log(tmp_path / "s.db", clock=SystemClock()) as log:
        await log.create("doc")
    with pytest.raises(LogUnwritable, match="closed"):
        await log.append("doc", [b"x"], origin="w", after=0)


async def test_a_log_that_does_not_dedupe_gives_each_update_a_row(
    tmp_path: Path,
) -> None:
    path = tmp_path / "relay.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        await log.append("doc", [b"once"], origin="relay", after=0)
        assert (await log.append("doc", [b"once"], origin="relay", after=1)).last == 1
    async with open_sqlite_log(path, clock=SystemClock(), dedupes=False) as log:
        assert (await log.append("doc", [b"once"], origin="relay", after=1)).last == 2
        assert list((await log.load("doc")).updates) == [b"once", b"once"]
        assert [row.seq for row in await log.read("doc", 0) or []] == [1, 2]
