"""Routes that change a session, in the name of whoever calls: post, vote, cancel."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, cast

from starlette.responses import Response

from crdtsync.clock import Clock
from crdtsync.errors import AccessDenied
from crdtsync.events import to_json
from crdtsync.limits import MESSAGE_BYTES_MAX
from crdtsync.schema import JsonObject
from crdtsync.session import Sent, Session, Steer
from crdtsync_relay.api.answers import Refusal, answer
from crdtsync_relay.api.bounds import MESSAGE_BODY_BYTES_MAX
from crdtsync_relay.api.desks import Desks
from crdtsync_relay.api.fields import NAME, Fields, Flag, Text
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.schemas import ref

__all__ = ["Writing"]

_SESSION: Final = "/sessions/{session}"
_OPTION_CHARS_MAX: Final = 1000
_WHY_CHARS_MAX: Final = 10_000

_WHO: Final[Fields] = {
    "participant": Text(
        "Who writes. Needed if the token names nobody; otherwise the token says it.",
        pattern="[A-Za-z0-9_-]{1,128}",
    ),
    "name": NAME,
}

_POSTED: Final = """It is acknowledged when it is on the relay's disk, and every window
gets it as if somebody had typed it there. Choose an `id` to be safe against a broken
connection: sending the same again changes nothing and is answered with 200.

A prompt waits in the queue until a window with an agent takes it."""


class Writing:
    """The routes that write.

    Args:
        desks: Of the relay.
        clock: For the time of messages.
    """

    def __init__(self, desks: Desks, clock: Clock) -> None:
        self._desks = desks
        self._clock = clock

    def operations(self) -> list[Operation]:
        """What to mount."""
        return [
            Operation(
                "POST",
                f"{_SESSION}/messages",
                "postMessage",
                "Write a message",
                "note",
                self._post,
                {
                    201: Content("It is on disk.", ref("Sent")),
                    200: Content("It was there before.", ref("Sent")),
                },
                more=_POSTED,
                body={
                    "text": Text(
                        f"Up to {MESSAGE_BYTES_MAX} bytes of UTF-8, not only space.",
                        pattern=r"[\s\S]*[^\s\x1c-\x1f\x85][\s\S]*",
                        chars_max=MESSAGE_BYTES_MAX,
                        needed=True,
                    ),
                    "id": Text(
                        "A UUID of your choice.",
                        pattern="[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
                        format="uuid",
                    ),
                    "note": Flag("For people only; the agent never sees it."),
                    "prompt": Flag(
                        "Whether it asks the agent for a turn; a note never does.",
                        default=True,
                    ),
                    "reply_to": Text(
                        "Id of the message it answers.", pattern="[A-Za-z0-9_-]{1,128}"
                    ),
                    "steer": Text(
                        "Whether it waits for its turn, or stops the running one and "
                        "is next; only a prompt may.",
                        choices=("follow-up", "interrupt"),
                        default="follow-up",
                    ),
                    **_WHO,
                },
                body_bytes_max=MESSAGE_BODY_BYTES_MAX,
                errors=(409, 413),
            ),
            Operation(
                "POST",
                f"{_SESSION}/approvals/{{approval}}/vote",
                "vote",
                "Answer a permission question",
                "approve",
                self._vote,
                {200: Content("The question with your vote.", ref("Approval"))},
                more="The first valid vote decides, at the runner; wait for the event "
                "`approval.resolved`.",
                body={
                    "allow": Flag(
                        "Yes or no: the once-only option of that kind.",
                        default=None,
                        needed=True,
                    ),
                    "option": Text(
                        "The id of another option, to be taken instead.",
                        chars_max=_OPTION_CHARS_MAX,
                    ),
                    "why": Text(
                        "Told to everybody as a note.", chars_max=_WHY_CHARS_MAX
                    ),
                    **_WHO,
                },
                errors=(409, 413),
            ),
            Operation(
                "POST",
                f"{_SESSION}/turns/{{turn}}/cancel",
                "cancelTurn",
                "Ask the runner of a turn to stop it",
                "write",
                self._cancel,
                {202: Content("It was asked.", ref("Cancelled"))},
                more="It stops no other turn than this one; wait for `turn.ended`.",
                body=_WHO,
                errors=(409, 413),
            ),
        ]

    @asynccontextmanager
    async def _acting(self, call: Call) -> AsyncGenerator[Session]:
        """The session as the caller writes to it."""
        body = call.body
        said = body.text("participant"), body.text("name")
        who = call.caller.writer(*said, self._clock)
        async with self._desks.at(call.session) as desk:
            with desk.while_open() as session:
                if session.read_only:
                    raise Refusal(409, f"the session is read-only: {session.read_only}")
                # What the writer may have seen elsewhere comes before.
                await session.replica.catch_up()
                yield session.acting_as(who)

    async def _post(self, call: Call) -> Response:
        body = call.body
        if not (call.caller.writes or body.flag("note")):
            raise AccessDenied("viewers write notes here, and nothing else")
        message, text = body.text("id"), body.text("text")
        async with self._acting(call) as session:
            known = session.view.message(message) if message else None
            if known and (known.author, known.text) != (session.me.id, text):
                hint = "Choose another one."
                raise Refusal(409, "another message has that id", hint=hint)
            sent = await session.send(
                text,
                id=message,
                note=body.flag("note"),
                prompt=body.flag("prompt"),
                reply_to=body.text("reply_to"),
                steer=cast(Steer, body.text("steer")),
            )
        return answer(_sent(sent), 200 if known else 201)

    async def _vote(self, call: Call) -> Response:
        body, key = call.body, call.part("approval")
        option, allow = body.text("option"), body.flag("allow")
        async with self._acting(call) as session:
            question = session.view.approvals.get(key)
            if question is None:
                raise Refusal(404, "there is no such question")
            if option and all(o.id != option for o in question.options):
                raise Refusal(404, "the question has no such option")
            if not option and question.option(allow=allow) is None:
                raise Refusal(409, "the question has no such answer")
            await session.vote(key, allow=allow, option=option, why=body.text("why"))
            return answer(cast(JsonObject, to_json(session.view.approvals[key])))

    async def _cancel(self, call: Call) -> Response:
        turn = call.part("turn")
        async with self._acting(call) as session:
            if turn not in session.view.turns:
                raise Refusal(404, "there is no such turn")
            running = session.view.running
            if running is None or running.id != turn:
                raise Refusal(409, "that turn is not running")
            await session.cancel(turn)
        return answer({"turn": turn}, 202)


def _sent(sent: Sent) -> JsonObject:
    return {
        "id": sent.id,
        "seq": sent.seq,
        "position": sent.position,
        "busy": sent.busy,
    }
