"""The relay's HTTP API under `/api/v1`: routes, their documentation, and who may call.

It reads and writes sessions as a guest of their rooms (R-5, R-9); rooms know no HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from crdtsync.links.addresses import SessionLink
from crdtsync_relay.api.answers import HEADERS, answer
from crdtsync_relay.api.callers import Callers
from crdtsync_relay.api.desk import Source
from crdtsync_relay.api.desks import Desks, open_desks
from crdtsync_relay.api.openapi import BASE, describe
from crdtsync_relay.api.operations import (
    Operation,
    http_error,
    mount,
    unexpected_error,
)
from crdtsync_relay.api.page import POLICY, render_page
from crdtsync_relay.api.reading import Reading
from crdtsync_relay.api.ruling import Ruling
from crdtsync_relay.api.sharing import Sharing
from crdtsync_relay.api.snapshots import Snapshots
from crdtsync_relay.api.streaming import Streaming
from crdtsync_relay.api.writing import Writing
from crdtsync_relay.door import Door
from crdtsync_relay.kinds import Kinds

__all__ = ["Source", "open_api"]


@asynccontextmanager
async def open_api(
    source: Source, kinds: Kinds, door: Door, place: SessionLink
) -> AsyncGenerator[BaseRoute]:
    """Serve the API; yields what to mount.

    Args:
        source: What it reads and writes.
        kinds: Knows which sessions there are.
        door: Who may come in.
        place: How people reach the relay, for links.
    """
    callers = Callers(door, kinds, source.hub, source.clock)
    async with open_desks(source) as desks:
        sharing = Sharing(door, source.clock, place)
        operations = [
            *_of_sessions(source, kinds, desks, callers),
            *sharing.operations(),
            *Ruling(door.access.rules).operations(),
        ]
        document = describe(operations)
        page = render_page(document)

        async def openapi(_: Request) -> Response:
            return answer(document)

        async def docs(_: Request) -> Response:
            headers = {**HEADERS, "Content-Security-Policy": POLICY}
            return HTMLResponse(page, headers=headers)

        routes = [
            Route("/openapi.json", openapi),
            Route("/docs", docs),
            *mount(operations, callers),
        ]
        errors = {HTTPException: http_error, Exception: unexpected_error}
        yield Mount(BASE, app=Starlette(routes=routes, exception_handlers=errors))


def _of_sessions(
    source: Source, kinds: Kinds, desks: Desks, callers: Callers
) -> list[Operation]:
    return [
        *Reading(desks, kinds).operations(),
        *Writing(desks, source.clock).operations(),
        *Streaming(desks, source.log, callers, source.hub.limits).operations(),
        *Snapshots(source.log).operations(),
    ]
