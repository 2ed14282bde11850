"""Routes by which people are let in and sent away: invites, tokens, joining."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from starlette.responses import Response

from crdtsync.clock import Clock
from crdtsync.links.addresses import SessionLink
from crdtsync.schema import JsonObject
from crdtsync_relay.api.answers import Refusal, answer, nothing
from crdtsync_relay.api.callers import clean_name
from crdtsync_relay.api.fields import NAME, Field, Fields, Flag, Number, Text
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.schemas import ref
from crdtsync_relay.codes import is_code
from crdtsync_relay.door import Door, bearer_token
from crdtsync_relay.grants import ROLES, Grant, check_role
from crdtsync_relay.invites import Invites
from crdtsync_relay.limits import CODE_LIFE_S, INVITE_LIFE_S_MAX, INVITE_USES_MAX
from crdtsync_relay.tries import Tries

__all__ = ["Sharing"]

_SESSION: Final = "/sessions/{session}"
_LIFE_S_MAX: Final = 100 * 366 * 24 * 3600

_PARTICIPANT: Final = Text(
    "An id for whoever joins; nobody else gets it while the token is good.",
    pattern="[A-Za-z0-9_-]{1,128}",
    needed=True,
)
_APPROVES: Final = Flag("Whether an editor may answer the agent's questions, too.")


def _role(default: str) -> Field:
    return Text("What they may do.", choices=ROLES, default=default)


_GONE: Final = Content("It is good for nothing any more.")


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

    def operations(self) -> list[Operation]:
        """What to mount."""
        return [*self._joining(), *self._inviting(), *self._granting()]

    def _joining(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/join",
                "join",
                "Turn an invite into a token of one's own",
                "anybody",
                self._join,
                {201: Content("The token, shown this once.", ref("NewToken"))},
                more="Wrong codes are counted per address. A token that is sent along "
                "and is for the same participant and session is replaced.",
                body={
                    "invite": Text(
                        "The secret of the link, or the code.",
                        chars_max=256,
                        needed=True,
                    ),
                    "participant": _PARTICIPANT,
                    "name": NAME,
                    "session": Text(
                        "The session that is meant; an invite to another one is not "
                        "used up then.",
                        chars_max=128,
                    ),
                },
                errors=(403, 413, 429),
            ),
            Operation(
                "GET",
                "/token",
                "getToken",
                "See what one's own token allows",
                "token",
                self._own,
                {200: Content("What it allows.", ref("Token"))},
                errors=(404,),
            ),
            Operation(
                "DELETE",
                "/token",
                "giveUpToken",
                "Give one's own token up",
                "token",
                self._give_up,
                {204: _GONE},
                more="An operator's token is not given up so.",
                errors=(403, 404),
            ),
        ]

    def _inviting(self) -> list[Operation]:
        days = INVITE_LIFE_S_MAX // (24 * 3600)
        invite: Fields = {
            "role": _role("editor"),
            "can_approve": _APPROVES,
            "uses": Number("How many people it lets in.", 1, INVITE_USES_MAX, 1),
            "life_s": Number(
                f"Seconds that the link is good, up to {days} days.",
                1,
                INVITE_LIFE_S_MAX,
                int(CODE_LIFE_S),
            ),
        }
        return [
            Operation(
                "POST",
                f"{_SESSION}/invites",
                "createInvite",
                "Invite somebody",
                "own",
                self._invite,
                {201: Content("The link and the code.", ref("NewInvite"))},
                more="The code is good for 15 minutes at most.",
                body=invite,
                errors=(413,),
            ),
            Operation(
                "GET",
                f"{_SESSION}/invites",
                "listInvites",
                "List open invites",
                "own",
                self._list_invites,
                {200: Content("They.", ref("Invites"))},
            ),
            Operation(
                "DELETE",
                f"{_SESSION}/invites/{{invite}}",
                "withdrawInvite",
                "Withdraw an invite",
                "own",
                self._withdraw,
                {204: Content("Nobody comes in by it any more.")},
                more="Tokens made by it stay good.",
            ),
        ]

    def _granting(self) -> list[Operation]:
        token: Fields = {
            "role": Text("What they may do.", choices=ROLES, needed=True),
            "participant": _PARTICIPANT,
            "name": NAME,
            "can_approve": _APPROVES,
            "life_s": Number("Seconds that it is good.", 1, _LIFE_S_MAX),
        }
        return [
            Operation(
                "POST",
                f"{_SESSION}/tokens",
                "createToken",
                "Make a token for somebody, without an invite",
                "own",
                self._grant,
                {201: Content("The token, shown this once.", ref("NewToken"))},
                body=token,
                errors=(413,),
            ),
            Operation(
                "GET",
                f"{_SESSION}/tokens",
                "listTokens",
                "List who has a token",
                "own",
                self._list_tokens,
                {200: Content("What they allow.", ref("Tokens"))},
            ),
            Operation(
                "DELETE",
                f"{_SESSION}/tokens/{{token}}",
                "revokeToken",
                "Revoke a token",
                "own",
                self._revoke,
                {204: _GONE},
                more="Its connections end within five seconds.",
            ),
        ]

    async def _join(self, call: Call) -> Response:
        request, body = call.request, call.body
        address = request.client.host if request.client else ""
        # Nobody guesses the secret of a link.
        guessable = is_code(body.text("invite").strip().lower())
        now = self._clock.boottime()
        wait_s = self._tries.wait_s(address, now) if guessable else 0.0
        if wait_s > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            raise Refusal(429, "too many tries", hint="Wait a minute.", headers=headers)
        former = self._door.grant(bearer_token(request.headers))
        token, grant = await self._invites.redeem(
            body.text("invite"),
            body.text("participant"),
            clean_name(body.text("name")),
            former=former.id if former else "",
            session=body.text("session"),
        )
        return answer({"token": token, **_shown(grant)}, 201)

    async def _own(self, call: Call) -> Response:
        return answer(_shown(_token_of(call)))

    async def _give_up(self, call: Call) -> Response:
        grant = _token_of(call)
        if not grant.session:
            hint = "Remove the file owner-token and start the relay again."
            raise Refusal(403, "an operator's token is not given up so", hint=hint)
        await self._door.access.revoke(grant.id)
        return nothing()

    async def _invite(self, call: Call) -> Response:
        body = call.body
        made = await self._invites.make(
            call.session,
            body.text("role"),
            can_approve=body.flag("can_approve"),
            uses=body.number("uses"),
            life_s=body.number("life_s"),
        )
        link = replace(self._place, session=call.session, secret=made.secret)
        return answer(
            {"link": link.text, "code": made.code, **asdict(made.invite)}, 201
        )

    async def _list_invites(self, call: Call) -> Response:
        invites = self._invites.open(call.session)
        return answer({"invites": [asdict(invite) for invite in invites]})

    async def _withdraw(self, call: Call) -> Response:
        if not await self._invites.withdraw(call.part("invite"), call.session):
            raise Refusal(404, "there is no such invite")
        return nothing()

    async def _grant(self, call: Call) -> Response:
        body = call.body
        token, grant = await self._door.access.grant(
            check_role(body.text("role")),
            session=call.session,
            participant=body.text("participant"),
            name=clean_name(body.text("name")),
            can_approve=body.flag("can_approve"),
            life_s=body.number("life_s") or None,
        )
        return answer({"token": token, **_shown(grant)}, 201)

    async def _list_tokens(self, call: Call) -> Response:
        grants = self._door.access.tokens(call.session)
        return answer({"tokens": [_shown(grant) for grant in grants]})

    async def _revoke(self, call: Call) -> Response:
        access, token = self._door.access, call.part("token")
        if not await access.revoke(token, session=call.session):
            raise Refusal(404, "there is no such token")
        return nothing()


def _token_of(call: Call) -> Grant:
    if call.caller.grant is None:
        raise Refusal(404, "this relay asks nobody for a token")
    return call.caller.grant


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
