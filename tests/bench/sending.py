"""From `send` in one process to the event in another: real files and sockets.

Each message carries the sender's clock reading; both processes read the same clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from crdtsync.session.opening import open_session
from tests.bench.rows import Row

MESSAGES = 400
RATE_PER_S = 200


async def _listen(data: Path) -> list[float]:
    """Receive, and tell the delay of each message in seconds."""
    delays: list[float] = []
    async with open_session("bench", data=data, name="bob", create=False) as session:
        with session.events() as events:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            async for event in events:
                if event.type == "message":
                    now = time.monotonic()
                    text = session.view.messages[-1].text
                    delays.append(now - float(text))
                    if len(delays) == MESSAGES:
                        return delays
    raise AssertionError("messages were lost")


async def _send(data: Path, ready: subprocess.Popen[str]) -> None:
    async with open_session("bench", data=data, name="ana") as session:
        await anyio.to_thread.run_sync(_wait_ready, ready)
        begin = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for number in range(MESSAGES):
                due = begin + number / RATE_PER_S
                await anyio.sleep(max(0.0, due - time.monotonic()))
                tasks.start_soon(_send_one, session)


async def _send_one(session) -> None:  # type: ignore[no-untyped-def]
    await session.send(repr(time.monotonic()), note=True)


def _wait_ready(process: subprocess.Popen[str]) -> None:
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise AssertionError("the listener did not start")


async def _make(data: Path) -> None:
    async with open_session("bench", data=data, name="ana"):
        pass


def run() -> list[Row]:
    """Measure p50 and p99 at 200 messages a second."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        anyio.run(_make, data)
        command = [sys.executable, "-m", "tests.bench.sending", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
            anyio.run(_send, data, listener)
            output = listener.communicate(timeout=60)[0]
    delays = sorted(json.loads(output))
    if len(delays) != MESSAGES:
        raise AssertionError(f"{len(delays)} of {MESSAGES} messages arrived")
    p50, p99 = delays[MESSAGES // 2] * 1000, delays[int(MESSAGES * 0.99)] * 1000
    return [
        Row(
            "send -> event, other process, p50",
            p50,
            "ms",
            None,
            None,
            "<= 2 ms",
            p50 <= 2,
        ),
        Row(
            "send -> event, other process, p99",
            p99,
            "ms",
            None,
            None,
            "<= 10 ms",
            p99 <= 10,
        ),
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(anyio.run(_listen, Path(sys.argv[1]))))
