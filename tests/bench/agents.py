"""What driving an agent costs, and how soon others see what it says.

The agents are real processes: a scripted one that counts, and the demo agent behind a
relay that notes when it has produced its first token. All read the same clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from crdtsync.agents import AgentSpec
from crdtsync.agents.presets import agent_spec
from crdtsync.events import AssistantDelta, SessionEvent, TurnEnded
from crdtsync.host import HostSettings, run_agent
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.agents.stage import END, scripted
from tests.bench.rows import Row

CHUNKS = 20_000
TURNS = 15
STEP_S = 120
CHUNK = b"agent_message_chunk"

_NO_SDK = """
import sys, pathlib, anyio
from crdtsync.agents.presets import agent_spec
from crdtsync.host import run_agent
from crdtsync.session.opening import open_session
async def main():
    async with open_session("x", data=pathlib.Path(sys.argv[1])) as session:
        async with run_agent(session, agent_spec("demo")):
            with session.events() as events:
                await anext(events)
            await session.send("between us", note=True)
            print(sum(name.split(".")[0] == "acp" for name in sys.modules))
anyio.run(main)
"""


def _counting() -> AgentSpec:
    return scripted([{"count": CHUNKS}, END])


@asynccontextmanager
async def _hosted(data: Path, spec: AgentSpec) -> AsyncIterator[Session]:
    async with (
        open_session("bench", data=data, name="ana") as session,
        run_agent(session, spec, HostSettings(cwd=data.parent)),
    ):
        yield session


async def _cpu_of_sdk() -> float:
    """CPU seconds of this process for a turn taken in by the bare SDK."""
    from acp.connection import Connection  # noqa: PLC0415 - slow, and measured apart

    seen, whole = 0, asyncio.Event()

    async def handle(method: str, params: Any, is_notification: bool) -> None:
        nonlocal seen
        del method, is_notification
        seen += len(params["update"]["content"]["text"]) > 0
        if seen == CHUNKS:
            whole.set()

    spec = _counting()
    process = await asyncio.create_subprocess_exec(
        *spec.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("no pipes")
    connection = Connection(handle, process.stdin, process.stdout)
    await connection.send_request("initialize", {"protocolVersion": 1})
    await connection.send_request("session/new", {"cwd": "/", "mcpServers": []})
    before = time.process_time()
    prompt = {"sessionId": "s1", "prompt": [{"type": "text", "text": "go"}]}
    await connection.send_request("session/prompt", prompt)
    await whole.wait()
    spent = time.process_time() - before
    await connection.close()
    process.stdin.close()
    await process.wait()
    return spent


async def _cpu_of_runner(data: Path) -> tuple[float, float]:
    """CPU and wall seconds of a second turn, agent to document, to disk, to events."""
    async with _hosted(data, _counting()) as session:
        await session.wait_turn((await session.send("warm up")).id)
        before, begin = time.process_time(), time.monotonic()
        with anyio.fail_after(STEP_S):
            turn = await session.wait_turn((await session.send("go")).id)
        spent, took = time.process_time() - before, time.monotonic() - begin
        [text] = [
            session.view.text(m.id)
            for m in session.view.messages
            if m.turn == turn.id and m.streamed
        ]
    if text != "".join(f"{number} " for number in range(CHUNKS)):
        raise AssertionError("chunks are missing or out of order")
    return spent, took


def _overhead() -> list[Row]:
    floor = asyncio.run(_cpu_of_sdk())
    with tempfile.TemporaryDirectory() as folder:
        spent, took = anyio.run(_cpu_of_runner, Path(folder) / "data")
    each, least = spent / CHUNKS * 1e6, floor / CHUNKS * 1e6
    limit = "<= 100 us CPU on top of the SDK"
    ratio = each / least
    return [
        Row(
            "runner, per streamed update",
            each,
            "us CPU",
            least,
            ratio,
            limit,
            each - least <= 100,
        ),
        Row("20,000 chunks, in order", took, "s", None, None, "all of them", ok=True),
    ]


def _relay(times: Path) -> None:
    """Pass on what the demo agent says, and note when it begins each answer."""
    spec = agent_spec("demo")
    begun = False
    with (
        subprocess.Popen(spec.argv, stdin=sys.stdin, stdout=subprocess.PIPE) as agent,
        times.open("a", buffering=1) as noted,
    ):
        for line in agent.stdout or ():
            if CHUNK in line and not begun:
                begun = True
                noted.write(f"{time.monotonic()!r}\n")
            begun = begun and b'"stopReason"' not in line
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


async def _watch(data: Path) -> list[float]:
    """The times at which another window sees the first token of each turn."""
    seen: list[float] = []
    async with open_session("bench", data=data, name="bob", create=False) as session:
        with session.events() as events:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            begun, ended = False, 0
            async for event in events:
                now = time.monotonic()
                if isinstance(event.body, AssistantDelta) and not begun:
                    begun = True
                    seen.append(now)
                if _is_end(event):
                    begun, ended = False, ended + 1
                    if ended == TURNS:
                        break
    return seen


def _is_end(event: SessionEvent) -> bool:
    return isinstance(event.body, TurnEnded)


async def _prompt(data: Path, times: Path) -> tuple[list[float], list[float]]:
    """Run the turns; returns when each was sent, and when it was first visible."""
    relay = (sys.executable, "-m", "tests.bench.agents", "relay", str(times))
    root = str(Path(__file__).parents[2])
    spec = AgentSpec("acp", "demo", relay, env_set={"PYTHONPATH": root})
    sent: list[float] = []
    async with _hosted(data, spec) as session:
        command = [sys.executable, "-m", "tests.bench.agents", "watch", str(data)]
        start = partial(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
        with await anyio.to_thread.run_sync(start) as watcher:
            await anyio.to_thread.run_sync(_wait_ready, watcher)
            for _ in range(TURNS):
                sent.append(time.monotonic())
                message = await session.send("help")
                with anyio.fail_after(STEP_S):
                    await session.wait_turn(message.id)
            output, _ = await anyio.to_thread.run_sync(watcher.communicate)
    return sent, json.loads(output)


def _wait_ready(process: subprocess.Popen[str]) -> None:
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise AssertionError("the watcher did not start")


def _first_token() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        sent, seen = anyio.run(_prompt, Path(folder) / "data", times)
        produced = [float(line) for line in times.read_text().split()]
    if not len(sent) == len(seen) == len(produced) == TURNS:
        raise AssertionError(f"{len(produced)} first tokens, {len(seen)} seen")
    delays = sorted(s - p for s, p in zip(seen, produced, strict=True))
    waits = [(s - at) * 1000 for s, at in zip(seen, sent, strict=True)]
    p50 = delays[TURNS // 2] * 1000
    later = sorted(waits[1:])[TURNS // 2]
    return [
        Row(
            "demo's first token -> other process, p50",
            p50,
            "ms",
            None,
            None,
            "<= 60 ms",
            p50 <= 60,
        ),
        Row("send -> first token, first turn", waits[0], "ms", None, None, "", ok=True),
        Row("send -> first token, later turns", later, "ms", None, None, "", ok=True),
    ]


def _start() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _NO_SDK, folder]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = int(told.stdout)
    name = "modules of the SDK loaded without a turn"
    return Row(name, loaded, "", None, None, "0", loaded == 0)


def run() -> list[Row]:
    """Measure all of it."""
    return [*_overhead(), *_first_token(), _start()]


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        os.environ.pop("PYTHONPATH", None)
        _relay(Path(sys.argv[2]))
    else:
        sys.stdout.write(json.dumps(anyio.run(_watch, Path(sys.argv[2]))))
