"""A relay in a process of its own, with short leases, that a test may kill."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from crdtsync_relay.limits import Limits
from crdtsync_relay.server import Listening, run_relay
from crdtsync_relay.settings import Settings


def tell(listening: Listening) -> None:
    print(listening.url, flush=True)  # noqa: T201 - it is read


async def main(*args: str) -> None:
    data, port, ttl_s = args
    limits = Limits(lease_ttl_s=float(ttl_s))
    settings = Settings(Path(data), port=int(port), limits=limits)
    await run_relay(settings, tell, anyio.Event())


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
