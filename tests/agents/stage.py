"""What the tests of agents share: a scripted agent to open, and turns to collect."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from crdtsync.agents import (
    Agent,
    AgentEvent,
    AgentLimits,
    AgentSpec,
    TextDelta,
    Tool,
    TurnEnd,
    open_agent,
)

SCRIPTED = str(Path(__file__).with_name("scripted_agent.py"))
Steps: TypeAlias = Sequence[Mapping[str, object]]
QUICK = AgentLimits(
    handshake_s=20.0, cancel_grace_s=5.0, eof_grace_s=0.3, term_grace_s=0.3
)
END: dict[str, Any] = {"respond": {"stopReason": "end_turn"}}
OPTIONS = [
    {"optionId": "y", "name": "Yes", "kind": "allow_once"},
    {"optionId": "n", "name": "No", "kind": "reject_once"},
]


def scripted(*turns: Steps, **methods: Steps) -> AgentSpec:
    """An agent whose turns, and answers to other methods, are these steps."""
    script: dict[str, Any] = {
        name.replace("__", "/"): list(steps) for name, steps in methods.items()
    }
    script["session/prompt"] = turns or [[END]]
    return AgentSpec("acp", "scripted", (sys.executable, SCRIPTED, json.dumps(script)))


@asynccontextmanager
async def started(
    spec: AgentSpec,
    *,
    limits: AgentLimits = QUICK,
    resume: str | None = None,
    **options: Any,
) -> AsyncIterator[Agent]:
    """An open agent with a session, for at most half a minute."""
    with anyio.fail_after(30):
        async with open_agent(spec, limits=limits, **options) as agent:
            await agent.start("/", resume=resume)
            yield agent


async def turn(agent: Agent, text: str = "hello", **options: Any) -> list[AgentEvent]:
    """All events of one turn; checks what holds of each turn."""
    events = [event async for event in agent.prompt(text, **options)]
    ends = [event for event in events if isinstance(event, TurnEnd)]
    assert events[-1:] == ends, "exactly one end, and it is the last"
    phases = {event.id: event.phase for event in events if isinstance(event, Tool)}
    assert not {"pending", "in_progress"} & set(phases.values())
    assert all(event.text for event in events if isinstance(event, TextDelta))
    return events


def text_of(events: list[AgentEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def end_of(events: list[AgentEvent]) -> TurnEnd:
    [end] = [event for event in events if isinstance(event, TurnEnd)]
    return end


async def turn_text(agent: Agent, text: str = "hello", **options: Any) -> str:
    return text_of(await turn(agent, text, **options))


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return not Path("/proc/self").exists()
    return stat.read_text().rpartition(")")[2].split()[0] != "Z"
