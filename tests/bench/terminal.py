"""A window on a screen, measured from the terminal's end: flicker, keys, work, memory.

The answer streams at 1,000 deltas a second; the terminal is a pty of 80 by 24. What
makes the deltas runs in the window's process: its floor is the same without deltas.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.rows import Row
from tests.cli.flood import PROMPT, Terminal, flooded

KEYS = 120
KEY_EVERY_S = 0.05
SWITCH_S = 0.0002
WATCHED_S = 10.0
CPU_MAX = 30.0
SPIN_CPU_MAX = 5.0
KEY_MS_MAX = 30.0
GROWTH_MB_MAX = 8.0
DAY_S_MAX = 300.0


def run() -> list[Row]:
    """Measure the window."""
    return [*_streaming(), *_spinning(), *_resting(), *_day()]


def _streaming() -> list[Row]:
    with _scene("beat") as t:
        t.until(PROMPT)
        floor, _ = _watch(t)
    with _scene("stream") as t, _precise_times():
        t.until(PROMPT)
        t.typed = ""
        process = psutil.Process(t.pid)
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        delays = sorted(_press(t, number) for number in range(KEYS))
        share = 100 * (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        p50, p95 = delays[KEYS // 2] * 1000, delays[int(KEYS * 0.95)] * 1000
        bad, looks = len(t.bad), t.looks
    name = "terminal, 1,000 deltas/s"
    quick, cheap = p95 <= KEY_MS_MAX, share - floor <= CPU_MAX
    key, cpu = f"<= {KEY_MS_MAX:.0f} ms", f"<= {CPU_MAX:.0f} % above the floor"
    return [
        Row(f"{name}: bad frames", bad, "", None, None, f"0 of {looks}", bad == 0),
        Row(f"{name}: key to screen, p50", p50, "ms", None, None, "", ok=True),
        Row(f"{name}: key to screen, p95", p95, "ms", None, None, key, quick),
        Row(f"{name}: CPU", share, "%", floor, None, cpu, cheap),
    ]


@contextmanager
def _scene(name: str) -> Iterator[Terminal]:
    with tempfile.TemporaryDirectory() as folder, flooded(Path(folder), name) as t:
        yield t


@contextmanager
def _precise_times() -> Iterator[None]:
    """Let the thread that takes the times have its turn at once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _press(terminal: Terminal, number: int) -> float:
    """Press a key, and wait until the screen shows it; in seconds."""
    until_s = time.monotonic() + KEY_EVERY_S
    while (left_s := until_s - time.monotonic()) > 0:
        terminal.read(left_s)
    before = terminal.typed or ""
    if number % 60 == 0 and before:
        terminal.typed = None
        terminal.send("\x15")
        while terminal.line:
            terminal.read(0.01)
        before = terminal.typed = ""
    wanted = before + "abcdefghij"[number % 10]
    began = time.monotonic()
    terminal.send(wanted[-1])
    while terminal.inside or terminal.line != wanted:
        terminal.read(0.01)
    terminal.typed = wanted
    return terminal.came_s - began


def _spinning() -> list[Row]:
    with _scene("spin") as t:
        t.until("is working")
        share, _ = _watch(t)
    limit = f"<= {SPIN_CPU_MAX:.0f} %"
    name = "terminal, spinner: CPU"
    return [Row(name, share, "%", None, None, limit, share <= SPIN_CPU_MAX)]


def _resting() -> list[Row]:
    with _scene("rest") as t:
        t.until(PROMPT)
        _watch(t)
        t.moved = 0
        share, wakes = _watch(t)
        written = t.moved
    return [
        Row("terminal, idle: CPU", share, "%", None, None, "", ok=True),
        Row("terminal, idle: written", written, "bytes", None, None, "0", written == 0),
        Row("terminal, idle: wake-ups", wakes, "/s", None, None, "<= 1 /s", wakes <= 1),
    ]


def _watch(terminal: Terminal) -> tuple[float, float]:
    """Let time pass; the share of a core in %, and wake-ups a second."""
    process = psutil.Process(terminal.pid)
    cpu, wakes = sum(process.cpu_times()[:2]), _wakes(terminal.pid)
    until_s = time.monotonic() + WATCHED_S
    while (left_s := until_s - time.monotonic()) > 0:
        terminal.read(left_s)
    share = 100 * (sum(process.cpu_times()[:2]) - cpu) / WATCHED_S
    return share, (_wakes(terminal.pid) - wakes) / WATCHED_S


def _wakes(pid: int) -> int:
    """How often the main thread has gone to sleep."""
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    found = [row for row in status.splitlines() if row.startswith("voluntary")]
    return int(found[0].split()[1])


def _day() -> list[Row]:
    """The memory of the window after 80 turns, and after eight hours of them."""
    with _scene("day") as t:
        sizes = []
        for turns in (80, 480):
            until_s = time.monotonic() + DAY_S_MAX
            while f"turns: {turns}".encode() not in t.written:
                t.read(0.05)
                if time.monotonic() > until_s:
                    raise AssertionError("\n".join(t.screen.display))
            sizes.append(psutil.Process(t.pid).memory_info().rss / 1e6)
    grown = sizes[1] - sizes[0]
    limit = f"<= {GROWTH_MB_MAX:.0f} MB"
    name = "terminal, 8 hours of turns: memory grows by"
    return [Row(name, grown, "MB", None, None, limit, grown <= GROWTH_MB_MAX)]
