"""The relay's ASGI application under uvicorn, to see what the server below costs.

Run in an environment that has uvicorn; the project itself does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import anyio
from crdtsync_relay.access import open_access
from crdtsync_relay.app import Relay
from crdtsync_relay.door import Door
from crdtsync_relay.hub import open_hub
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.limits import Limits

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log


async def main(data: Path, port: int) -> None:
    """Serve until killed."""
    uvicorn = import_module("uvicorn")
    clock, path = SystemClock(), data / "relay.db"
    async with (
        open_sqlite_log(path, clock=clock) as log,
        open_access(path, clock=clock) as access,
        open_hub(log, Kinds(access, clock), clock=clock, limits=Limits()) as hub,
    ):
        door = Door(access, asks=False)
        relay = Relay(hub, door, [])
        config = uvicorn.Config(
            relay.app,
            host="127.0.0.1",
            port=port,
            log_level="error",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    anyio.run(
        main,
        Path(sys.argv[1]),
        int(sys.argv[2]),
        backend_options={"use_uvloop": True},
    )
