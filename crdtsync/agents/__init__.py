"""The agent seam: one interface over ACP agents, plain commands and the demo agent.

It runs no turns of a session (crdtsync.turns does) and imports neither the protocol's
SDK nor a process module before an agent is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from crdtsync.schema import JsonValue

from .events import (
    TERMINAL_PHASES,
    AgentEvent,
    Info,
    Permission,
    PermissionOption,
    PermissionResolved,
    Phase,
    Plan,
    PlanEntry,
    TextDelta,
    ThoughtDelta,
    Tool,
    TurnEnd,
    Usage,
)
from .spec import AgentLimits, AgentSpec

__all__ = [
    "TERMINAL_PHASES",
    "Agent",
    "AgentEvent",
    "AgentLimits",
    "AgentSpec",
    "Info",
    "Permission",
    "PermissionOption",
    "PermissionResolved",
    "Phase",
    "Plan",
    "PlanEntry",
    "TextDelta",
    "ThoughtDelta",
    "Tool",
    "TurnEnd",
    "Usage",
    "open_agent",
]


class Agent(Protocol):
    """One agent process (or one command), driven by the holder of the lease.

    Of each turn it guarantees: a phase never leaves a terminal state; at `TurnEnd`
    every tool is in one and every permission is resolved; no text is empty.
    """

    @property
    def session_id(self) -> str:
        """The agent's own id of its session, for `resume`; "" if it has none."""
        ...

    @property
    def name(self) -> str:
        """What the agent calls itself, or the name of its spec."""
        ...

    @property
    def version(self) -> str:
        """As the agent tells it; "" if it does not."""
        ...

    @property
    def pid(self) -> int | None:
        """The running process, which leads its group; None if none runs."""
        ...

    @property
    def remembers(self) -> bool:
        """Whether it knows its earlier turns.

        A resumed session remembers; so does none of the exec kind, which may be given
        the whole conversation with each prompt instead (`AgentSpec.transcript`).
        """
        ...

    @property
    def resumed(self) -> bool:
        """Whether the session is the one that `start` was told to resume."""
        ...

    async def start(
        self,
        cwd: str,
        *,
        resume: str | None = None,
        mcp: Sequence[Mapping[str, JsonValue]] = (),
    ) -> None:
        """Start the process and its session; once per agent.

        Args:
            cwd: The working folder, absolute.
            resume: A `session_id` of the same agent on this machine. If the agent
                cannot load it, a new session is opened: see `resumed`.
            mcp: MCP servers in the protocol's form; commands must be absolute.

        Raises:
            UsageError: The command is not installed, or the folder is not there; the
                hint says how to get it.
            OperationFailed: The agent died, refused, or took too long.
        """
        ...

    def prompt(
        self, text: str, *, turn: str = "", depth: int = 0
    ) -> AsyncIterator[AgentEvent]:
        """Run one turn; ends with exactly one `TurnEnd` and never raises.

        Turns do not overlap: a second one ends at once with an error. Leaving the
        iterator early (`aclose`) cancels the turn.

        Args:
            text: What the agent is told.
            turn: Id of the turn, which the agent's tools can find (CRDTSYNC_TURN).
            depth: How many agents in a row prompted each other up to this turn.
        """
        ...

    def resolve(self, permission_id: str, option_id: str | None) -> bool:
        """Answer a question; None cancels it.

        Returns:
            False, without effect, if it is answered already, unknown, or does not
            offer this option. The first answer wins.
        """
        ...

    async def cancel(self) -> None:
        """End the running turn, and return when it has ended.

        An agent that does not stop within the grace is ended, with its process group;
        `pid` is None then. Without a running turn nothing happens.
        """
        ...

    async def close(self) -> None:
        """End the process and its group; again is harmless."""
        ...


def open_agent(
    spec: AgentSpec,
    *,
    session: str = "",
    data: str = "",
    environ: Mapping[str, str] | None = None,
    limits: AgentLimits | None = None,
) -> AbstractAsyncContextManager[Agent]:
    """Open an agent for the length of an `async with`; at its end it is closed.

    Args:
        spec: Which agent; see `crdtsync.agents.presets.agent_spec`.
        session: Id of the session, for the agent's tools (CRDTSYNC_SESSION).
        data: The data folder, likewise (CRDTSYNC_DATA).
        environ: Where allowed variables are taken from; this process's if None.
        limits: Other bounds than the default ones.

    Raises:
        UsageError: On entering: an ACP agent was asked for under trio.
    """
    bounds = limits or AgentLimits()
    if spec.kind == "exec":
        from .exec import open_exec_agent  # noqa: PLC0415 - late on purpose

        return open_exec_agent(
            spec, session=session, data=data, environ=environ, limits=bounds
        )
    from .acp import open_acp_agent  # noqa: PLC0415 - late on purpose

    return open_acp_agent(
        spec, session=session, data=data, environ=environ, limits=bounds
    )
