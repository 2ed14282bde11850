"""Transactions that one thread begins and another commits, and what undoes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crdtsync.errors import LogUnwritable
from crdtsync.log.schema import connect, create_file
from crdtsync.log.transactions import Job, Together, Transactions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    create_file(path)
    return path


@pytest.fixture
def transactions(path: Path) -> Iterator[Transactions]:
    found = Transactions(connect(path, "rw"), path, writes=True)
    yield found
    found.close()


def note(connection: sqlite3.Connection, words: list[object]) -> list[object]:
    for word in words:
        connection.execute("INSERT INTO meta VALUES (?, 'noted')", (word,))
    return words


def note_and_fail(connection: sqlite3.Connection, words: list[object]) -> list[object]:
    note(connection, words)
    raise LogUnwritable("no more of this")


def job(word: str, work: Together[object, object] = note) -> Job:
    return Job(work, word, 0, anyio.Event())


def noted(path: Path) -> list[str]:
    with closing(connect(path, "ro")) as connection:
        rows = connection.execute("SELECT key FROM meta WHERE value = 'noted'")
        return sorted(key for (key,) in rows)


def test_what_was_begun_is_seen_once_it_is_committed(
    path: Path, transactions: Transactions
) -> None:
    jobs = [job("one"), job("two")]
    assert transactions.begin(jobs)
    assert noted(path) == []
    transactions.commit(jobs)
    assert noted(path) == ["one", "two"]
    assert [one.outcome() for one in jobs] == ["one", "two"]


def test_nothing_begins_while_another_connection_writes(
    path: Path, transactions: Transactions
) -> None:
    jobs = [job("mine")]
    with closing(connect(path, "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not transactions.begin(jobs)
        other.execute("COMMIT")
    transactions.run(jobs)
    assert noted(path) == ["mine"]


def test_what_fails_is_not_begun_and_undoes_nothing_of_others(
    path: Path, transactions: Transactions
) -> None:
    good, bad = job("good"), job("bad", note_and_fail)
    assert not transactions.begin([good, bad])
    assert noted(path) == []
    transactions.run([good, bad])
    assert noted(path) == ["good"]
    assert good.outcome() == "good"
    with pytest.raises(LogUnwritable, match="no more of this"):
        bad.outcome()


def test_an_interrupt_is_no_failure_of_a_job(
    path: Path, transactions: Transactions
) -> None:
    def interrupt(connection: sqlite3.Connection, words: list[object]) -> list[object]:
        note(connection, words)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transactions.begin([job("interrupted", interrupt)])
    transactions.run([job("next")])
    assert noted(path) == ["next"]


def test_a_commit_that_fails_is_told_to_everybody(transactions: Transactions) -> None:
    jobs = [job("lost"), job("lost, too")]
    assert transactions.begin(jobs)
    transactions.commit([])
    # There is nothing left that could be committed.
    transactions.commit(jobs)
    for one in jobs:
        with pytest.raises(Exception, match="no transaction is active"):
            one.outcome()
