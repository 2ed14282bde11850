"""JSON-RPC with an ACP agent through its SDK, as plain JSON; knows no turn.

The one module that imports the SDK, which takes about a second: import it late, and
not on the event loop. The SDK's `Connection` correlates requests; pipes, framing and
reading of updates are ours, because what agents send does not always validate.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Protocol

from acp.connection import Connection
from acp.exceptions import RequestError

from crdtsync.errors import OperationFailed
from crdtsync.schema import JsonObject

from .bounds import clip_text, read_object
from .process import Child
from .spec import AgentLimits

__all__ = ["Peer", "Rpc"]

AUTH_REQUIRED = -32000
"""The protocol's error code of an agent without credentials."""
ERROR_CHARS_MAX = 2000
"""How much of an agent's error goes to people."""


class Peer(Protocol):
    """What an agent may ask of this side."""

    def on_update(self, params: JsonObject) -> None:
        """Take a `session/update`; must not raise."""
        ...

    async def on_permission(self, params: JsonObject) -> JsonObject:
        """Answer a `session/request_permission`."""
        ...

    async def room(self) -> None:
        """Return when more messages may come."""
        ...


class Rpc:
    """Requests to one agent process, and what it sends by itself.

    Args:
        child: The process.
        peer: Who takes updates and permission requests.
        limits: Bound of one message.
        login: What to do about missing credentials, for people.
    """

    def __init__(
        self,
        child: Child,
        peer: Peer,
        *,
        limits: AgentLimits,
        login: str = "",
    ):
        self._child = child
        self._peer = peer
        self._login = login
        pipe = _Pipe(child, peer, limits.line_bytes_max)
        self._connection = Connection(self._handle, pipe)

    async def call(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request, and wait for its result.

        Raises:
            OperationFailed: The agent refused, or is gone.
        """
        try:
            return read_object(await self._connection.send_request(method, params))
        except RequestError as error:
            hint = self._login if error.code == AUTH_REQUIRED else ""
            raise OperationFailed(_explain(error), hint=hint) from error
        except (ConnectionError, OperationFailed) as error:
            raise OperationFailed(await self._child.describe_end()) from error

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification.

        Raises:
            OperationFailed: The agent is gone.
        """
        try:
            await self._connection.send_notification(method, params)
        except ConnectionError as error:
            raise OperationFailed(await self._child.describe_end()) from error

    async def close(self) -> None:
        """Stop the SDK's tasks."""
        await self._connection.close()

    async def _handle(self, method: str, params: Any, is_notification: bool) -> Any:
        """Called by the SDK, in a task per message; tasks start in order."""
        match method:
            case "session/update":
                self._peer.on_update(read_object(params))
                return None
            case "session/request_permission" if not is_notification:
                return await self._peer.on_permission(read_object(params))
        if is_notification:
            return None
        raise RequestError.method_not_found(method)


class _Pipe:
    """The SDK's transport over the pipes of a child; garbage never reaches the SDK."""

    def __init__(self, child: Child, peer: Peer, line_bytes_max: int):
        self._child = child
        self._peer = peer
        self._line_bytes_max = line_bytes_max
        self._lines: deque[bytes] = deque()
        self._begun = bytearray()

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message; answers to an agent that is gone are dropped."""
        try:
            await self._child.send(json.dumps(message).encode() + b"\n")
        except OperationFailed:
            if "method" in message:
                raise

    async def receive(self) -> dict[str, Any] | None:
        """Next message that is one; None when there will be no more."""
        await self._peer.room()
        while (line := await self._line()) is not None:
            message = _parse(line)
            if message is not None:
                return message
            if line.strip():
                self._child.note(line[:ERROR_CHARS_MAX])
        return None

    async def close(self) -> None:
        """Nothing: the process belongs to the agent."""

    async def _line(self) -> bytes | None:
        while not self._lines:
            data = await self._child.receive()
            if not data:
                return None
            *ended, begun = data.split(b"\n")
            if ended:
                ended[0] = bytes(self._begun) + ended[0]
                self._begun.clear()
                self._lines.extend(ended)
            self._begun += begun
            if len(self._begun) > self._line_bytes_max:
                self._child.note(b"a message on stdout is too long to be read")
                await self._child.end(politely=False)
                return None
        return self._lines.popleft()


def _parse(line: bytes) -> dict[str, Any] | None:
    """A message the SDK can take, or None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    named = isinstance(message.get("method"), str)
    known = isinstance(message.get("id"), int | str)
    return message if (named and (known or "id" not in message)) or known else None


def _explain(error: RequestError) -> str:
    """An agent's refusal in words; the useful part is often in its data."""
    text = str(error)
    data: object = error.data
    if isinstance(data, dict):
        # Whatever else there is, such as ways to log in, is for programs.
        data = next((data[key] for key in ("details", "message") if key in data), "")
    if data:
        text = f"{text}: {data}"
    return clip_text(text, ERROR_CHARS_MAX)
