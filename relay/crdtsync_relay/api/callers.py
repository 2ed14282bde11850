"""Who calls the HTTP API, what they may do, and how much (09-security)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from starlette.requests import Request

from crdtsync.clock import Clock
from crdtsync.entities import Participant
from crdtsync.errors import AccessDenied
from crdtsync.identity import ID, NAME_CHARS_MAX
from crdtsync.session import stamp
from crdtsync_relay.api.answers import Refusal
from crdtsync_relay.api.bounds import CALLERS_MAX
from crdtsync_relay.budget import Budget
from crdtsync_relay.door import Door, bearer_token, is_from_here
from crdtsync_relay.grants import Grant
from crdtsync_relay.hub import Hub
from crdtsync_relay.kinds import Kinds

__all__ = ["Caller", "Callers", "Right", "clean_name"]

Right: TypeAlias = Literal[
    "anybody", "token", "read", "note", "write", "approve", "own"
]
"""What a route asks for. `anybody` needs no token, `token` any that is good; the
others are for the session of the route. `note` is for writers, and for viewers where
they may write notes. `own` also covers a session that is not there yet."""

_UNKNOWN: Final = "there is no such session, or not for you"

_WORDS: Final[dict[Right, str]] = {
    "note": "viewers cannot change the session",
    "write": "viewers cannot change the session",
    "approve": "this token may not answer an agent's questions",
    "own": "only an owner of the session may do that",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    Attributes:
        key: Whose budget it is spent from.
        grant: What the token allows; None where nobody needs one.
    """

    key: str
    grant: Grant | None

    @property
    def is_operator(self) -> bool:
        """Whether all sessions of the relay are theirs."""
        return self.grant is None or not self.grant.session

    @property
    def writes(self) -> bool:
        """Whether they may change sessions."""
        return self.grant is None or self.grant.writes

    def may(self, right: Right) -> bool:
        """Whether they may do something in a session that the token covers."""
        match right:
            case "write" | "note":
                return self.writes
            case "approve":
                return self.grant is None or (self.writes and self.grant.can_approve)
            case "own":
                return self.grant is not None and self.grant.role == "owner"
            case _:
                return True

    def writer(self, participant: str, name: str, clock: Clock) -> Participant:
        """As whom they write.

        Args:
            participant: Who they say they are; needed if the token names nobody.
            name: Likewise; how others see them if the session does not know them.
            clock: For the time at which they join.

        Raises:
            Refusal: They say nothing, or something else than the token.
        """
        known = self.grant.participant if self.grant else ""
        if known and participant not in {"", known}:
            hint = "Leave participant out: the token says who you are."
            raise Refusal(403, "the token is somebody else's", hint=hint)
        key = known or participant
        if not key:
            hint = 'Say it in the body, such as "participant": "ana".'
            raise Refusal(403, "nothing tells who writes this", hint=hint)
        said = (self.grant.name if self.grant else "") or name
        called = clean_name(said) or key[:NAME_CHARS_MAX]
        return Participant(key, called, "person", stamp(clock))


class Callers:
    """Finds out who calls.

    Args:
        door: Knows the tokens.
        kinds: Knows which sessions there are.
        hub: Has the limits.
        clock: For budgets.
    """

    def __init__(self, door: Door, kinds: Kinds, hub: Hub, clock: Clock) -> None:
        self._door = door
        self._kinds = kinds
        self._hub = hub
        self._clock = clock
        self._budgets: dict[str, Budget] = {}

    def find(self, request: Request) -> Caller:
        """Who makes a request.

        Raises:
            Refusal: Nobody who may.
        """
        if not self._door.asks:
            if not is_from_here(request.headers):
                raise Refusal(403, "no web pages of elsewhere")
            return Caller(_address(request), None)
        grant = self._door.grant(bearer_token(request.headers))
        if grant is None:
            raise Refusal(
                401,
                "the token is missing, wrong, expired or revoked",
                hint="Send it in the header Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Caller(grant.id, grant)

    def check(self, caller: Caller, session: str, right: Right) -> None:
        """Refuse what a caller may not do in a session.

        To those who may not know, a session that is not theirs is none.

        Raises:
            Refusal: 404, if it is none to them.
            AccessDenied: They may only do less.
        """
        covered = caller.grant is None or caller.grant.covers(session)
        there = bool(ID.fullmatch(session)) and (
            right == "own" or self._kinds.is_session(session) is True
        )
        if not (covered and there):
            raise Refusal(404, _UNKNOWN)
        if caller.grant is None and right == "own":
            hint = "Start the relay with --tokens to have some."
            raise AccessDenied("this relay asks nobody for a token", hint=hint)
        notes = right == "note" and self._door.access.rules.of(session).viewers_note
        if not (notes or caller.may(right)):
            raise AccessDenied(_WORDS[right])

    def spend(self, caller: Caller, size_bytes: int) -> None:
        """Take a request out of what the caller may send and get.

        Raises:
            Refusal: It was too much in too short a time.
        """
        wait_s = self.charge(caller, size_bytes)
        if wait_s > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            text = "too much in too short a time"
            raise Refusal(429, text, hint="Wait a while.", headers=headers)

    def charge(self, caller: Caller, size_bytes: int) -> float:
        """Take what was answered out of it; returns for how long there is nothing."""
        budget = self._budgets.pop(caller.key, None) or self._hub.budget(caller.key)
        if len(self._budgets) >= CALLERS_MAX:
            del self._budgets[next(iter(self._budgets))]
        # The hub forgets budgets that nobody holds.
        self._budgets[caller.key] = budget
        return budget.spend(size_bytes, now=self._clock.boottime())

    def is_good(self, caller: Caller) -> bool:
        """Whether a token that was good still is."""
        grant = caller.grant
        return grant is None or bool(self._door.access.standing({grant.id}))


def clean_name(name: str) -> str:
    """A person's name without what may not be in one; perhaps nothing is left."""
    return "".join(c for c in name if unicodedata.category(c)[0] != "C").strip()


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
