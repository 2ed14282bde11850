"""Routes for the rules of one session; what they mean is in `crdtsync_relay.rules`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from starlette.responses import Response

from crdtsync_relay.api.answers import answer
from crdtsync_relay.api.fields import Fields, Flag, Number
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.schemas import ref
from crdtsync_relay.rules import NUMBERS, Rules

__all__ = ["Ruling"]

_PATH: Final = "/sessions/{session}/rules"

_RULES: Final[Fields] = {
    "participants_max": Number(
        "People who may have a token.", *NUMBERS["participants_max"]
    ),
    "viewers_note": Flag(
        "Whether viewers may write notes; it holds when they next connect.", None
    ),
    "idle_token_days": Number(
        "Tokens unused for so many days are revoked; 0 for never.",
        *NUMBERS["idle_token_days"],
    ),
    "keep_days": Number(
        "A session unused for so many days is removed; 0 for never.",
        *NUMBERS["keep_days"],
    ),
}


class Ruling:
    """The routes.

    Args:
        rules: Of all sessions.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def operations(self) -> list[Operation]:
        """What to mount."""
        content = {200: Content("What holds now.", ref("Rules"))}
        return [
            Operation(
                "GET",
                _PATH,
                "getRules",
                "See the rules of a session",
                "own",
                self._show,
                content,
            ),
            Operation(
                "PATCH",
                _PATH,
                "changeRules",
                "Change some rules of a session",
                "own",
                self._change,
                content,
                more="What is left out stays as it is.",
                body=_RULES,
                errors=(413,),
            ),
        ]

    async def _show(self, call: Call) -> Response:
        return answer(asdict(self._rules.of(call.session)))

    async def _change(self, call: Call) -> Response:
        body = call.body
        changes: dict[str, int | bool] = {
            name: body.number(name) for name in NUMBERS if body.has(name)
        }
        if body.has("viewers_note"):
            changes["viewers_note"] = body.flag("viewers_note")
        return answer(asdict(await self._rules.change(call.session, changes)))
