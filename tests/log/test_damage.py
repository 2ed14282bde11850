"""Truncated and changed files: the data as it was, or an error; salvage of the rest."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crdtsync.clock import SystemClock
from crdtsync.errors import CrdtSyncError, DataError, LogDamaged, UsageError
from crdtsync.log import Stored
from crdtsync.log.salvage import check, salvage
from crdtsync.log.sqlite import open_sqlite_log
from tests.log.documents import stored_in, text_of, typed, write

WORDS = [f"word{index} " for index in range(400)]
TEXT = "".join(WORDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a snapshot of 100 updates and 300 more, one of them large."""
    path = tmp_path / "s.db"
    anyio.run(fill, path)
    return path


async def fill(path: Path) -> None:
    updates = typed(*WORDS, "x" * 20_000)
    await write(path, *updates[:100])
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.compact("doc")
    await write(path, *updates[100:])


async def crash(path: Path, *updates: bytes) -> bytes:
    """Leave a file behind as a crash does; return what was in its -wal before the end.

    Every update is a transaction.
    """
    origin = path.with_name("origin.db")
    before = b""
    async with open_sqlite_log(origin, clock=SystemClock()) as log:
        await log.create("doc")
        for index, update in enumerate(updates):
            before = bytes_of(f"{origin}-wal")
            await log.append("doc", [update], origin="w", after=index)
        shutil.copy(origin, path)
        shutil.copy(f"{origin}-wal", f"{path}-wal")
    return before


def bytes_of(name: str) -> bytes:
    return Path(name).read_bytes()


async def outcome(path: Path) -> Stored | CrdtSyncError:
    """Open, make sure of the document, load: as a window does."""
    try:
        async with open_sqlite_log(path, clock=SystemClock()) as log:
            await log.create("doc")
            return await log.load("doc")
    except CrdtSyncError as error:
        return error


def test_a_truncated_file_is_noticed_wherever_it_ends(path: Path) -> None:
    content = path.read_bytes()
    cut = path.with_name("cut.db")
    expected = anyio.run(stored_in, path)
    lengths = [*range(0, 4300, 97), *range(4300, len(content), 1511), len(content) - 1]
    for length in lengths:
        cut.write_bytes(content[:length])
        found = anyio.run(outcome, cut)
        if isinstance(found, Stored):
            assert content[length:].strip(b"\0") == b""
            assert found.updates == expected.updates
        else:
            assert isinstance(found, DataError), length
            assert str(cut) in str(found)
        for file in cut.parent.glob("cut.db*"):
            file.unlink()


@pytest.mark.parametrize("seed", range(2))
def test_a_changed_bit_never_loses_rows_in_silence(path: Path, seed: int) -> None:
    content = path.read_bytes()
    chance = random.Random(seed)  # noqa: S311 - repeatable
    expected = anyio.run(stored_in, path)
    changed = path.with_name("changed.db")
    errors = 0
    for _ in range(60):
        position = chance.randrange(len(content))
        flipped = bytearray(content)
        flipped[position] ^= 1 << chance.randrange(8)
        changed.write_bytes(flipped)
        found = anyio.run(outcome, changed)
        if isinstance(found, Stored):
            assert found.updates == expected.updates, position
            assert found.snapshot == expected.snapshot, position
            assert found.head == expected.head, position
        else:
            assert isinstance(found, DataError), position
            errors += 1
        for file in changed.parent.glob("changed.db*"):
            file.unlink()
    assert errors


def test_an_error_leaves_the_file_as_it_was(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(b"word300 ")
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(LogDamaged, match=r"s\.db") as caught:
        anyio.run(stored_in, path)
    assert "crdtsync doctor" in caught.value.hint
    assert path.read_bytes() == content


@pytest.mark.parametrize("position", [0, 20, 500, 30_000])
def test_a_log_cut_off_behind_sqlites_back_is_noticed(
    tmp_path: Path, position: int
) -> None:
    path = tmp_path / "s.db"
    anyio.run(crash, path, *(b"%d" % index for index in range(10)))
    wal = path.with_name("s.db-wal")
    changed = bytearray(wal.read_bytes())
    changed[position] ^= 4
    wal.write_bytes(changed)
    with pytest.raises(LogDamaged, match="transactions"):
        anyio.run(stored_in, path)
    assert wal.read_bytes() == changed


def test_after_a_crash_the_log_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    anyio.run(crash, path, b"one", b"two")
    assert list(anyio.run(stored_in, path).updates) == [b"one", b"two"]


def test_a_transaction_torn_by_a_power_cut_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    before = anyio.run(crash, path, b"acknowledged", b"torn")
    wal = path.with_name("s.db-wal")
    wal.write_bytes(wal.read_bytes()[: len(before) + 2000])
    assert list(anyio.run(stored_in, path).updates) == [b"acknowledged"]


def test_a_whole_file_has_no_problems(path: Path) -> None:
    report = check(path)
    assert report.problems == ()
    (document,) = report.documents
    assert (document.doc, document.head, document.updates) == ("doc", 401, 301)
    assert (document.snapshots, document.missing) == ((100,), ())


def test_the_check_names_the_damaged_update(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(b"word300 ")] ^= 1
    path.write_bytes(content)
    report = check(path)
    assert "doc: update 301 is not intact" in report.problems
    assert report.documents[0].missing == ((301, 301),)
    assert path.read_bytes() == content


def test_salvage_rescues_everything_behind_ruined_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    root = 4096
    content[root : root + 100] = bytes(100)
    content[100:200] = bytes(100)
    path.write_bytes(content)
    assert check(path).problems
    rescued = path.with_name("rescued.db")
    report = salvage(path, rescued)
    (document,) = report.documents
    assert (document.updates, document.snapshots) == (301, (100,))
    assert path.read_bytes() == content
    stored = anyio.run(stored_in, rescued, document.doc)
    assert text_of(stored) == TEXT + "x" * 20_000


def test_salvage_tells_which_updates_are_lost(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(b"word300 ")] ^= 1
    path.write_bytes(content)
    rescued = path.with_name("rescued.db")
    (document,) = salvage(path, rescued).documents
    assert (document.doc, document.updates) == ("doc", 300)
    assert document.missing == ((301, 301),)
    assert text_of(anyio.run(stored_in, rescued)) == "".join(WORDS[:300])


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_salvage_of_a_truncated_file_gives_a_whole_file(
    path: Path, part: float
) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    rescued = path.with_name("rescued.db")
    (document,) = salvage(path, rescued).documents
    assert document.updates > 0
    assert check(rescued).problems == ()
    assert (anyio.run(stored_in, rescued)).head >= document.updates


def test_salvage_reads_what_only_the_wal_holds(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    anyio.run(crash, path, b"one", b"two")
    (document,) = salvage(path, tmp_path / "rescued.db").documents
    assert (document.doc, document.updates) == ("doc", 2)
    stored = anyio.run(stored_in, tmp_path / "rescued.db")
    assert list(stored.updates) == [b"one", b"two"]


def test_salvage_never_overwrites_and_makes_nothing_of_nothing(
    path: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(UsageError):
        salvage(path, taken)
    assert taken.read_text() == "mine"
    empty = tmp_path / "empty.db"
    empty.write_bytes(bytes(9000))
    with pytest.raises(LogDamaged):
        salvage(empty, tmp_path / "rescued.db")
    assert not (tmp_path / "rescued.db").exists()


def test_a_lost_list_of_sessions_is_not_taken_for_a_new_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM docs")
    found = anyio.run(outcome, path)
    assert isinstance(found, LogDamaged)
    assert "list of sessions" in str(found)


def test_a_wrong_index_of_sessions_is_damage(path: Path) -> None:
    content = path.read_bytes()
    entry = b"\x03\x13\x09doc"  # The index entry of row 1: a text of 3 bytes.
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, b"\x03\x13\x09dox"))
    assert isinstance(anyio.run(outcome, path), LogDamaged)


async def test_a_head_that_lags_behind_its_rows_is_told_and_no_row_is_lost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        await log.append("doc", [b"one", b"two", b"three"], origin="ana", after=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE docs SET head = 1")
        connection.commit()
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        with pytest.raises(LogDamaged):
            await log.append("doc", [b"four"], origin="ana", after=1)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT seq, bytes FROM updates ORDER BY seq")
        assert rows.fetchall() == [(1, b"one"), (2, b"two"), (3, b"three")]
