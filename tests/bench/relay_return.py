"""Everybody comes back at once after a restart: how long until all are in step.

It counts only if each of them then has what all of its room had written before.
"""

from __future__ import annotations

from statistics import median

from tests.bench.rows import Row
from tests.bench.servers import OURS, Server, loading, servers

ROOMS = 100
CLIENTS = 10
ROUNDS = 2
DEADLINE_S = 60
RETURN_S_MAX = 10.0


def run() -> list[Row]:
    """Measure from the first connection that was taken to the last answer."""
    with servers(OURS) as running:
        if OURS not in running:
            return []
        seconds = [_restart(running[OURS], number) for number in range(ROUNDS)]
    found = median(seconds)
    what = f"{ROOMS * CLIENTS} windows come back after a restart"
    limit = f"<= {RETURN_S_MAX:g} s"
    return [Row(what, found, "s", None, None, limit, found <= RETURN_S_MAX)]


def _restart(server: Server, number: int) -> float:
    with loading(
        server,
        window=True,
        scenario="herd",
        room=f"herd-{number}",
        rooms=ROOMS,
        clients=CLIENTS,
        deadlineS=DEADLINE_S,
    ) as generator:
        server.stop()
        server.start()
        return float(generator.figures()["seconds"])
