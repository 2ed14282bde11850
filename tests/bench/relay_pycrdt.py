"""The server of pycrdt-websocket under uvicorn, as it comes.

Run in an environment that has both; the project itself has neither.
"""

from __future__ import annotations

import sys
from importlib import import_module

import anyio


async def main(port: int) -> None:
    """Serve until killed."""
    uvicorn = import_module("uvicorn")
    pycrdt_websocket = import_module("pycrdt.websocket")
    async with pycrdt_websocket.WebsocketServer() as server:
        config = uvicorn.Config(
            pycrdt_websocket.ASGIServer(server),
            host="127.0.0.1",
            port=port,
            log_level="error",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), backend_options={"use_uvloop": True})
