"""What the demo agent can do during a turn: speak, think, plan, use tools, ask."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from crdtsync.agents.bounds import read_object
from crdtsync.schema import JsonObject, JsonValue

from .wire import Wire

__all__ = ["Cancelled", "Performance", "ToolUse"]

TOOL_TOKENS = 12
"""A tool takes as long as so many tokens, so that people see it run."""
CHARS_PER_TOKEN = 4
"""For a plausible usage; there is no tokenizer."""
CONTEXT_TOKENS = 32_768
"""The context window it claims to have."""


class Cancelled(Exception):
    """The turn shall end now."""


@dataclass(slots=True)
class ToolUse:
    """A running tool call.

    Attributes:
        id: Of the call, for a permission request.
        output: To be set before the block ends; what the tool found, as text.
        content: Shown instead of `output`, if set.
        failed: Set it if the tool did not do what it was asked.
    """

    id: str
    output: str = ""
    content: tuple[JsonValue, ...] = ()
    failed: bool = False


class Performance:
    """One turn's stage; every method raises `Cancelled` when the turn shall end."""

    def __init__(self, wire: Wire, session: str, pause_s: float):
        self._wire = wire
        self._session = session
        self._pause_s = pause_s
        self._cancelled = threading.Event()
        self._calls = 0
        self._chars = 0

    def cancel(self) -> None:
        """End the turn at its next step; called from another thread."""
        self._cancelled.set()
        self._wire.interrupt()

    def say(self, text: str) -> None:
        """Stream markdown, word by word."""
        self._stream("agent_message_chunk", text)

    def think(self, text: str) -> None:
        """Stream a thought."""
        self._stream("agent_thought_chunk", text)

    def plan(self, steps: Sequence[str], done: int) -> None:
        """Show a plan of which so many steps are done."""
        self._check()
        entries: list[JsonValue] = [
            {"content": step, "priority": "medium", "status": _status(number, done)}
            for number, step in enumerate(steps)
        ]
        self._update({"sessionUpdate": "plan", "entries": entries})

    @contextmanager
    def tool(
        self, kind: str, title: str, told: JsonObject, path: PurePosixPath
    ) -> Iterator[ToolUse]:
        """Use a tool: pending, in progress, and completed or failed at the end."""
        self._check()
        self._calls += 1
        use = ToolUse(f"call-{self._calls}")
        locations: list[JsonValue] = [{"path": str(path)}]
        self._update(
            {
                "sessionUpdate": "tool_call",
                "toolCallId": use.id,
                "title": title,
                "kind": kind,
                "status": "pending",
                "rawInput": told,
                "locations": locations,
            }
        )
        self._pause(1)
        self._update_tool(use, "in_progress")
        try:
            self._pause(TOOL_TOKENS)
            yield use
        except BaseException:
            self._update_tool(use, "failed")
            raise
        self._finish_tool(use)

    def may(self, use: ToolUse, question: JsonObject) -> bool:
        """Ask people whether a tool may go on."""
        self._check()
        options: list[JsonValue] = [
            {"optionId": "write", "name": "Write it", "kind": "allow_once"},
            {"optionId": "leave", "name": "Leave it", "kind": "reject_once"},
        ]
        call: JsonObject = {"toolCallId": use.id, **question}
        answer = self._wire.ask(
            "session/request_permission",
            {"sessionId": self._session, "toolCall": call, "options": options},
        )
        self._check()
        return read_object(answer.get("outcome")).get("optionId") == "write"

    def usage(self, prompt: str) -> JsonObject:
        """Tokens of the turn so far."""
        read, written = len(prompt) // CHARS_PER_TOKEN, self._chars // CHARS_PER_TOKEN
        return {
            "inputTokens": read,
            "outputTokens": written,
            "totalTokens": read + written,
        }

    def _stream(self, kind: str, text: str) -> None:
        for token in re.findall(r"\s*\S+|\s+$", text):
            self._check()
            content: JsonObject = {"type": "text", "text": token}
            self._update({"sessionUpdate": kind, "content": content})
            self._chars += len(token)
            self._pause(1)

    def _finish_tool(self, use: ToolUse) -> None:
        text: JsonObject = {"type": "text", "text": use.output}
        content: list[JsonValue] = [{"type": "content", "content": text}]
        self._update(
            {
                "sessionUpdate": "tool_call_update",
                "toolCallId": use.id,
                "status": "failed" if use.failed else "completed",
                "content": list(use.content) or content,
                "rawOutput": {"text": use.output},
            }
        )
        self._chars += len(use.output)
        used = self._chars // CHARS_PER_TOKEN
        usage: JsonObject = {"used": used, "size": CONTEXT_TOKENS}
        self._update({"sessionUpdate": "usage_update", **usage})

    def _update_tool(self, use: ToolUse, status: str) -> None:
        update: JsonObject = {"toolCallId": use.id, "status": status}
        self._update({"sessionUpdate": "tool_call_update", **update})

    def _update(self, update: JsonObject) -> None:
        params: JsonObject = {"sessionId": self._session, "update": update}
        self._wire.notify("session/update", params)

    def _pause(self, tokens: int) -> None:
        if self._pause_s:
            self._cancelled.wait(self._pause_s * tokens)
        self._check()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled


def _status(number: int, done: int) -> str:
    if number < done:
        return "completed"
    return "in_progress" if number == done else "pending"
