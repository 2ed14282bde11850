"""A burst through the relay, beside hocuspocus and y-websocket, in the same run.

Where the load generator is the slower of the two, only the servers' CPU tells them
apart.

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
    Told,
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
        told: dict[str, list[Told]] = {name: [] for name in running}
        for number in range(ROUNDS):
            for name, server in running.items():
                told[name].append(_burst(server, number))
    rates = {name: median(map(_rate, found)) for name, found in told.items()}
    cpu = {name: median(one.cpu_us for one in found) for name, found in told.items()}
    return [*_rows(rates), *_cpu_rows(cpu)]


def _burst(server: Server, number: int) -> Told:
    """One burst into a new room."""
    return load(
        server,
        scenario="burst",
        room=f"burst-{number}",
        rooms=1,
        clients=CLIENTS,
        updates=UPDATES // CLIENTS,
        deadlineS=DEADLINE_S,
    )


def _rate(told: Told) -> float:
    return float(told.figures["deliveries"]) / float(told.figures["seconds"])


def _cpu_rows(cpu: Mapping[str, float]) -> list[Row]:
    return [
        Row(
            name=f"burst, server CPU, beside {name}",
            value=cpu[OURS],
            unit="us/delivery",
            floor=used,
            ratio=cpu[OURS] / used,
            limit="",
            ok=True,
        )
        for name, used in cpu.items()
        if name != OURS
    ]


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
