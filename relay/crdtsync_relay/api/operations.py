"""Operations of the HTTP API: one declaration for the route and for its documentation.

What a request says is checked by what is documented, so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from crdtsync.errors import CrdtSyncError, ProtocolError
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.sync.bodies import json_from_text
from crdtsync_relay.api.answers import Refusal, answer_error, error_answer
from crdtsync_relay.api.callers import Caller, Callers, Right
from crdtsync_relay.api.fields import Fields, Text, Values, read_fields
from crdtsync_relay.limits import BODY_BYTES_MAX

__all__ = [
    "PATH",
    "Call",
    "Content",
    "Operation",
    "http_error",
    "mount",
    "unexpected_error",
]

_ID: Final = "[A-Za-z0-9_-]{1,128}"

PATH: Final[Fields] = {
    "session": Text("The session's id.", pattern=_ID),
    "message": Text("The message's id.", pattern=_ID),
    "approval": Text("The permission question's id.", pattern="[A-Za-z0-9_.-]{1,256}"),
    "turn": Text("The turn's id.", pattern=_ID),
    "invite": Text("The invite's id.", pattern=_ID),
    "token": Text("The token's id, which is no secret.", pattern=_ID),
}
"""Every parameter of a path."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked.

    Attributes:
        session: Of the path; empty if the route is not about one.
        query: What the query says.
        header: What the documented header fields say.
        body: What the body says.
    """

    request: Request
    caller: Caller
    session: str
    query: Values
    header: Values
    body: Values

    def part(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params[name])


Answer: TypeAlias = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Content:
    """What an answer holds.

    Attributes:
        about: When it is given.
        schemas: By media type; empty for no body.
        headers: By name, what they say.
    """

    about: str
    schemas: Mapping[str, JsonObject] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: Of HTTP.
        path: Under `/api/v1`, with parameters in braces.
        name: What programs call it.
        about: One line.
        right: What it asks for.
        answer: Does it.
        contents: What it answers with, by status.
        more: Further paragraphs, in Markdown.
        query: What its query may say.
        headers: What its header fields may say.
        body: What its body may say; None for no body.
        body_bytes_max: Of the body.
        errors: Statuses of errors besides those that every operation may have.
    """

    method: str
    path: str
    name: str
    about: str
    right: Right
    answer: Answer
    contents: Mapping[int, Content]
    more: str = ""
    query: Fields = field(default_factory=dict)
    headers: Fields = field(default_factory=dict)
    body: Fields | None = None
    body_bytes_max: int = BODY_BYTES_MAX
    errors: tuple[int, ...] = ()


def mount(operations: Sequence[Operation], callers: Callers) -> list[Route]:
    """Make one route for each path."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation
    return [Route(path, _Endpoint(of, callers)) for path, of in paths.items()]


class _Endpoint:
    """One path as an ASGI application."""

    def __init__(self, operations: Mapping[str, Operation], callers: Callers) -> None:
        self._operations = operations
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, sending)
        except CrdtSyncError as error:
            # What has begun can only be broken off.
            if not begun:
                await answer_error(error)(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(sorted(self._operations))
            raise HTTPException(405, headers={"Allow": allowed})
        caller = Caller("", None)
        session = str(request.path_params.get("session", ""))
        if operation.right != "anybody":
            caller = self._callers.find(request)
            self._callers.spend(caller, 0)
        if session:
            self._callers.check(caller, session, operation.right)
        query = _read_query(request, operation)
        header = _read_headers(request, operation)
        body = await self._read_body(request, operation, caller)
        call = Call(request, caller, session, query, header, body)
        response = await operation.answer(call)
        if caller.key:
            self._callers.charge(caller, len(response.body))
        return response

    async def _read_body(
        self, request: Request, operation: Operation, caller: Caller
    ) -> Values:
        if operation.body is None:
            return Values({})
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > operation.body_bytes_max:
                most = f"at most {operation.body_bytes_max} bytes are taken"
                raise Refusal(413, "the body is too large", hint=most)
        if caller.key:
            self._callers.spend(caller, len(data))
        try:
            found = json_from_text(data.decode() or "{}", operation.body_bytes_max)
        except (UnicodeDecodeError, ProtocolError) as error:
            raise Refusal(400, "the body is no JSON object, or a deep one") from error
        return read_fields(operation.body, found)


def _read_query(request: Request, operation: Operation) -> Values:
    said: dict[str, JsonValue] = {}
    for name, value in request.query_params.multi_items():
        if name in said:
            raise Refusal(400, f"{name[:64]} is said twice")
        said[name] = value
    return read_fields(operation.query, said, of_query=True)


def _read_headers(request: Request, operation: Operation) -> Values:
    headers = request.headers
    said: dict[str, JsonValue] = {
        name: headers[name] for name in operation.headers if name in headers
    }
    return read_fields(operation.headers, said, of_query=True)


async def http_error(request: Request, error: Exception) -> Response:
    """Answer what no route answers, in the same shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    hint = "See /api/v1/docs."
    return error_answer(error.status_code, error.detail, hint, error.headers)


async def unexpected_error(request: Request, error: Exception) -> Response:
    """Answer in the same shape what nobody thought of; the server logs it."""
    return error_answer(500, "the relay has failed", "Tell who runs it.")
