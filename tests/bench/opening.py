"""How long opening a session takes to its first event, against the bare parts.

The floor reads the same bytes from the same file with `sqlite3` and applies them with
`apply_update`, in a process of its own, as the measured opening is.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
from pycrdt import Doc, Map

from crdtsync.catalog import Catalog
from crdtsync.session.opening import open_session
from tests.bench import corpus
from tests.bench.rows import Row

RUNS = 5


async def _open(data: Path) -> dict[str, float]:
    started = time.perf_counter()
    async with open_session("bench", data=data, name="ana") as session:
        with session.events() as events:
            first = await anext(events)
            took_s = time.perf_counter() - started
            tail_at = time.perf_counter()
            shown = [session.view.text(m.id) for m in session.view.tail(20)]
            tail_s = time.perf_counter() - tail_at
    if first.type != "session.opened" or not all(shown):
        raise AssertionError("the session was not opened")
    return {"seconds": took_s, "tail_s": tail_s, "messages": len(shown)}


def _floor(path: Path) -> dict[str, float]:
    started = time.perf_counter()
    connection = sqlite3.connect(path)
    snapshots = connection.execute("SELECT bytes FROM snapshots ORDER BY upto_seq")
    last = snapshots.fetchall()[-1:]
    rows = (
        last + connection.execute("SELECT bytes FROM updates ORDER BY seq").fetchall()
    )
    document: Doc[Map[object]] = Doc()
    with document.transaction():
        for (update,) in rows:
            document.apply_update(update)
    return {"seconds": time.perf_counter() - started, "rows": len(rows)}


def _child(*args: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.opening", *args]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _pairs(data: Path) -> tuple[float, float, float]:
    """Medians of opening, of the floor, and of the last 20 messages, in turn."""
    opened, floor, tails = [], [], []
    for _ in range(RUNS):
        # Closing folds a long log; each opening gets the same file.
        copy = Path(tempfile.mkdtemp())
        shutil.copytree(data, copy, dirs_exist_ok=True)
        floor.append(_child("floor", str(Catalog(copy).path("bench")))["seconds"])
        found = _child("open", str(copy))
        opened.append(found["seconds"])
        tails.append(found["tail_s"])
        shutil.rmtree(copy)
    middle = RUNS // 2
    return sorted(opened)[middle], sorted(floor)[middle], sorted(tails)[middle]


def _row(name: str, data: Path, *, ratio_max: float | None, max_s: float) -> list[Row]:
    opened, floor, tail = _pairs(data)
    ratio = opened / floor
    within = opened <= max_s and (ratio_max is None or ratio <= ratio_max)
    limit = f"<= {max_s} s" if ratio_max is None else f"<= {ratio_max}x floor"
    return [
        Row(name, opened * 1000, "ms", floor * 1000, ratio, limit, within),
        Row(f"{name}: last 20", tail * 1000, "ms", None, None, "shown, no limit", True),
    ]


def run() -> list[Row]:
    """Measure 10,000 messages compacted and not, and 100,000 compacted."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        small, long, large = (Path(folder, name) for name in ("small", "long", "large"))
        updates = list(corpus.streamed(10_000, 20))
        anyio.run(corpus.store, long, updates)
        document: Doc[Map[object]] = Doc()
        with document.transaction():
            for update in updates:
                document.apply_update(update)
        anyio.run(corpus.store, small, [document.get_update()])
        anyio.run(corpus.store, large, [corpus.whole(100_000)])
        rows += _row("open 10,000 compacted", small, ratio_max=1.3, max_s=1.5)
        rows += _row("open 10,000 in 200,000 rows", long, ratio_max=None, max_s=1.5)
        rows += _row("open 100,000 compacted", large, ratio_max=None, max_s=1.5)
    return rows


if __name__ == "__main__":
    what, place = sys.argv[1], Path(sys.argv[2])
    result = _floor(place) if what == "floor" else anyio.run(_open, place)
    sys.stdout.write(json.dumps(result))
