"""Many rooms at a steady rate: what a delivery costs the relay and the others.

It counts only if every client got every update, and the relay's log holds them all.
pycrdt-websocket is not here: of clients that come at once to a new room it leaves some
waiting for ever.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import anyio
from pycrdt import Doc, Text

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log
from tests.bench.rows import Row
from tests.bench.servers import (
    HOCUSPOCUS,
    OURS,
    Y_WEBSOCKET,
    Server,
    Told,
    load,
    servers,
)

ROOMS = 100
CLIENTS = 3
RATE = 10
SECONDS = 3
ROUNDS = 3
DEADLINE_S = 20
COMMIT_S = 10.0
WHAT = f"{ROOMS} rooms x {CLIENTS} clients x {RATE}/s"


def run() -> list[Row]:
    """Measure the server's CPU per delivery and the delay, the servers in turns."""
    told: dict[str, list[Told]] = {}
    with servers(OURS, HOCUSPOCUS, Y_WEBSOCKET) as running:
        if OURS not in running:
            return []
        for number in range(ROUNDS):
            for name, server in running.items():
                told.setdefault(name, []).append(_steady(server, number))
        sent = sum(int(one.figures["sent"]) for one in told[OURS])
        (path,) = running[OURS].data.rglob("relay.db")
        kept = anyio.run(_kept, path, sent)
    on_disk = f"{WHAT}, updates on disk"
    kept_all = kept == sent
    return [*_rows(told), Row(on_disk, kept, "", float(sent), None, "all", kept_all)]


def _steady(server: Server, number: int) -> Told:
    return load(
        server,
        scenario="steady",
        room=f"steady-{number}",
        rooms=ROOMS,
        clients=CLIENTS,
        rate=RATE,
        seconds=SECONDS,
        deadlineS=DEADLINE_S,
    )


def _rows(told: dict[str, list[Told]]) -> list[Row]:
    cpu = {name: median(one.cpu_us for one in found) for name, found in told.items()}
    p99 = {
        name: median(float(one.figures["p99"]) for one in found)
        for name, found in told.items()
    }
    rows = []
    for name in told:
        if name != OURS:
            limited = name == HOCUSPOCUS
            rows.append(
                Row(
                    name=f"{WHAT}, server CPU, beside {name}",
                    value=cpu[OURS],
                    unit="us/delivery",
                    floor=cpu[name],
                    ratio=cpu[OURS] / cpu[name],
                    limit="<= 1x" if limited else "",
                    ok=not limited or cpu[OURS] <= cpu[name],
                )
            )
    best = min(p99[HOCUSPOCUS], p99[Y_WEBSOCKET])
    ratio = p99[OURS] / best
    delay = f"{WHAT}, delay p99, beside the better of two"
    return [*rows, Row(delay, p99[OURS], "ms", best, ratio, "<= 1x", ratio <= 1)]


async def _kept(path: Path, expected: int) -> int:
    """Count the letters in the log, until it holds as many as were sent."""
    deadline = time.monotonic() + COMMIT_S
    names = [
        f"steady-{number}-{room}" for number in range(ROUNDS) for room in range(ROOMS)
    ]
    async with open_sqlite_log(path, clock=SystemClock(), read_only=True) as log:
        while True:
            letters = 0
            for name in names:
                stored = await log.load(name)
                doc: Doc[Text] = Doc()
                for update in (stored.snapshot, *stored.updates):
                    if update:
                        doc.apply_update(update)
                letters += len(doc.get("t", type=Text))
            if letters == expected or time.monotonic() > deadline:
                return letters
