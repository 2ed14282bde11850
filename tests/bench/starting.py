"""Start-up time of the command line, and memory of an idle window."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
import psutil

from crdtsync.session.opening import open_session
from tests.bench import corpus
from tests.bench.rows import Row

RUNS = 15


def _median_ms(pair: list[list[str]]) -> list[float]:
    """Time commands in turn, so that both see the same machine."""
    times: list[list[float]] = [[] for _ in pair]
    for _ in range(RUNS):
        for index, command in enumerate(pair):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[index].append((time.perf_counter() - started) * 1000)
    return [sorted(each)[RUNS // 2] for each in times]


def _help() -> Row:
    program = str(Path(sys.executable).with_name("crdtsync"))
    shown = subprocess.run([program, "--help"], check=True, capture_output=True)
    if b"open" not in shown.stdout:
        raise AssertionError("the help page is empty")
    took, floor = _median_ms([[program, "--help"], [sys.executable, "-c", "pass"]])
    ratio = took / floor
    return Row(
        "crdtsync --help", took, "ms", floor, ratio, "<= 6x python -c pass", ratio <= 6
    )


async def _idle(data: Path) -> None:
    async with open_session("bench", data=data, name="ana") as session:
        with session.events() as events:
            await anext(events)
            for message in session.view.tail(20):
                session.view.text(message.id)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await anyio.sleep_forever()


def _memory() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(corpus.store, Path(folder), [corpus.whole(10_000)])
        command = [sys.executable, "-m", "tests.bench.starting", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as window:
            if window.stdout is None or window.stdout.readline() != b"ready\n":
                raise AssertionError("the window did not open")
            resident = psutil.Process(window.pid).memory_info().rss / 2**20
            window.terminate()
    return Row(
        "idle window, 10,000 messages",
        resident,
        "MB",
        None,
        None,
        "<= 120 MB",
        resident <= 120,
    )


def run() -> list[Row]:
    """Measure both."""
    return [_help(), _memory()]


if __name__ == "__main__":
    anyio.run(_idle, Path(sys.argv[1]))
