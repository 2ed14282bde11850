"""The relay as an ASGI application: its WebSocket, its health, its numbers.

It carries frames between connections and rooms; what they mean is the rooms' affair.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import anyio
from anyio import CancelScope
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from crdtsync.errors import DataError
from crdtsync.identity import ID
from crdtsync.sync.closing import CloseCode
from crdtsync_relay.attendance import Attendance, TurnedAway
from crdtsync_relay.door import Door, is_from_here, read_offer
from crdtsync_relay.grants import Grant
from crdtsync_relay.hub import Hub
from crdtsync_relay.lane import Lane
from crdtsync_relay.limits import ACCESS_CHECK_S
from crdtsync_relay.metrics import Metrics

__all__ = ["Relay"]

FAREWELL_S: Final = 5.0
"""How long a connection that is being closed may take to read what waits."""

LAST_WORD_S: Final = 0.5
"""How long the reason may take to be buffered, for a peer that did not read in time."""

_REASON_BYTES_MAX: Final = 120

_logger = logging.getLogger(__name__)


class Relay:
    """What the routes share.

    Args:
        hub: The rooms.
        door: Who may come in.
        others: Further routes: the HTTP API.

    Attributes:
        app: The ASGI application.
    """

    def __init__(self, hub: Hub, door: Door, others: Sequence[BaseRoute]) -> None:
        self._hub = hub
        self._door = door
        self._metrics = Metrics(hub)
        self._guests: dict[Attendance, str] = {}
        routes: list[BaseRoute] = [
            WebSocketRoute("/ws/{session}", self._attend),
            Route("/healthz", self._health),
            Route("/readyz", self._ready),
            Route("/metrics", self._numbers),
            *others,
        ]
        self.app = Starlette(routes=routes)

    def in_use(self) -> tuple[set[str], set[str]]:
        """Sessions and tokens that were used since this was asked last, or are."""
        return self._hub.visited(), self._door.used() | set(self._guests.values())

    async def keep_watch(self) -> None:
        """Send away whose token is revoked or expired; run it in a task of its own."""
        while True:
            await anyio.sleep(ACCESS_CHECK_S)
            try:
                good = self._door.access.standing(set(self._guests.values()))
            except DataError as error:
                _logger.error("tokens cannot be checked: %s", error)
                continue
            for attendance, token_id in list(self._guests.items()):
                if token_id not in good:
                    reason = "the token was revoked or has expired"
                    attendance.expel(CloseCode.UNAUTHORISED, reason)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        if self._hub.draining:
            return PlainTextResponse("draining\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def _numbers(self, request: Request) -> Response:
        if not self._is_operator(request):
            return PlainTextResponse("a token of an owner is needed\n", status_code=401)
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(self._metrics.text(), media_type=kind)

    def _is_operator(self, request: Request) -> bool:
        if not self._door.asks:
            return is_from_here(request.headers)
        grant = self._door.grant(read_offer((), request.headers).token)
        return grant is not None and grant.role == "owner" and not grant.session

    async def _attend(self, websocket: WebSocket) -> None:
        offer = read_offer(websocket.scope["subprotocols"], websocket.headers)
        session = websocket.path_params["session"]
        lane = Lane.claim(websocket.scope)
        await websocket.accept(subprotocol=offer.subprotocol)
        try:
            grant = self._admit(websocket, session, offer.token)
            stamp = self._door.stamp(grant, session)
            async with self._hub.attend(
                session,
                writes=grant is None or grant.writes,
                layer_2=offer.layer_2,
                stamp=stamp,
                budget=self._hub.budget(grant.id if grant else ""),
            ) as attendance:
                connection = _Connection(websocket, attendance, lane)
                await self._serve(connection, grant)
        except TurnedAway as away:
            await websocket.close(away.code, _short(str(away)))

    def _admit(self, websocket: WebSocket, session: str, token: str) -> Grant | None:
        """Check who comes; without tokens, whoever is on this machine.

        Raises:
            TurnedAway: It may not come in.
        """
        if not ID.fullmatch(session):
            raise TurnedAway(CloseCode.NO_SUCH_SESSION, "that is no session's id")
        if not self._door.asks:
            if not is_from_here(websocket.headers):
                raise TurnedAway(CloseCode.FORBIDDEN, "no web pages of elsewhere")
            return None
        grant = self._door.grant(token)
        if grant is None:
            reason = "the token is missing, wrong, expired or revoked"
            raise TurnedAway(CloseCode.UNAUTHORISED, reason)
        if not grant.covers(session):
            raise TurnedAway(CloseCode.FORBIDDEN, "the token is for another session")
        return grant

    async def _serve(self, connection: _Connection, grant: Grant | None) -> None:
        attendance = connection.attendance
        if grant is not None:
            self._guests[attendance] = grant.id
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.write, group.cancel_scope)
                await connection.read()
                group.cancel_scope.cancel()
        finally:
            self._guests.pop(attendance, None)
            with anyio.move_on_after(LAST_WORD_S, shield=True):
                await connection.close()


class _Connection:
    """A guest and its WebSocket, with or without a lane of the server.

    Args:
        websocket: Accepted.
        attendance: The guest in its room.
        lane: The short way of whole frames, where the server has one.
    """

    def __init__(
        self, websocket: WebSocket, attendance: Attendance, lane: Lane | None
    ) -> None:
        self.attendance = attendance
        self._websocket = websocket
        self._outbox = attendance.outbox
        self._lane = lane

    async def read(self) -> None:
        """Hand messages to the room until the connection is gone."""
        if self._lane is not None:
            self._lane.attach(self.attendance)
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("bytes")
            if frame is None:
                self.attendance.refuse_text()
            else:
                self.attendance.receive(frame)
            await self.attendance.until_ready()

    async def write(self, scope: CancelScope) -> None:
        """Send what is queued, until the connection is to be closed; then close it."""
        outbox = self._outbox
        outbox.on_close = lambda: _set_deadline(scope)
        if outbox.closing is not None:
            _set_deadline(scope)
        outbox.lane = self._lane
        while (data := await outbox.take()) is not None:
            await self._send(data)
            if outbox.presence_dropped and not outbox.waiting_bytes:
                outbox.presence_dropped = False
                self.attendance.show_again()
        await self.close()

    async def _send(self, data: bytes) -> None:
        if self._lane is not None:
            await self._lane.send(data)
        else:
            await self._websocket.send({"type": "websocket.send", "bytes": data})

    async def close(self) -> None:
        """Say why, unless that is said or the peer has gone."""
        websocket, closing = self._websocket, self._outbox.closing
        connected = (websocket.client_state, websocket.application_state)
        if closing is None or set(connected) != {WebSocketState.CONNECTED}:
            return
        code, reason = closing
        await websocket.close(code, _short(reason))


def _set_deadline(scope: CancelScope) -> None:
    scope.deadline = anyio.current_time() + FAREWELL_S


def _short(reason: str) -> str:
    """Cut a reason to what a close frame holds."""
    return reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
