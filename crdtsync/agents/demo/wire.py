"""JSON-RPC lines on two byte streams, for the demo agent; knows no method."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import BinaryIO

from crdtsync.schema import JsonObject

__all__ = ["Wire"]


class Wire:
    """The agent's end; a turn's thread and the reading thread share it."""

    def __init__(self, source: BinaryIO, sink: BinaryIO):
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()
        self._answers: queue.SimpleQueue[JsonObject] = queue.SimpleQueue()
        self._asked = 0

    def messages(self) -> Iterator[JsonObject]:
        """Requests and notifications until the end of input; answers are kept aside."""
        for line in self._source:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if not isinstance(message, dict):
                continue
            if "method" in message:
                yield message
            else:
                self._answers.put(message)

    def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def respond(self, request: JsonObject, result: JsonObject) -> None:
        """Answer a request."""
        self._send({"id": request.get("id"), "result": result})

    def refuse(self, request: JsonObject, code: int, reason: str) -> None:
        """Refuse a request; a notification is let pass."""
        if "id" in request:
            error: JsonObject = {"code": code, "message": reason}
            self._send({"id": request["id"], "error": error})

    def ask(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request, and wait for its answer; {} if it is interrupted."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        while True:
            answer = self._answers.get()
            if not answer:
                return {}
            if answer.get("id") == self._asked:
                result = answer.get("result")
                return result if isinstance(result, dict) else {}

    def interrupt(self) -> None:
        """Let a waiting `ask` return."""
        self._answers.put({})

    def _send(self, message: JsonObject) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        with self._lock:
            self._sink.write(line)
            self._sink.flush()
