"""An ACP agent that misbehaves as its script says; standard library only.

Usage: scripted_agent.py SCRIPT, where SCRIPT is JSON: per method a list of steps, and
for "session/prompt" one such list per turn (the last one is repeated).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
kept: list[dict[str, Any]] = []
DEFAULTS: dict[str, list[dict[str, Any]]] = {
    "initialize": [{"respond": {"protocolVersion": 1, "agentCapabilities": {}}}],
    "session/new": [{"respond": {"sessionId": "s1"}}],
    "session/set_mode": [{"respond": {}}],
    "session/cancel": [],
}


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def update(session: str = "s1", **body: Any) -> None:
    send(method="session/update", params={"sessionId": session, "update": body})


def say(text: str) -> None:
    content = {"type": "text", "text": text}
    update(sessionUpdate="agent_message_chunk", content=content)


def read() -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put(None)


def wait_for(key: str, value: object) -> dict[str, Any]:
    """Next message of a kind; the end of input ends the process, unless ignored."""
    while True:
        for message in kept:
            if message.get(key) == value:
                kept.remove(message)
                return message
        arrived = inbox.get()
        if arrived is None:
            sys.exit(0)
        kept.append(arrived)


def ask(told: Any) -> None:
    send(id="ask", method="session/request_permission", params=told)
    say(json.dumps(wait_for("id", "ask")["result"]["outcome"]))


def ask_and_go_on(told: Any) -> None:
    params = {"sessionId": "s1", **told}
    send(id="ask", method="session/request_permission", params=params)


def call(told: Any) -> None:
    send(id="call", method=told, params={})
    say(str(wait_for("id", "call")["error"]["code"]))


def count(told: Any) -> None:
    for number in range(told):
        say(f"{number} ")


def stderr(told: Any) -> None:
    sys.stderr.write(told["text"] * told.get("times", 1))
    sys.stderr.flush()


def raw(told: Any) -> None:
    sys.stdout.write(told)
    sys.stdout.flush()


def commands(told: Any) -> None:
    """A list of so many slash commands, of 1,200 bytes each."""
    hint = {"hint": "h" * 300}
    command = {"name": "deploy", "description": "d" * 820, "input": hint}
    listed = [command] * told
    update(sessionUpdate="available_commands_update", availableCommands=listed)


def grandchild(_: Any) -> None:
    """A process of the same group that ignores SIGTERM; says its id."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code += "; print('up', flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    say(str(child.pid))


VERBS: dict[str, Callable[[Any], object]] = {
    "ask": ask,
    "ask_and_go_on": ask_and_go_on,
    "call": call,
    "close_stdout": lambda _: os.close(1),
    "commands": commands,
    "count": count,
    "environment": lambda _: say(json.dumps(dict(os.environ))),
    "exit": os._exit,
    "grandchild": grandchild,
    "hang": lambda _: threading.Event().wait(),
    "ignore_signals": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "long_line": lambda told: raw("x" * told),
    "raw": raw,
    "say": say,
    "stderr": stderr,
    "turn_file": lambda _: say(Path(os.environ["CRDTSYNC_TURN_FILE"]).read_text()),
    "update": lambda told: update(**told),
    "update_of": lambda told: update(told["session"], **told["update"]),
    "wait_for_cancel": lambda _: wait_for("method", "session/cancel"),
}


def perform(step: dict[str, Any], request: dict[str, Any]) -> None:
    [(verb, told)] = step.items()
    match verb:
        case "respond":
            send(id=request["id"], result=told)
        case "error":
            send(id=request["id"], error=told)
        case "repeat":
            text = request["params"]["prompt"][0]["text"]
            content = {"type": "text", "text": text}
            kind = "agent_message_chunk"
            session = request["params"]["sessionId"]
            update(session, sessionUpdate=kind, content=content)
        case "echo":
            say(json.dumps(request["params"]))
        case _:
            VERBS[verb](told)


def main() -> None:
    script = {**DEFAULTS, **json.loads(sys.argv[1])}
    turns = list(script.get("session/prompt", []))
    threading.Thread(target=read, daemon=True).start()
    while (message := inbox.get()) is not None:
        method = message.get("method", "")
        steps = script.get(method, [])
        if method == "session/prompt":
            steps = turns.pop(0) if len(turns) > 1 else turns[0]
        for step in steps:
            perform(step, message)


main()
