"""Who is behind a proxy: takes the address that the proxy in front of a relay names.

Only a relay that was told of a proxy uses it: anybody else could write such a header.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Forwarded"]

_HEADER = "x-forwarded-for"


class Forwarded:
    """An application whose requests come from whom the proxy names.

    Args:
        app: Served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in {"http", "websocket"} and (address := _named(scope)):
            scope = {**scope, "client": (address, 0)}
        await self._app(scope, receive, send)


def _named(scope: Scope) -> str:
    """The last address named, which is the proxy's own word; empty without one."""
    named = Headers(scope=scope).getlist(_HEADER)
    last = named[-1].rpartition(",")[2].strip() if named else ""
    try:
        return str(ipaddress.ip_address(last.strip("[]")))
    except ValueError:
        return ""
