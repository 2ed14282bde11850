"""A relay that is operated: its own folder on this machine, or elsewhere over HTTP.

The folder is worked on whether the relay runs or not; elsewhere a token decides.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from crdtsync.errors import SessionNotFound, UsageError
from crdtsync.identity import ID
from crdtsync.links.addresses import parse_link
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, as_object, as_text
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.relaying import relay_data

if TYPE_CHECKING:
    from crdtsync_relay.operating import Operator

__all__ = ["Operated"]

PAGE: Final = 100
"""Sessions that a relay elsewhere is asked for at once."""

SESSIONS_MAX: Final = 100_000
"""Sessions that are listed."""


class Operated:
    """One relay, and perhaps one session of it.

    Args:
        call: Knows the data folder.
        relay: Address and token of a relay elsewhere; empty for the one here.
        session: A name here or an id; empty for all sessions.

    Raises:
        UsageError: It can be no session's id.
    """

    def __init__(self, call: Call, relay: str, session: str) -> None:
        self._call = call
        self._relay = relay
        self._session = _session_id(call, session)

    async def make_token(
        self, participant: str, role: str, life_s: int | None, can_approve: bool
    ) -> str:
        """Make a token; it is shown this once."""
        if not self._relay:
            async with self._operator() as operator:
                return await operator.make_token(
                    self._session,
                    participant,
                    role,
                    life_s=life_s,
                    can_approve=can_approve,
                )
        body: JsonObject = {
            "participant": participant,
            "role": role,
            "can_approve": can_approve,
        }
        if life_s is not None:
            body["life_s"] = life_s
        made = await self._ask("POST", f"{self._path}/tokens", body)
        return as_text(made.get("token"))

    async def listed(self, what: str) -> list[JsonObject]:
        """The good tokens or the open invites.

        Args:
            what: tokens or invites.
        """
        if self._relay:
            return _objects(await self._ask("GET", f"{self._path}/{what}"), what)
        async with self._operator() as operator:
            if what == "tokens":
                tokens = operator.tokens(self._session or None)
                return [asdict(token) for token in tokens]
            return [asdict(invite) for invite in operator.invites(self._session)]

    async def close(self, what: str, identity: str) -> None:
        """Revoke a token or withdraw an invite.

        Raises:
            OperationFailed: There is none of that id.
        """
        if self._relay:
            path = f"{self._path}/{what}/{quote(identity, safe='')}"
            await self._ask("DELETE", path)
            return
        async with self._operator() as operator:
            if what == "tokens":
                await operator.revoke(identity)
            else:
                await operator.withdraw(identity)

    async def sessions(self) -> list[JsonObject]:
        """What the relay keeps; of one elsewhere only the ids are told."""
        if not self._relay:
            async with self._operator() as operator:
                return [asdict(kept) for kept in operator.sessions()]
        found: list[JsonObject] = []
        query = f"limit={PAGE}"
        while len(found) < SESSIONS_MAX:
            said = await self._ask("GET", f"/api/v1/sessions?{query}")
            found += _objects(said, "sessions")
            cursor = as_text(said.get("next"))
            if not cursor:
                break
            query = f"limit={PAGE}&cursor={quote(cursor, safe='')}"
        return found

    @property
    def _path(self) -> str:
        if not self._session:
            raise UsageError(
                "a relay elsewhere lists these by session",
                hint="Name the session before --relay.",
            )
        return f"/api/v1/sessions/{self._session}"

    def _operator(self) -> AbstractAsyncContextManager[Operator]:
        from crdtsync_relay.operating import open_operator  # noqa: PLC0415 - slow
        from crdtsync_relay.settings import resolve  # noqa: PLC0415 - slow

        folder = resolve({"data": relay_data(self._call)}, os.environ).data
        return open_operator(folder)

    async def _ask(
        self, method: str, path: str, body: JsonObject | None = None
    ) -> JsonObject:
        from crdtsync.links.asking import ask_relay  # noqa: PLC0415 - slow

        link = parse_link(self._relay)
        return await ask_relay(link, method, path, body, token=link.secret)


def _objects(said: JsonObject, key: str) -> list[JsonObject]:
    listed = said.get(key)
    return [as_object(each) for each in listed] if isinstance(listed, list) else []


def _session_id(call: Call, session: str) -> str:
    """The id of a session that is here, or what may be the id of one that is not."""
    if not session:
        return ""
    with suppress(SessionNotFound):
        return call.find(session).id
    if not ID.fullmatch(session):
        raise UsageError(f"{clean_line(session)!r} is no session's id")
    return session
