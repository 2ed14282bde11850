"""One room with many clients: how long an update takes to reach all of them.

It counts only if no delivery is lost.
"""

from __future__ import annotations

from statistics import median

from tests.bench.rows import Row
from tests.bench.servers import HOCUSPOCUS, OURS, Y_WEBSOCKET, load, servers

CLIENTS = 200
UPDATES_PER_S = 50
SECONDS = 4
ROUNDS = 3
DEADLINE_S = 30


def run() -> list[Row]:
    """Measure the delay of deliveries, the servers in turns."""
    delays: dict[str, list[float]] = {}
    with servers(OURS, HOCUSPOCUS, Y_WEBSOCKET) as running:
        for number in range(ROUNDS):
            for name, server in running.items():
                told = load(
                    server,
                    scenario="steady",
                    room=f"wide-{number}",
                    rooms=1,
                    clients=CLIENTS,
                    rate=UPDATES_PER_S / CLIENTS,
                    seconds=SECONDS,
                    deadlineS=DEADLINE_S,
                )
                delays.setdefault(name, []).append(float(told.figures["p99"]))
    p99 = {name: median(found) for name, found in delays.items()}
    return [
        Row(
            name=f"1 room x {CLIENTS} clients, {UPDATES_PER_S}/s, p99, beside {name}",
            value=p99[OURS],
            unit="ms",
            floor=p99[name],
            ratio=p99[OURS] / p99[name],
            limit="<= 1x" if name == Y_WEBSOCKET else "",
            ok=name != Y_WEBSOCKET or p99[OURS] <= p99[name],
        )
        for name in p99
        if name != OURS
    ]
