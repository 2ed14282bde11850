"""One thread that runs jobs on one connection, many in one transaction (S-2).

It knows nothing of documents or leases: a job is a function of the connection.
"""

from __future__ import annotations

import asyncio
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from crdtsync.log.faults import translated, unwritable
from crdtsync.log.identity import file_id
from crdtsync.log.schema import check_format

GROUP_JOBS_MAX = 1000
"""Jobs of one transaction: a bound on what waits for one fsync."""

GROUP_BYTES_MAX = 16 * 1024 * 1024
"""Update bytes of one transaction; one larger job gets its own."""

LOCK_WAIT_S_MAX = 30.0
"""Longest wait for the other processes' transactions; they take milliseconds."""

LOCK_RETRY_S = 0.0005
"""Mean pause between two tries to get the lock.

SQLite's own busy handler backs off to 100 ms, which starves one of two busy writers.
"""

T = TypeVar("T")
Item = TypeVar("Item")


class _TrioToken(Protocol):
    def run_sync_soon(self, function: Callable[[], object], /) -> None: ...


Together: TypeAlias = Callable[
    [sqlite3.Connection, list[Item]], Sequence[T | Exception]
]
"""Work for several callers at once: a result, or the error of that caller, for each."""


@dataclass(slots=True, eq=False)
class _Job:
    """What a caller waits for, and later its outcome."""

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


class Worker:
    """Runs jobs in the order they came, on one connection in one thread.

    It belongs to the event loop it was made in. Callers wait for their job, so that
    what is queued is bounded by the number of callers.

    Args:
        connection: Used by the thread only, from now on; `close` closes it.
        path: Named in errors.
        writes: Whether jobs are grouped into write transactions. Otherwise each job
            runs alone, in a transaction that reads.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, writes: bool
    ) -> None:
        self._connection = connection
        self._path = path
        self._writes = writes
        self._file_id = file_id(path)
        self._waiting: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._post = _poster()
        self._closed = False
        if writes:
            # `_begin` waits by itself.
            connection.execute("PRAGMA busy_timeout = 0")
        self._thread = threading.Thread(
            target=self._serve, name=f"crdtsync log {path.name}", daemon=True
        )
        self._thread.start()

    async def run(
        self, work: Callable[[sqlite3.Connection], T], *, size_bytes: int = 0
    ) -> T:
        """Run a job, and return when its transaction is on disk.

        Raises:
            LogUnwritable: The worker is closed, or the transaction failed.
        """

        def work_alone(connection: sqlite3.Connection, _: list[object]) -> list[object]:
            return [work(connection)]

        job = _Job(work_alone, None, size_bytes, anyio.Event())
        await self._run([job])
        return cast("T", job.outcome())

    async def run_together(
        self, work: Together[Item, T], items: Sequence[Item], sizes: Sequence[int]
    ) -> list[T | Exception]:
        """Run jobs in one transaction, in one go with others of the same work.

        Args:
            work: Equal in all calls whose items may be mixed.
            items: What each job is about.
            sizes: Bytes that each of them will write.

        Returns:
            For each the result, or its own error; the others are done then.

        Raises:
            LogUnwritable: The worker is closed.
        """
        untyped, done = cast("Together[object, object]", work), anyio.Event()
        jobs = [
            _Job(untyped, item, size, done)
            for item, size in zip(items, sizes, strict=True)
        ]
        await self._run(jobs)
        return [cast("T | Exception", job.answer()) for job in jobs]

    async def _run(self, jobs: list[_Job]) -> None:
        if self._closed:
            raise unwritable(self._path, "the log was closed")
        self._waiting.put(jobs)
        try:
            await jobs[0].done.wait()
        finally:
            for job in jobs:
                job.abandoned = True

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        self._closed = True
        self._waiting.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def _serve(self) -> None:
        group: list[_Job] = []
        last = False
        while not last:
            group, last = self._take()
            self._commit([job for job in group if not job.abandoned])
            self._report(group)
        self._connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for a job; return all that wait by then, and whether to stop."""
        group: list[_Job] = []
        size_bytes = 0
        jobs = self._waiting.get()
        while jobs is not None:
            group += jobs
            size_bytes += sum(job.size_bytes for job in jobs)
            if len(group) >= GROUP_JOBS_MAX or size_bytes >= GROUP_BYTES_MAX:
                return group, False
            try:
                jobs = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _report(self, group: list[_Job]) -> None:
        events = {job.done for job in group}

        def wake() -> None:
            for event in events:
                event.set()

        try:
            self._post(wake)
        except RuntimeError:
            self._closed = True  # The loop has ended: nobody waits any more.

    def _commit(self, group: list[_Job]) -> None:
        """Run a group so that a job that fails undoes its own writes only."""
        if not self._attempt(group):
            for job in group:
                job.error = None
                self._attempt([job])

    def _attempt(self, group: list[_Job]) -> bool:
        """Run jobs in one transaction; False if one spoilt it for the others.

        This is the thread's outermost boundary: what is raised here belongs to the
        callers, and the thread lives on.
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
            for job in group:
                job.error = job.error or error
        finally:
            self._end()
        return True

    def _run_jobs(self, jobs: list[_Job]) -> bool:
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
        if not self._writes:
            self._connection.execute("BEGIN")
            return
        deadline = time.monotonic() + LOCK_WAIT_S_MAX
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as fault:
                busy = fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(LOCK_RETRY_S * (0.5 + random.random()))  # noqa: S311
        self._check_file()

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


def _by_work(group: list[_Job]) -> list[list[_Job]]:
    """Put jobs of one work together; they all wait, so that any order is right."""
    found: dict[object, list[_Job]] = {}
    for job in group:
        found.setdefault(job.work, []).append(job)
    return list(found.values())


def _poster() -> Callable[[Callable[[], None]], object]:
    """Return how another thread calls a function in this event loop, not waiting.

    anyio's own `from_thread` waits for the call to return: the next group would wait
    for a busy loop. `to_thread` costs twice the latency of this.
    """
    token = current_token().native_token
    if isinstance(token, asyncio.AbstractEventLoop):
        return token.call_soon_threadsafe
    return cast("_TrioToken", token).run_sync_soon
