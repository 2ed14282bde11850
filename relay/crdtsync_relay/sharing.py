"""The routes by which people are let in and sent away: invites, tokens, joining.

JSON in, JSON out. Errors are `{"error": ..., "hint": ...}` and say nothing of whether a
session exists to those who may not know.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from crdtsync.clock import Clock
from crdtsync.errors import AccessDenied, CrdtSyncError, ProtocolError, UsageError
from crdtsync.identity import ID, check_person_name
from crdtsync.links.addresses import SessionLink
from crdtsync.schema import JsonObject
from crdtsync.sync.bodies import json_from_text
from crdtsync_relay.door import Door, bearer_token
from crdtsync_relay.grants import Grant, check_id, check_role
from crdtsync_relay.invites import Invites
from crdtsync_relay.limits import (
    ADDRESSES_MAX,
    BODY_BYTES_MAX,
    CODE_LIFE_S,
    CODE_TRIES_PER_MINUTE_MAX,
)

__all__ = ["Sharing", "Tries"]

_Answer: TypeAlias = Callable[[Request], Awaitable[Response]]

_logger = logging.getLogger(__name__)

_MINUTE_S: Final = 60.0


class Tries:
    """Tries per address within the last minute; the oldest addresses are forgotten."""

    def __init__(self) -> None:
        self._made: dict[str, list[float]] = {}

    def wait_s(self, address: str, now: float) -> float:
        """Count a try; returns 0, or the seconds until the next one is looked at."""
        recent = [s for s in self._made.pop(address, []) if now - s < _MINUTE_S]
        if len(self._made) >= ADDRESSES_MAX:
            del self._made[next(iter(self._made))]
        self._made[address] = recent
        if len(recent) >= CODE_TRIES_PER_MINUTE_MAX:
            return _MINUTE_S - (now - recent[0])
        recent.append(now)
        return 0.0


class Sharing:
    """The routes.

    Args:
        door: Knows the tokens.
        clock: Counts tries.
        place: How people reach the relay, for links.
    """

    def __init__(self, door: Door, clock: Clock, place: SessionLink) -> None:
        self._door = door
        self._clock = clock
        self._place = place
        self._invites = Invites(door.access)
        self._tries = Tries()

    def routes(self) -> list[BaseRoute]:
        """What to mount."""
        session = "/api/v1/sessions/{session}"
        return [
            Route("/api/v1/join", _answering(self._join), methods=["POST"]),
            Route(f"{session}/invites", _answering(self._invite), methods=["POST"]),
            Route(f"{session}/invites", _answering(self._list_invites)),
            Route(
                f"{session}/invites/{{id}}",
                _answering(self._withdraw),
                methods=["DELETE"],
            ),
            Route("/api/v1/token", _answering(self._own)),
            Route("/api/v1/token", _answering(self._give_up), methods=["DELETE"]),
            Route(f"{session}/tokens", _answering(self._list_tokens)),
            Route(f"{session}/tokens", _answering(self._grant), methods=["POST"]),
            Route(
                f"{session}/tokens/{{id}}", _answering(self._revoke), methods=["DELETE"]
            ),
        ]

    async def _join(self, request: Request) -> Response:
        """Turn an invite into a token."""
        address = request.client.host if request.client else ""
        wait_s = self._tries.wait_s(address, self._clock.boottime())
        if wait_s > 0:
            error = {"error": "too many tries", "hint": "Wait a minute."}
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return JSONResponse(error, 429, headers)
        body = await _body(request)
        name = _text(body, "name")
        former = self._door.grant(bearer_token(request.headers))
        token, grant = await self._invites.redeem(
            _text(body, "invite"),
            _text(body, "participant"),
            check_person_name(name) if name else "",
            former=former.id if former else "",
        )
        return JSONResponse({"token": token, **_shown(grant)}, 201)

    async def _invite(self, request: Request) -> Response:
        session = self._owned(request)
        body = await _body(request)
        made = await self._invites.make(
            session,
            _text(body, "role") or "editor",
            can_approve=body.get("can_approve") is True,
            uses=_number(body, "uses", 1),
            life_s=_number(body, "life_s", int(CODE_LIFE_S)),
        )
        link = replace(self._place, session=session, secret=made.secret)
        shown = {"link": link.text, "code": made.code, **asdict(made.invite)}
        return JSONResponse(shown, 201)

    async def _list_invites(self, request: Request) -> Response:
        invites = self._invites.open(self._owned(request))
        return JSONResponse({"invites": [asdict(invite) for invite in invites]})

    async def _withdraw(self, request: Request) -> Response:
        session = self._owned(request)
        done = await self._invites.withdraw(request.path_params["id"], session)
        return Response(status_code=204) if done else _unknown("invite")

    async def _own(self, request: Request) -> Response:
        """Tell what the asker's own token allows."""
        return JSONResponse(_shown(self._asker(request)))

    async def _give_up(self, request: Request) -> Response:
        """Revoke the asker's own token, unless it is for all sessions."""
        grant = self._asker(request)
        if not grant.session:
            raise UsageError("the owner's token of a relay cannot be given up so")
        await self._door.access.revoke(grant.id)
        return Response(status_code=204)

    async def _grant(self, request: Request) -> Response:
        """Make a token for somebody, without an invite."""
        session = self._owned(request)
        body = await _body(request)
        name, participant = _text(body, "name"), _text(body, "participant")
        check_id(participant)
        token, grant = await self._door.access.grant(
            check_role(_text(body, "role")),
            session=session,
            participant=participant,
            name=check_person_name(name) if name else "",
            can_approve=body.get("can_approve") is True,
            life_s=_number(body, "life_s", 0) or None,
        )
        return JSONResponse({"token": token, **_shown(grant)}, 201)

    async def _list_tokens(self, request: Request) -> Response:
        grants = self._door.access.tokens(self._owned(request))
        return JSONResponse({"tokens": [_shown(grant) for grant in grants]})

    async def _revoke(self, request: Request) -> Response:
        """Revoke a token; its connections end within seconds."""
        session = self._owned(request)
        token_id = request.path_params["id"]
        done = await self._door.access.revoke(token_id, session=session)
        return Response(status_code=204) if done else _unknown("token")

    def _asker(self, request: Request) -> Grant:
        """What the token of a request allows.

        Raises:
            AccessDenied: It is none.
        """
        grant = self._door.grant(bearer_token(request.headers))
        if grant is None:
            raise AccessDenied("the token is missing, wrong, expired or revoked")
        return grant

    def _owned(self, request: Request) -> str:
        """Return the session of a request of one of its owners.

        Raises:
            AccessDenied: It is no owner's.
        """
        session = str(request.path_params["session"])
        grant = self._door.grant(bearer_token(request.headers))
        if grant is None or not grant.covers(session) or grant.role != "owner":
            raise AccessDenied(
                "only an owner of the session may do that", hint="Ask one to do it."
            )
        if not ID.fullmatch(session):
            raise UsageError("that is no session's id")
        return session


def _answering(answer: _Answer) -> _Answer:
    """Turn what is raised into an answer."""

    async def safely(request: Request) -> Response:
        try:
            return await answer(request)
        except AccessDenied as error:
            return _error(str(error), error.hint, 403)
        except (UsageError, ProtocolError) as error:
            return _error(str(error), error.hint, 400)
        except CrdtSyncError as error:
            _logger.error("a request failed: %s", error)
            return _error("the relay cannot do that now", "Try again later.", 503)

    return safely


def _unknown(what: str) -> JSONResponse:
    return _error(f"there is no such {what}", "It may be gone already.", 404)


def _error(text: str, hint: str, status: int) -> JSONResponse:
    return JSONResponse({"error": text, "hint": hint}, status)


async def _body(request: Request) -> JsonObject:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            raise UsageError("the body is too large")
    try:
        return json_from_text(data.decode() or "{}")
    except UnicodeDecodeError as error:
        raise UsageError("the body is no UTF-8") from error


def _text(body: JsonObject, key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{key} is no text")
    return value


def _number(body: JsonObject, key: str, default: int) -> int:
    value = body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{key} is no whole number")
    return value


def _shown(grant: Grant) -> JsonObject:
    return {
        "id": grant.id,
        "session": grant.session,
        "role": grant.role,
        "participant": grant.participant,
        "name": grant.name,
        "can_approve": grant.can_approve,
        "expires_at": grant.expires_at,
    }
