"""Two clients that answer each other, and how long until an update is on disk."""

from __future__ import annotations

from statistics import median

from tests.bench.rows import Row
from tests.bench.servers import (
    HOCUSPOCUS,
    OURS,
    PYCRDT_WEBSOCKET,
    Y_WEBSOCKET,
    Missed,
    Server,
    Told,
    load,
    servers,
)

RATE = 200
SECONDS = 3
ROUNDS = 3
DEADLINE_S = 20
ACK_MS_MAX = 15.0
P50_RATIO_MAX = 1.2
WHAT = f"2 clients at {RATE}/s"


def run() -> list[Row]:
    """Measure there and back, the servers in turns; then the relay's ACK."""
    trips: dict[str, list[Told]] = {}
    with servers(OURS, HOCUSPOCUS, Y_WEBSOCKET, PYCRDT_WEBSOCKET) as running:
        if OURS not in running:
            return []
        for number in range(ROUNDS):
            for name, server in running.items():
                # What did not survive one round is not tried again.
                if number == len(trips.get(name, [])):
                    trips.setdefault(name, []).extend(_trip(server, number))
        ack = median(_ack(running[OURS], number) for number in range(ROUNDS))
    ack_limit = f"<= {ACK_MS_MAX:g} ms"
    on_disk = f"{WHAT}, until on disk, p99"
    return [
        *_rows({name: found for name, found in trips.items() if found}),
        Row(on_disk, ack, "ms", None, None, ack_limit, ack <= ACK_MS_MAX),
    ]


def _rows(trips: dict[str, list[Told]]) -> list[Row]:
    p50 = {name: _middle(found, "p50") for name, found in trips.items()}
    p99 = {name: _middle(found, "p99") for name, found in trips.items()}
    best = min(p99[HOCUSPOCUS], p99[Y_WEBSOCKET])
    late, ratio = f"{WHAT}, there and back, p99, beside the better", p99[OURS] / best
    rows = [Row(late, p99[OURS], "ms", best, ratio, "<= 1x", ratio <= 1)]
    for name, floor in p50.items():
        if name != OURS:
            ratio, limited = p50[OURS] / floor, name == Y_WEBSOCKET
            trip = f"{WHAT}, there and back, p50, beside {name}"
            limit = "<= 1.2x" if limited else ""
            ok = not limited or ratio <= P50_RATIO_MAX
            rows.append(Row(trip, p50[OURS], "ms", floor, ratio, limit, ok))
    return rows


def _middle(found: list[Told], name: str) -> float:
    return median(float(one.figures[name]) for one in found)


def _trip(server: Server, number: int) -> list[Told]:
    try:
        return [_load(server, f"trip-{number}", scenario="echo")]
    except Missed:
        if server.name != PYCRDT_WEBSOCKET:
            raise
        return []


def _ack(server: Server, number: int) -> float:
    told = _load(server, f"ack-{number}", scenario="steady", window=True)
    return float(told.figures["ack"]["p99"])


def _load(server: Server, room: str, *, scenario: str, window: bool = False) -> Told:
    return load(
        server,
        window=window,
        scenario=scenario,
        room=room,
        rooms=1,
        clients=2,
        rate=RATE,
        seconds=SECONDS,
        deadlineS=DEADLINE_S,
    )
