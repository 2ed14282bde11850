"""The demo agent's process: ACP on stdio, one turn at a time; knows no answers."""

from __future__ import annotations

import os
import sys
import threading

from crdtsync.agents.bounds import read_object
from crdtsync.agents.context import without_context
from crdtsync.schema import JsonObject

from .answers import answer
from .folder import Folder
from .performance import Cancelled, Performance
from .wire import Wire

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
TOKENS_PER_S = 40.0
"""A pace that people can read along; CRDTSYNC_DEMO_PACE sets another, 0 for none."""


def main() -> None:
    """Serve until stdin ends."""
    agent = DemoAgent(Wire(sys.stdin.buffer, sys.stdout.buffer), _pace())
    for message in agent.wire.messages():
        agent.take(message)
    agent.cancel()


class DemoAgent:
    """Sessions of one process; each knows only its folder."""

    def __init__(self, wire: Wire, pause_s: float):
        self.wire = wire
        self._pause_s = pause_s
        self._folders: dict[str, Folder] = {}
        self._running: Performance | None = None

    def take(self, message: JsonObject) -> None:
        """Handle one request or notification."""
        params = read_object(message.get("params"))
        match message.get("method"):
            case "initialize":
                self.wire.respond(message, _introduction())
            case "session/new":
                session = f"demo-{len(self._folders) + 1}"
                self._folders[session] = Folder(str(params.get("cwd")))
                self.wire.respond(message, {"sessionId": session})
            case "session/prompt":
                self._prompt(message, params)
            case "session/cancel":
                self.cancel()
            case _:
                self.wire.refuse(message, METHOD_NOT_FOUND, "unknown method")

    def cancel(self) -> None:
        """Stop the running turn, if any."""
        if self._running is not None:
            self._running.cancel()

    def _prompt(self, message: JsonObject, params: JsonObject) -> None:
        session = str(params.get("sessionId"))
        folder = self._folders.get(session)
        if folder is None or self._running is not None:
            problem = "a turn is running" if folder else "unknown session"
            self.wire.refuse(message, INVALID_PARAMS, problem)
            return
        self._running = Performance(self.wire, session, self._pause_s)
        threading.Thread(
            target=self._perform,
            args=(message, self._running, folder, _text(params)),
            daemon=True,
        ).start()

    def _perform(
        self, message: JsonObject, stage: Performance, folder: Folder, text: str
    ) -> None:
        stop = "end_turn"
        try:
            answer(without_context(text), folder, stage)
        except Cancelled:
            stop = "cancelled"
        self._running = None
        self.wire.respond(message, {"stopReason": stop, "usage": stage.usage(text)})


def _introduction() -> JsonObject:
    return {
        "protocolVersion": 1,
        "agentCapabilities": {"loadSession": False},
        "agentInfo": {"name": "demo", "title": "Demo agent", "version": "1"},
    }


def _text(params: JsonObject) -> str:
    blocks = params.get("prompt")
    listed = blocks if isinstance(blocks, list) else []
    return "\n".join(str(read_object(block).get("text", "")) for block in listed)


def _pace() -> float:
    """Seconds between two tokens."""
    try:
        tokens_per_s = float(os.environ.get("CRDTSYNC_DEMO_PACE", TOKENS_PER_S))
    except ValueError:
        tokens_per_s = TOKENS_PER_S
    return 1 / tokens_per_s if tokens_per_s > 0 else 0.0


if __name__ == "__main__":
    main()
