"""A window in a process of its own: tells its events as JSON lines, obeys such lines.

Usage: python -m tests.host.window JOB, where JOB is JSON. A command is an object with
`ref`; it is answered by {"type": "answer", "data": {"ref": ...}}.
"""

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from crdtsync.agents import AgentSpec
from crdtsync.errors import CrdtSyncError
from crdtsync.host import run_agent
from crdtsync.links.connecting import Address, connect_websocket
from crdtsync.links.link import open_links
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync.turns.timing import Timing
from tests.host.stage import digest


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def state(session: Session) -> dict[str, Any]:
    view = session.view
    reading = view.reading
    return {
        "digest": digest(session),
        "head": session.head,
        "messages": [[m.role, view.text(m.id)] for m in view.messages],
        "pending": [p.prompt for p in view.pending],
        "turns": [
            [reading.classes[t], reading.states[t], view.turns[t].stop_reason]
            for t in reading.order
        ],
        "open": [a.id for a in view.open_approvals()],
        "people": sorted(p.name for p in session.presence),
    }


async def obey(session: Session, command: dict[str, Any]) -> dict[str, Any]:
    match command:
        case {"send": text}:
            sent = await session.send(text)
            return {"id": sent.id, "seq": sent.seq, "position": sent.position}
        case {"wait": prompt}:
            turn = await session.wait_turn(prompt)
            return {"turn": turn.id, "stop": turn.stop_reason, "error": turn.error}
        case {"cancel": _}:
            return {"turn": await session.cancel()}
        case {"vote": number, "allow": allow}:
            await session.vote(number, allow=allow)
            return {}
        case {"state": _}:
            head, people = command.get("head", 0), command.get("people", 0)
            await session.wait_for(lambda _: session.head >= head)
            await session.wait_for(lambda _: len(session.presence) >= people)
            return state(session)
    raise AssertionError(command)


async def read(session: Session) -> None:
    while line := await anyio.to_thread.run_sync(
        sys.stdin.readline, abandon_on_cancel=True
    ):
        command = json.loads(line)
        try:
            answer = await obey(session, command)
        except CrdtSyncError as error:
            answer = {"error": str(error)}
        say(type="answer", data={"ref": command["ref"], **answer})


async def tell(session: Session) -> None:
    with session.events() as events:
        async for event in events:
            say(**event.to_json())


async def main(job: dict[str, Any]) -> None:
    timing = Timing(**job["timing"])
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            open_session(
                job["session"],
                data=Path(job["data"]),
                name=job["name"],
                timing=timing,
            )
        )
        if url := job["relay"]:
            links = await stack.enter_async_context(open_links(session))
            links.join(url, partial(connect_websocket, Address(url)))
        if job["agent"] is not None:
            told = job["agent"]
            spec = AgentSpec(told["kind"], told["name"], tuple(told["argv"]))
            await stack.enter_async_context(run_agent(session, spec))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(tell, session)
        await read(session)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
