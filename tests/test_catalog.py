"""The list of sessions of a data folder, with real files and several processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crdtsync.catalog import Catalog
from crdtsync.errors import DataError, LogUnwritable, SessionNotFound, UsageError
from tests.folders import let_in

AT = "2026-11-20T12:00:00.000Z"
LATER = "2026-11-20T13:00:00.000Z"
ONE = "019a0000-0000-7000-8000-000000000001"
TWO = "019a0000-0000-7000-8000-000000000002"
OTHER = "019b0000-0000-7000-8000-000000000003"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "data")


def test_an_empty_folder_has_no_sessions_and_stays_empty(catalog: Catalog) -> None:
    assert catalog.entries() == []
    assert catalog.last_opened() is None
    assert not catalog.data.exists()


def test_a_session_is_found_by_name_id_and_the_beginning_of_its_id(
    catalog: Catalog,
) -> None:
    made = catalog.add(ONE, "fix", AT)
    catalog.add(OTHER, "more", AT)

    assert catalog.find("fix") == made
    assert catalog.find(ONE) == made
    assert catalog.find("019a0000") == made
    assert (made.id, made.name, made.missing) == (ONE, "fix", False)
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert catalog.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["019a000", "nix", "", "019c00000"])
def test_what_is_too_short_or_unknown_is_not_found(catalog: Catalog, text: str) -> None:
    catalog.add(ONE, "one", AT)
    catalog.add(TWO, "two", AT)

    with pytest.raises(SessionNotFound):
        catalog.find(text)


def test_the_beginning_of_several_ids_is_told_with_their_names(
    catalog: Catalog,
) -> None:
    catalog.add(ONE, "one", AT)
    catalog.add(TWO, "two", AT)

    with pytest.raises(UsageError, match="several sessions begin with") as caught:
        catalog.find("019a0000")
    assert {"one", "two"} <= set(str(caught.value.hint).replace(",", "").split())


def test_a_near_name_is_offered(catalog: Catalog) -> None:
    catalog.add(ONE, "fix-parser", AT)

    with pytest.raises(SessionNotFound) as caught:
        catalog.find("fix-paser")
    assert caught.value.hint == "Did you mean fix-parser?"

    with pytest.raises(SessionNotFound) as caught:
        catalog.find("zzz")
    assert caught.value.hint == "Make it with: crdtsync open zzz"


def test_a_taken_name_is_refused_and_leaves_nothing(catalog: Catalog) -> None:
    catalog.add(ONE, "fix", AT)

    with pytest.raises(UsageError, match="already is a session 'fix'"):
        catalog.add(TWO, "fix", AT)
    assert [e.id for e in catalog.entries()] == [ONE]
    assert not catalog.path(TWO).exists()


def test_a_session_that_is_here_keeps_its_name_and_its_file(catalog: Catalog) -> None:
    catalog.add(ONE, "fix", AT)

    with pytest.raises(UsageError, match="is here already"):
        catalog.add(ONE, "other", AT)
    assert catalog.find("fix").path.is_file()


def test_a_file_that_was_adopted_a_moment_ago_gets_its_real_name(
    catalog: Catalog,
) -> None:
    catalog.add(OTHER, "other", AT)
    catalog.path(OTHER).rename(catalog.path(ONE))
    assert catalog.find(ONE).name == ONE

    assert catalog.add(ONE, "fix", AT).name == "fix"


def test_if_the_file_cannot_be_made_there_is_no_name_either(catalog: Catalog) -> None:
    catalog.add(ONE, "fix", AT)
    folder = catalog.path(TWO).parent
    folder.rename(catalog.data / "away")
    folder.write_text("no folder")

    with pytest.raises(LogUnwritable):
        catalog.add(TWO, "two", AT)
    with pytest.raises(DataError, match="cannot be read: Not a directory"):
        catalog.entries()
    folder.unlink()
    (catalog.data / "away").rename(folder)
    assert [e.name for e in catalog.entries()] == ["fix"]


def test_a_session_can_be_called_otherwise(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT)
    catalog.add(TWO, "two", AT)
    catalog.rename(ONE, "first")

    assert catalog.find("first").id == ONE
    with pytest.raises(UsageError, match="already"):
        catalog.rename(ONE, "two")


def test_the_last_opened_one_is_remembered(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT, opened_at=AT)
    catalog.add(TWO, "two", AT)
    catalog.note_opened(TWO, LATER)
    last = catalog.last_opened()
    assert last is not None
    assert last.name == "two"

    last.path.unlink()
    last = catalog.last_opened()
    assert last is not None
    assert last.name == "one"
    assert catalog.find("two").missing

    last.path.unlink()
    assert catalog.last_opened() is None
    assert catalog.find("one").missing


def test_the_summary_is_what_was_noted(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT)
    catalog.note_summary(ONE, "A title", 7, ("ana", "bob"))
    entry = catalog.find("one")

    assert (entry.title, entry.messages, entry.people) == ("A title", 7, ("ana", "bob"))


def test_the_last_active_one_comes_first(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT)
    catalog.add(TWO, "two", AT)
    os.utime(catalog.path(TWO), (1_700_000_000, 1_700_000_000))

    assert [e.name for e in catalog.entries()] == ["one", "two"]
    assert catalog.find("two").active_at == "2023-11-14T22:13:20+00:00"


def test_a_name_that_is_free_is_found(catalog: Catalog) -> None:
    assert catalog.free_name("session") == "session"
    catalog.add(ONE, "session", AT)
    catalog.add(TWO, "session-2", AT)
    assert catalog.free_name("session") == "session-3"


def test_copied_files_are_adopted_and_others_are_left_alone(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT)
    folder = catalog.path(ONE).parent
    catalog.path(TWO).write_bytes(catalog.path(ONE).read_bytes())
    (folder / "not an id.db").touch()
    (folder / "notes.txt").touch()

    assert sorted(e.name for e in catalog.entries()) == [TWO, "one"]


def test_a_lost_catalog_is_made_anew_from_the_files(catalog: Catalog) -> None:
    catalog.add(ONE, "one", AT)
    (catalog.data / "catalog.db").unlink()

    assert [e.name for e in catalog.entries()] == [ONE]


@pytest.mark.parametrize("junk", [b"junk" * 1000, b"SQLite format 3\0" + b"\1" * 4080])
def test_a_damaged_catalog_is_set_aside(catalog: Catalog, junk: bytes) -> None:
    catalog.add(ONE, "one", AT)
    (catalog.data / "catalog.db").write_bytes(junk)

    assert [e.id for e in catalog.entries()] == [ONE]
    catalog.note_opened(ONE, AT)
    assert (catalog.data / "catalog.damaged").read_bytes() == junk
    assert catalog.find(ONE).opened_at == AT


def test_a_locked_catalog_is_an_error_and_not_an_empty_list(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.catalog._BUSY_MS", 50)
    catalog.add(ONE, "one", AT)
    with closing(sqlite3.connect(catalog.data / "catalog.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DataError, match="locked"):
            catalog.find("one")
        with pytest.raises(LogUnwritable):
            catalog.note_opened(ONE, AT)
    assert catalog.find("one").id == ONE


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_folder_that_cannot_be_written_can_be_listed(
    catalog: Catalog, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    catalog.add(ONE, "one", AT)
    catalog.path(TWO).write_bytes(catalog.path(ONE).read_bytes())
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    let_in(tmp_path)
    request.getfixturevalue("as_nobody")

    assert sorted(e.name for e in catalog.entries()) == [TWO, "one"]
    with pytest.raises(LogUnwritable) as caught:
        catalog.note_opened(ONE, AT)
    assert "--data" in caught.value.hint
    with pytest.raises(LogUnwritable):
        Catalog(tmp_path / "none").add(ONE, "one", AT)


def test_a_catalog_that_may_not_be_read_hides_names_only(
    catalog: Catalog, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    catalog.add(ONE, "one", AT)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    let_in(tmp_path)
    (catalog.data / "catalog.db").chmod(0)
    request.getfixturevalue("as_nobody")

    assert [e.name for e in catalog.entries()] == [ONE]


def test_of_many_that_want_one_name_at_once_one_gets_it(catalog: Catalog) -> None:
    catalog.add(OTHER, "other", AT)
    gate = threading.Barrier(8)
    refused: list[str] = []

    def add(number: int) -> None:
        gate.wait()
        try:
            catalog.add(f"019a0000-{number}", "fix", AT)
        except UsageError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["there already is a session 'fix' here"] * 7
    files = {path.stem for path in catalog.path(ONE).parent.glob("*.db")}
    assert files == {OTHER, catalog.find("fix").id}
