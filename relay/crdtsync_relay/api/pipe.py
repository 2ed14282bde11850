"""The way of an event stream to one reader, whose slowness is its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crdtsync.errors import CrdtSyncError
from crdtsync_relay.api.answers import HEADERS
from crdtsync_relay.api.bounds import RETRY_MS

__all__ = ["EventStream", "Pipe"]

_logger = logging.getLogger(__name__)


class Pipe:
    """The way to one reader, whose slowness is its own."""

    def __init__(self, send: Send, stalled_s: float) -> None:
        self._send = send
        self._stalled_s = stalled_s

    async def begin(self) -> None:
        """Send the head of the answer."""
        headers = {
            **HEADERS,
            "Content-Type": "text/event-stream",
            # nginx would keep events back.
            "X-Accel-Buffering": "no",
        }
        raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self.send(iter([f"retry: {RETRY_MS}\n\n".encode()]))

    async def send(self, pieces: Iterator[bytes]) -> None:
        """Send bytes, and wait until most of them are gone."""
        for piece in pieces:
            with anyio.fail_after(self._stalled_s):
                await self._send(
                    {"type": "http.response.body", "body": piece, "more_body": True}
                )

    async def end(self) -> None:
        """Say that this was all."""
        await self._send({"type": "http.response.body", "body": b""})


class EventStream(Response):
    """An answer that goes on until the reader or the session is gone.

    Args:
        tell: Tells everything through the pipe, and returns at the end.
        stalled_s: So long the reader may take nothing.
    """

    def __init__(
        self, tell: Callable[[Pipe], Awaitable[None]], stalled_s: float
    ) -> None:
        super().__init__()
        self._tell = tell
        self._stalled_s = stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            CrdtSyncError: It cannot be told, and nothing was sent.
        """
        pipe = Pipe(send, self._stalled_s)
        failed: CrdtSyncError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, receive, group.cancel_scope)
            try:
                await self._tell(pipe)
                await pipe.end()
            except TimeoutError:
                # Nothing more is said: the server breaks the connection off.
                _logger.info("a reader of events took nothing in time")
            except CrdtSyncError as error:
                failed = error
            group.cancel_scope.cancel()
        if failed is not None:
            raise failed


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
