"""Jobs in transactions of one connection: many in one, each undone alone if it fails.

It has no thread and waits for no caller; `writer` does both.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import anyio

from crdtsync.errors import DataError
from crdtsync.log.faults import translated, unwritable
from crdtsync.log.identity import file_id
from crdtsync.log.schema import check_format

__all__ = ["Job", "Together", "Transactions"]

LOCK_WAIT_S_MAX: Final = 30.0
"""Longest wait for the other processes' transactions; they take milliseconds."""

LOCK_RETRY_S: Final = 0.0005
"""Mean pause between two tries to get the lock.

SQLite's own busy handler backs off to 100 ms, which starves one of two busy writers.
"""

T = TypeVar("T")
Item = TypeVar("Item")

Together: TypeAlias = Callable[
    [sqlite3.Connection, list[Item]], Sequence[T | Exception]
]
"""Work for several callers at once: a result, or the error of that caller, for each."""


@dataclass(slots=True, eq=False)
class Job:
    """What a caller waits for, and later its outcome.

    Attributes:
        work: Done in one go with other jobs of the same work.
        item: What it is about.
        size_bytes: Bytes that it will write.
        done: Set once there is an outcome that lasts.
        abandoned: Whether nobody waits any more.
    """

    work: Together[object, object]
    item: object
    size_bytes: int
    done: anyio.Event
    abandoned: bool = False
    result: object = None
    error: BaseException | None = None

    def outcome(self) -> object:
        """Return the result, or raise the error."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # Break the cycle with the traceback.
        return self.result

    def answer(self) -> object:
        """Return the result or the error; what is no `Exception` is raised."""
        error = self.error
        return error if isinstance(error, Exception) else self.outcome()


class Transactions:
    """The transactions of one connection, one at a time, in whatever thread.

    Args:
        connection: Used by nobody else.
        path: Of the file; named in errors.
        writes: Whether they write. Otherwise they only see one state of the file.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, writes: bool
    ) -> None:
        self._connection = connection
        self._path = path
        self._writes = writes
        self._file_id = file_id(path)
        if writes:
            # `_begin` waits by itself.
            connection.execute("PRAGMA busy_timeout = 0")

    def run(self, group: list[Job]) -> None:
        """Run a group so that a job that fails undoes its own writes only."""
        if not self._attempt(group):
            for job in group:
                job.error = None
                self._attempt([job])

    def begin(self, group: list[Job]) -> bool:
        """Run a group, and leave the transaction open for `commit`.

        Returns:
            False, and nothing has happened, if another process writes just now or
            something fails: then the group is to be `run`.
        """
        ready = False
        try:
            with translated(self._path):
                ready = self._try_begin() and all(map(self._run_jobs, _by_work(group)))
        except DataError:
            # `run` will meet it again, and find out whom it concerns.
            ready = False
        finally:
            if not ready:
                self._end()
        if not ready:
            for job in group:
                error, job.error = job.error, None
                if error is not None and not isinstance(error, Exception):
                    # This thread was interrupted, not the job.
                    raise error
        return ready

    def commit(self, group: list[Job]) -> None:
        """Commit what `begin` has begun."""
        try:
            with translated(self._path):
                self._connection.execute("COMMIT")
        except BaseException as error:
            _blame(group, error)
        finally:
            self._end()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _attempt(self, group: list[Job]) -> bool:
        """Run jobs in one transaction; False if one spoilt it for the others.

        This is the outermost boundary of a thread: what is raised here belongs to
        the callers, and the thread lives on.
        """
        if not group:
            return True
        try:
            with translated(self._path):
                self._begin()
                spoilt = not all(map(self._run_jobs, _by_work(group)))
                if spoilt and len(group) > 1:
                    return False
                self._connection.execute("ROLLBACK" if spoilt else "COMMIT")
        except BaseException as error:
            _blame(group, error)
        finally:
            self._end()
        return True

    def _run_jobs(self, jobs: list[Job]) -> bool:
        """Run jobs of one work; False if what failed spoils it for others."""
        written = self._connection.total_changes
        try:
            with translated(self._path):
                items = [job.item for job in jobs]
                results = jobs[0].work(self._connection, items)
        except BaseException as error:
            for job in jobs:
                job.error = error
            return len(jobs) == 1 and self._connection.total_changes == written
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                job.error = result
            else:
                job.result = result
        return True

    def _end(self) -> None:
        """Leave no transaction behind; SQLite rolls some back by itself."""
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _begin(self) -> None:
        """Begin, and wait for other processes as long as it takes."""
        deadline = time.monotonic() + LOCK_WAIT_S_MAX
        while not self._try_begin():
            if time.monotonic() > deadline:
                raise unwritable(self._path, "another process has it locked")
            time.sleep(LOCK_RETRY_S * (0.5 + random.random()))  # noqa: S311

    def _try_begin(self) -> bool:
        """Begin; False if another process writes just now."""
        if not self._writes:
            self._connection.execute("BEGIN")
            return True
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
        self._check_file()
        return True

    def _check_file(self) -> None:
        """Refuse to write where nobody would find it, or what we do not know."""
        try:
            same = file_id(self._path) == self._file_id
        except FileNotFoundError:
            same = False
        if not same:
            raise unwritable(self._path, "it was moved, removed or replaced")
        version = self._connection.execute("PRAGMA user_version").fetchone()
        check_format(version[0], self._path)


def _blame(group: list[Job], error: BaseException) -> None:
    for job in group:
        job.error = job.error or error


def _by_work(group: list[Job]) -> list[list[Job]]:
    """Put jobs of one work together; they all wait, so that any order is right."""
    found: dict[object, list[Job]] = {}
    for job in group:
        found.setdefault(job.work, []).append(job)
    return list(found.values())
