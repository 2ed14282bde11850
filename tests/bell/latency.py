"""Measure ring -> wait between two processes: `python -m tests.bell.latency`."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from crdtsync.bell.unix import open_unix_bell
from tests.bell.processes import window

ROUNDS = 2000


async def measure(folder: Path) -> list[float]:
    """Ring a second process, and return the milliseconds until its wait returned."""
    taken_ms = []
    with window(folder, "bob"):
        async with open_unix_bell(folder, "ana") as ana:
            for number in range(ROUNDS):
                rung_ns = time.perf_counter_ns()
                ana.ring(b"ping %d" % number)
                with anyio.fail_after(5):
                    (answer, *_) = await ana.wait()
                _, _, heard_ns = answer.split()
                taken_ms.append((int(heard_ns) - rung_ns) / 1e6)
                await anyio.sleep(0.001)
    return taken_ms


def main() -> None:
    with TemporaryDirectory() as folder:
        taken_ms = sorted(anyio.run(measure, Path(folder)))
    p50, p99 = statistics.median(taken_ms), taken_ms[int(ROUNDS * 0.99)]
    sys.stdout.write(f"ring -> wait: p50 {p50:.3f} ms, p99 {p99:.3f} ms\n")


if __name__ == "__main__":
    main()
