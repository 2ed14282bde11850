"""Durable appends a second: one process with batches, then two processes at once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import anyio

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log
from tests.bench.rows import Row

UPDATES = 10_000
WAITING = 100
"""Appends that wait at the same time, as those of a busy relay do."""


async def _append(path: Path, origin: str) -> float:
    """Append one update per call, many calls at a time; returns the seconds."""
    clock = SystemClock()
    async with open_sqlite_log(path, clock=clock, must_exist=True) as log:
        started = time.perf_counter()
        head = 0

        async def some(first: int) -> None:
            nonlocal head
            for number in range(first, UPDATES, WAITING):
                update = f"{origin} {number:06d} is an update of some 40 bytes".encode()
                done = await log.append("bench", [update], origin=origin, after=head)
                head = max(head, done.last)

        async with anyio.create_task_group() as tasks:
            for first in range(WAITING):
                tasks.start_soon(some, first)
        return time.perf_counter() - started


async def _make(path: Path) -> None:
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("bench")


def _children(path: Path, origins: list[str]) -> float:
    """Run appending processes at once; returns updates a second, all together."""
    command = [sys.executable, "-m", "tests.bench.appends", str(path)]
    running = [
        subprocess.Popen([*command, origin], stdout=subprocess.PIPE, text=True)
        for origin in origins
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    seconds = max(float(json.loads(output)) for output in outputs)
    _check(path, origins)
    return UPDATES * len(origins) / seconds


def _check(path: Path, origins: list[str]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        seqs = [seq for (seq,) in connection.execute("SELECT seq FROM updates")]
    if sorted(seqs) != list(range(1, UPDATES * len(origins) + 1)):
        raise AssertionError("appended updates are missing from the log")


def run() -> list[Row]:
    """Measure both, on fresh files."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder, "one.db"), Path(folder, "two.db")
        anyio.run(_make, one)
        anyio.run(_make, two)
        alone = _children(one, ["a"])
        both = _children(two, ["a", "b"])
    ratio = both / alone
    return [
        Row(
            "durable appends, one process",
            alone,
            "/s",
            None,
            None,
            ">= 5000/s",
            alone >= 5000,
        ),
        Row(
            "the same, two processes",
            both,
            "/s",
            alone,
            ratio,
            ">= 60 % of one",
            ratio >= 0.6,
        ),
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(anyio.run(_append, Path(sys.argv[1]), sys.argv[2])))
