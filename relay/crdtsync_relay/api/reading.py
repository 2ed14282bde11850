"""Routes that read a session: itself, messages, queue, participants, questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from starlette.responses import Response

from crdtsync.entities import Message, Participant
from crdtsync.events import to_json
from crdtsync.presence import Person
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.session import Session
from crdtsync.turns.claim import TurnRecord
from crdtsync.view import SessionView
from crdtsync_relay.api.answers import Refusal, answer
from crdtsync_relay.api.bounds import PAGE, PAGE_BYTES_MAX, PAGE_MAX
from crdtsync_relay.api.desks import Desks
from crdtsync_relay.api.fields import Number, Text
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.schemas import ref
from crdtsync_relay.kinds import Kinds

__all__ = ["Reading"]

_SESSION = "/sessions/{session}"
_LIMIT = Number("Entries of a page.", 1, PAGE_MAX, PAGE)


class Reading:
    """The routes that read.

    Args:
        desks: Of the relay.
        kinds: Knows which sessions there are.
    """

    def __init__(self, desks: Desks, kinds: Kinds) -> None:
        self._desks = desks
        self._kinds = kinds

    def operations(self) -> list[Operation]:
        """What to mount."""
        return [
            Operation(
                "GET",
                "/sessions",
                "listSessions",
                "List the sessions that the token covers",
                "token",
                self._sessions,
                {200: Content("A page of them.", ref("Sessions"))},
                more="An operator's token, which names no session, covers all of the "
                "relay.",
                query={
                    "limit": _LIMIT,
                    "cursor": Text("`next` of the page before.", pattern=_CURSOR),
                },
            ),
            Operation(
                "GET",
                _SESSION,
                "getSession",
                "Look at a session",
                "read",
                self._session,
                {200: Content("How it is now.", ref("Session"))},
            ),
            Operation(
                "GET",
                f"{_SESSION}/messages",
                "listMessages",
                "Read the history, page by page",
                "read",
                self._messages,
                {200: Content("A page.", ref("Messages"))},
                more=_PAGING,
                query={
                    "limit": _LIMIT,
                    "order": Text(
                        "From which end.",
                        choices=("newest", "oldest"),
                        default="newest",
                    ),
                    "cursor": Text("A message's id.", pattern=_CURSOR),
                },
            ),
            Operation(
                "GET",
                f"{_SESSION}/messages/{{message}}",
                "getMessage",
                "Read one message",
                "read",
                self._message,
                {200: Content("It.", ref("Message"))},
            ),
            Operation(
                "GET",
                f"{_SESSION}/queue",
                "getQueue",
                "Look at the prompts that wait",
                "read",
                self._queue,
                {200: Content("They, first to run first.", ref("Queue"))},
            ),
            Operation(
                "GET",
                f"{_SESSION}/participants",
                "listParticipants",
                "List who takes part, and who is here",
                "read",
                self._participants,
                {200: Content("They, by name.", ref("Participants"))},
            ),
            Operation(
                "GET",
                f"{_SESSION}/approvals",
                "listApprovals",
                "List the agent's permission questions",
                "read",
                self._approvals,
                {200: Content("They.", ref("Approvals"))},
                query={
                    "state": Text(
                        "Those that wait for an answer, or the last ones of all.",
                        choices=("open", "all"),
                        default="open",
                    ),
                    "limit": _LIMIT,
                },
            ),
        ]

    @asynccontextmanager
    async def _open(self, call: Call) -> AsyncGenerator[Session]:
        async with self._desks.at(call.session) as desk:
            with desk.while_open() as session:
                # Whatever the relay has acknowledged to anybody is in the answer.
                await session.replica.catch_up()
                yield session

    async def _sessions(self, call: Call) -> Response:
        limit, cursor = call.query.number("limit"), call.query.text("cursor")
        grant = call.caller.grant
        if grant is not None and grant.session:
            there = self._kinds.is_session(grant.session) is True
            found = [grant.session] if there and grant.session > cursor else []
        else:
            found = self._kinds.sessions(cursor, limit + 1)
        shown: list[JsonValue] = [{"id": session} for session in found[:limit]]
        more = found[limit - 1] if len(found) > limit else None
        return answer({"sessions": shown, "next": more})

    async def _session(self, call: Call) -> Response:
        async with self._open(call) as session:
            view, meta = session.view, session.view.meta
            reader = "" if call.caller.writes else "viewers cannot change the session"
            running = view.running
            return answer(
                {
                    "id": session.id,
                    "title": meta.title,
                    "created_at": meta.created_at,
                    "created_by": meta.created_by,
                    "messages": view.message_count,
                    "here": len(session.presence),
                    "busy": running is not None,
                    "turn": _turn(running) if running else None,
                    "queue": len(view.pending),
                    "approvals": len(view.open_approvals()),
                    "read_only": session.read_only or reader,
                    "seq": session.head,
                }
            )

    async def _messages(self, call: Call) -> Response:
        limit, cursor = call.query.number("limit"), call.query.text("cursor")
        newest = call.query.text("order") == "newest"
        async with self._open(call) as session:
            page, more = _page(session.view, cursor, limit, newest=newest)
            shown: list[JsonValue] = [_shown(session.view, one) for one in page]
            last = page[-1].id if more else None
            return answer({"messages": shown, "next": last, "seq": session.head})

    async def _message(self, call: Call) -> Response:
        async with self._open(call) as session:
            found = session.view.message(call.part("message"))
            if found is None:
                raise Refusal(404, "there is no such message")
            return answer(_shown(session.view, found))

    async def _queue(self, call: Call) -> Response:
        async with self._open(call) as session:
            view = session.view
            return answer(
                {
                    "pending": to_json(view.pending),
                    "busy": view.running is not None,
                    "seq": session.head,
                }
            )

    async def _participants(self, call: Call) -> Response:
        async with self._open(call) as session:
            here = {person.participant: person for person in session.presence}
            known = dict(session.view.participants)
            for key, person in here.items():
                known.setdefault(key, Participant(key, person.name, person.kind))
            people = sorted(
                known.values(), key=lambda one: (one.name.casefold(), one.id)
            )
            listed: list[JsonValue] = [_person(one, here.get(one.id)) for one in people]
            return answer({"participants": listed})

    async def _approvals(self, call: Call) -> Response:
        async with self._open(call) as session:
            view = session.view
            if call.query.text("state") == "open":
                found = view.open_approvals()
            else:
                found = sorted(view.approvals.values(), key=lambda a: (a.number, a.id))
            last = found[-call.query.number("limit") :]
            return answer({"approvals": [to_json(approval) for approval in last]})


_CURSOR = ".{1,128}"
_PAGING = """A page ends after `limit` messages, or earlier if they are long. Go on with
`cursor` set to the `next` of the answer. A cursor is the id of the last message of a
page, so that a page is the same whatever arrives meanwhile; with `order=oldest` the id
of the last message is also the cursor by which to ask later for what has come since."""


def _page(
    view: SessionView, cursor: str, limit: int, *, newest: bool
) -> tuple[list[Message], bool]:
    """Read a page; returns whether there is more."""
    at: int | None = view.message_count if newest else -1
    if cursor:
        at = view.position(cursor)
        if at is None:
            raise Refusal(404, "the cursor is no message of this session")
    begin = cast(int, at)
    rest = range(begin - 1, -1, -1) if newest else range(begin + 1, view.message_count)
    page: list[Message] = []
    size = 0
    for index in rest:
        message = view.messages[index]
        if view.position(message.id) != index or not message.id:
            # The same id twice, from two who were apart: it is shown once.
            continue
        if len(page) == limit or size > PAGE_BYTES_MAX:
            return page, True
        page.append(message)
        size += len(view.text(message.id))
    return page, False


def _shown(view: SessionView, message: Message) -> JsonObject:
    """A message as in the events, with the text of an answer in it."""
    found = message.to_json()
    if message.streamed:
        found["text"] = view.text(message.id)
    return found


def _turn(record: TurnRecord) -> JsonObject:
    claim = record.claim
    return {
        "id": record.id,
        "agent": claim.agent if claim else "",
        "runner": claim.runner if claim else "",
        "prompts": [*claim.prompts] if claim else [],
        "started_at": record.started_at or "",
    }


def _by_name(one: Participant) -> tuple[str, str]:
    return one.name.casefold(), one.id


def _person(one: Participant, here: Person | None) -> JsonObject:
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "joined_at": one.joined_at,
        "slot": max(0, one.slot),
        "windows": len(here.windows) if here else 0,
        "status": here.status if here else "gone",
        "typing": bool(here and here.typing),
    }
