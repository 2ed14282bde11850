"""A burst through the relay, beside hocuspocus and y-websocket, in the same run.

It counts only if every client got every update. The relay has every update on disk,
the others keep theirs in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from tests.bench.rows import Row
from tests.bench.servers import (
    HOCUSPOCUS,
    OURS,
    UVICORN,
    Y_WEBSOCKET,
    Server,
    load,
    servers,
)

CLIENTS = 20
UPDATES = 2000
ROUNDS = 5
DEADLINE_S = 60
LIMITS = {HOCUSPOCUS: 2.0, Y_WEBSOCKET: 4.0, UVICORN: 0.0}


def run() -> list[Row]:
    """Measure deliveries per second, the servers in turns."""
    with servers(OURS, *LIMITS) as running:
        rates: dict[str, list[float]] = {name: [] for name in running}
        for number in range(ROUNDS):
            for name, server in running.items():
                rates[name].append(_burst(server, number))
    return _rows({name: median(found) for name, found in rates.items()})


def _burst(server: Server, number: int) -> float:
    """Deliveries per second of one burst into a new room."""
    told = load(
        server,
        scenario="burst",
        room=f"burst-{number}",
        rooms=1,
        clients=CLIENTS,
        updates=UPDATES // CLIENTS,
        deadlineS=DEADLINE_S,
    )
    return float(told.figures["deliveries"]) / float(told.figures["seconds"])


def _rows(rates: Mapping[str, float]) -> list[Row]:
    return [
        Row(
            name=f"burst, 1 room x {CLIENTS} clients, beside {name}",
            value=rates[OURS],
            unit="deliveries/s",
            floor=rate,
            ratio=rates[OURS] / rate,
            limit=f">= {LIMITS[name]:g}x" if LIMITS[name] else "",
            ok=rates[OURS] >= LIMITS[name] * rate,
        )
        for name, rate in rates.items()
        if name != OURS
    ]
