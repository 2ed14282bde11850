"""One connection and its thread: jobs come from one event loop, in groups (S-2).

It knows nothing of documents or leases: a job is a function of the connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from crdtsync.log.faults import unwritable
from crdtsync.log.transactions import Job, Together, Transactions

__all__ = ["Worker"]

GROUP_JOBS_MAX: Final = 1000
"""Jobs of one transaction: a bound on what waits for one fsync."""

GROUP_BYTES_MAX: Final = 16 * 1024 * 1024
"""Update bytes of one transaction; one larger job gets its own."""

HERE_JOBS_MIN: Final = 4
"""Fewer jobs are left to the writer's thread: a loop with so little to do is idle, and
what comes next need not wait for them."""

HERE_JOBS_MAX: Final = 256
"""So many jobs at most are begun in the event loop's thread; it waits for them."""

HERE_BYTES_MAX: Final = 64 * 1024
"""Update bytes that they write at most."""

T = TypeVar("T")
Item = TypeVar("Item")


class _TrioToken(Protocol):
    def run_sync_soon(self, function: Callable[[], object], /) -> None: ...


class Worker:
    """Runs jobs in the order they came, on one connection.

    It belongs to the event loop it was made in. Callers wait for their job, so that
    what is queued is bounded by the number of callers.

    A thread of its own does what may take long: it waits for locks and for the disk.
    What is short and finds it idle can be begun at once in the loop's thread, and only
    be committed by the other: to pass the interpreter's lock back and forth for each
    statement takes longer than the statements do.

    Args:
        connection: Used here only, from now on; `close` closes it.
        path: Named in errors.
        writes: Whether jobs are grouped into write transactions. Otherwise each job
            runs alone, in a transaction that reads.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, writes: bool
    ) -> None:
        self._transactions = Transactions(connection, path, writes=writes)
        self._path = path
        self._post = _poster()
        # Guards the four that follow.
        self._change = threading.Condition()
        self._waiting: deque[list[Job]] = deque()
        self._begun: list[Job] | None = None
        self._in_use = False
        self._closed = False
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

        def work_alone(connection: sqlite3.Connection, _: list[None]) -> list[T]:
            return [work(connection)]

        return await self.run_one(work_alone, None, size_bytes=size_bytes)

    async def run_one(
        self, work: Together[Item, T], item: Item, *, size_bytes: int = 0
    ) -> T:
        """Run a job, in one go with others of the same work.

        Args:
            work: Equal in all calls whose items may be mixed.
            item: What the job is about.
            size_bytes: Bytes that it will write.

        Raises:
            LogUnwritable: The worker is closed, or the transaction failed.
            Exception: The job's own error.
        """
        untyped = cast("Together[object, object]", work)
        job = Job(untyped, item, size_bytes, anyio.Event())
        await self._run([job])
        return cast("T", job.outcome())

    async def run_together(
        self, work: Together[Item, T], items: Sequence[Item], sizes: Sequence[int]
    ) -> list[T | Exception]:
        """Run jobs in one transaction, in one go with others of the same work.

        If they are many and small, the loop's thread may run them: they must read
        little, and wait for nothing.

        Args:
            work: Equal in all calls whose items may be mixed.
            items: What each job is about; at least one.
            sizes: Bytes that each of them will write.

        Returns:
            For each the result, or its own error; the others are done then.

        Raises:
            LogUnwritable: The worker is closed.
        """
        untyped, done = cast("Together[object, object]", work), anyio.Event()
        jobs = [
            Job(untyped, item, size, done)
            for item, size in zip(items, sizes, strict=True)
        ]
        fits = HERE_JOBS_MIN <= len(jobs) <= HERE_JOBS_MAX
        fits = fits and sum(sizes) <= HERE_BYTES_MAX
        await self._run(jobs, begin_here=fits)
        return [cast("T | Exception", job.answer()) for job in jobs]

    async def _run(self, jobs: list[Job], *, begin_here: bool = False) -> None:
        if self._closed:
            raise unwritable(self._path, "the log was closed")
        if not (begin_here and self._begin_here(jobs)):
            with self._change:
                self._waiting.append(jobs)
                self._change.notify()
        try:
            await jobs[0].done.wait()
        finally:
            for job in jobs:
                job.abandoned = True

    def _begin_here(self, jobs: list[Job]) -> bool:
        """Run jobs in this thread, to be committed by the other; False if it cannot."""
        with self._change:
            if self._in_use or self._waiting:
                return False
            self._in_use = True
        begun = False
        try:
            begun = self._transactions.begin(jobs)
        finally:
            with self._change:
                self._begun = jobs if begun else None
                self._in_use = begun
                self._change.notify()
        return begun

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        with self._change:
            self._closed = True
            self._change.notify()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def _serve(self) -> None:
        while (group := self._take()) is not None:
            if self._begun is not None:
                self._transactions.commit(group)
            else:
                self._transactions.run([job for job in group if not job.abandoned])
            with self._change:
                self._begun = None
                self._in_use = False
            self._report(group)
        self._transactions.close()

    def _take(self) -> list[Job] | None:
        """Wait for jobs; return all that wait by then, None to stop."""
        with self._change:
            while True:
                if self._begun is not None:
                    return self._begun
                if self._waiting and not self._in_use:
                    self._in_use = True
                    return self._take_group()
                if self._closed and not self._in_use:
                    return None
                self._change.wait()

    def _take_group(self) -> list[Job]:
        group: list[Job] = []
        size_bytes = 0
        while self._waiting:
            jobs = self._waiting.popleft()
            group += jobs
            size_bytes += sum(job.size_bytes for job in jobs)
            if len(group) >= GROUP_JOBS_MAX or size_bytes >= GROUP_BYTES_MAX:
                break
        return group

    def _report(self, group: list[Job]) -> None:
        events = {job.done for job in group}

        def wake() -> None:
            for event in events:
                event.set()

        try:
            self._post(wake)
        except RuntimeError:
            self._closed = True  # The loop has ended: nobody waits any more.


def _poster() -> Callable[[Callable[[], None]], object]:
    """Return how another thread calls a function in this event loop, not waiting.

    anyio's own `from_thread` waits for the call to return: the next group would wait
    for a busy loop. `to_thread` costs twice the latency of this.
    """
    token = current_token().native_token
    if isinstance(token, asyncio.AbstractEventLoop):
        return token.call_soon_threadsafe
    return cast("_TrioToken", token).run_sync_soon
