"""A window whose disk fills up; run in a process of its own, as limits do not go away.

Usage: python -m tests.failures.full_disk DATA LIMIT. Prints JSON lines: what was
acknowledged, and what was refused.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

import anyio

from crdtsync.errors import LogUnwritable
from crdtsync.host import run_agent
from crdtsync.session.opening import open_session
from tests.host.stage import ECHO, QUICK


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def limit(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


async def main(data: Path, size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with (
        open_session("x", data=data, name="ana", timing=QUICK) as session,
        run_agent(session, ECHO),
    ):
        sent = await session.send("before")
        await session.wait_turn(sent.id)
        say(acknowledged=sent.id)
        limit(size)
        refused = 0
        while refused < 3:
            try:
                done = await session.send("x" * 20_000, note=True)
                say(acknowledged=done.id)
            except LogUnwritable as error:
                refused += 1
                say(refused=str(error), hint=error.hint)
        # A prompt as well: no turn can be claimed, and the window lives on.
        try:
            await session.send("asked on a full disk")
        except LogUnwritable as error:
            say(refused=str(error), hint=error.hint)
        await anyio.sleep(1.0)
        limit(resource.RLIM_INFINITY)
        with anyio.fail_after(30):
            await session.flush()
            last = await session.send("after")
            await session.wait_turn(last.id)
            await session.flush()
        say(acknowledged=last.id, unsaved=session.replica.unsaved)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
