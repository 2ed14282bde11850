"""A model that answers by a script, behind the OpenAI chat API on loopback; no model.

It streams. What it says depends on the last line of the prompt alone:

    run COMMAND       asks for the tool bash
    write FILE        asks for the tool write
    slow              says a word every 50 ms until it is cut off
    anything else     says it back
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLOW_WORDS_MAX = 1200
BODY_BYTES_MAX = 8 * 1024 * 1024


@dataclass(slots=True)
class Model:
    """The server as its tests see it.

    Attributes:
        url: For the provider's settings.
        folder: Where files that it writes go.
        requests: Every request body, as it came.
        cut_off: Set when somebody left in the middle of an answer.
    """

    url: str
    folder: Path
    requests: list[dict[str, Any]] = field(default_factory=list)
    cut_off: threading.Event = field(default_factory=threading.Event)


@contextmanager
def model_server(folder: Path) -> Iterator[Model]:
    """Serve on a free port of loopback while the block is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    host, port = server.server_address[:2]
    model = Model(f"http://{host!s}:{port}/v1", folder)
    server.model = model  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""

    def do_GET(self) -> None:
        self._whole({"object": "list", "data": [{"id": "test", "object": "model"}]})

    def do_POST(self) -> None:
        model: Model = self.server.model  # type: ignore[attr-defined]
        length = min(int(self.headers.get("content-length", 0)), BODY_BYTES_MAX)
        asked = json.loads(self.rfile.read(length))
        model.requests.append(asked)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for delta, stop in _answer(asked, model.folder):
                self._chunk(delta, stop)
            self._chunk({}, None, usage=True)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            model.cut_off.set()

    def _chunk(self, delta: dict[str, Any], stop: str | None, *, usage: bool = False):  # type: ignore[no-untyped-def]
        choice = {"index": 0, "delta": delta, "finish_reason": stop}
        body: dict[str, Any] = {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "test",
            "choices": [] if usage else [choice],
        }
        if usage:
            counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
            body["usage"] = counts
        self.wfile.write(b"data: " + json.dumps(body).encode() + b"\n\n")
        self.wfile.flush()

    def _whole(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        with suppress(OSError):
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def _answer(
    asked: dict[str, Any], folder: Path
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one answer, the last one with the reason to stop."""
    last = asked["messages"][-1]
    line = _text(last).strip().splitlines()[-1:] or [""]
    verb, _, rest = line[0].partition(" ")
    if not asked.get("tools"):
        yield from _say("A title")
    elif last["role"] == "tool":
        yield from _say(f"The tool said: {_text(last).strip()[:60]}")
    elif verb == "run":
        yield from _use("bash", {"command": rest, "description": f"Runs {rest}"})
    elif verb == "write":
        path = str(folder / rest)
        yield from _use("write", {"filePath": path, "content": "written\n"})
    elif verb == "slow":
        for number in range(SLOW_WORDS_MAX):
            yield {"content": f"{number} "}, None
            time.sleep(0.05)
        yield {}, "stop"
    else:
        yield from _say(f"You said: {line[0]}")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def _say(text: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    yield {"role": "assistant", "content": ""}, None
    for word in text.split(" "):
        yield {"content": f"{word} "}, None
    yield {}, "stop"


def _use(
    tool: str, arguments: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], str | None]]:
    call = {
        "index": 0,
        "id": f"call_{time.monotonic_ns()}",
        "type": "function",
        "function": {"name": tool, "arguments": json.dumps(arguments)},
    }
    yield {"role": "assistant", "content": None, "tool_calls": [call]}, None
    yield {}, "tool_calls"
