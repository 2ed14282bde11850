"""Two clients that answer each other, and how long until an update is on disk."""

from __future__ import annotations

from statistics import median

from tests.bench.rows import Row
from tests.bench.servers import HOCUSPOCUS, OURS, Y_WEBSOCKET, Server, load, servers

RATE = 200
SECONDS = 3
ROUNDS = 3
DEADLINE_S = 20
ACK_MS_MAX = 15.0
WHAT = f"2 clients at {RATE}/s"


def run() -> list[Row]:
    """Measure there and back, the servers in turns; then the relay's ACK."""
    p50: dict[str, list[float]] = {}
    p99: dict[str, list[float]] = {}
    with servers(OURS, HOCUSPOCUS, Y_WEBSOCKET) as running:
        if OURS not in running:
            return []
        for number in range(ROUNDS):
            for name, server in running.items():
                figures = _figures(server, "echo", number)
                p50.setdefault(name, []).append(figures["p50"])
                p99.setdefault(name, []).append(figures["p99"])
        acks = [_ack(running[OURS], number) for number in range(ROUNDS)]
    middle = {name: median(found) for name, found in p50.items()}
    late = {name: median(found) for name, found in p99.items()}
    ack = median(acks)
    best = min(late[HOCUSPOCUS], late[Y_WEBSOCKET])
    trip, ours = f"{WHAT}, there and back", middle[OURS]
    ratio, late_ratio = ours / middle[Y_WEBSOCKET], late[OURS] / best
    floor = middle[Y_WEBSOCKET]
    limit = f"<= {ACK_MS_MAX:g} ms"
    return [
        Row(f"{trip}, p50", ours, "ms", floor, ratio, "<= 1.2x", ratio <= 1.2),
        Row(
            f"{trip}, p99", late[OURS], "ms", best, late_ratio, "<= 1x", late_ratio <= 1
        ),
        Row(
            f"{WHAT}, until on disk, p99",
            ack,
            "ms",
            None,
            None,
            limit,
            ack <= ACK_MS_MAX,
        ),
    ]


def _figures(server: Server, scenario: str, number: int) -> dict[str, float]:
    told = load(
        server,
        scenario=scenario,
        room=f"trip-{number}",
        rooms=1,
        clients=2,
        rate=RATE,
        seconds=SECONDS,
        deadlineS=DEADLINE_S,
    )
    return {name: float(told.figures[name]) for name in ("p50", "p99")}


def _ack(server: Server, number: int) -> float:
    told = load(
        server,
        window=True,
        scenario="steady",
        room=f"ack-{number}",
        rooms=1,
        clients=2,
        rate=RATE,
        seconds=SECONDS,
        deadlineS=DEADLINE_S,
    )
    return float(told.figures["ack"]["p99"])
