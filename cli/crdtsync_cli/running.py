"""From the name of an agent to a window that runs it; it drives no agent itself."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crdtsync.agents.commands import resolve_command
from crdtsync.agents.environment import agent_environment
from crdtsync.agents.policy import POLICIES, Policy
from crdtsync.agents.presets import agent_spec
from crdtsync.agents.spec import AgentSpec
from crdtsync.errors import UsageError
from crdtsync.turns.signals import Offline
from crdtsync_cli.settings import Settings

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["NONE", "Ways", "find_agent", "find_offline", "find_policy", "running"]

_OFFLINE: Final[tuple[Offline, ...]] = ("deny", "ask", "allow")

NONE: Final = "none"
"""The name that stands for no agent."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a window runs turns, whichever agent does.

    Attributes:
        policy: What happens when it asks.
        cwd: Its working folder; this process's if None.
        collect: Whether prompts that wait together become one turn.
        offline: What they do while the relay that grants turns is out of reach.
    """

    policy: Policy
    cwd: Path | None = None
    collect: bool = False
    offline: Offline = "deny"


def find_agent(wanted: str, settings: Settings) -> AgentSpec | None:
    """The agent a window is to run; None for none.

    Args:
        wanted: As given to --agent; "" for the setting.
        settings: Holds the default, and agents of one's own.

    Raises:
        UsageError: Nobody knows it, or it is not installed.
    """
    name = wanted or settings["agent"] or NONE
    if name == NONE:
        return None
    spec = agent_spec(name, settings.agents)
    allowed = agent_environment(os.environ, allow=spec.env_allow, extra=spec.env_set)
    resolve_command(spec, allowed["PATH"])
    return spec


def find_policy(wanted: str, settings: Settings) -> Policy:
    """What happens when the agent asks.

    Raises:
        UsageError: There is no such policy.
    """
    name = wanted or settings["permissions"]
    for policy in POLICIES:
        if policy == name:
            return policy
    raise UsageError(
        f"--permissions cannot be {name!r}",
        hint="; ".join(f"{policy}: {text}" for policy, text in POLICIES.items()),
    )


def find_offline(wanted: str, settings: Settings, *, somebody: bool = True) -> Offline:
    """What prompts do while the relay that grants turns is out of reach.

    Args:
        wanted: As given to --offline-turns; "" for the setting.
        settings: Holds the default, which is meant for windows.
        somebody: Whether there is somebody to ask.

    Raises:
        UsageError: There is no such way, or it asks and there is nobody.
    """
    name = wanted or settings["offline_turns"]
    if name == "ask" and not somebody:
        if not wanted:
            return "deny"
        raise UsageError(
            "--offline-turns cannot be 'ask' here: a host has nobody to ask",
            hint="deny: prompts wait for the relay; allow: they run apart.",
        )
    for known in _OFFLINE:
        if known == name:
            return known
    raise UsageError(
        f"--offline-turns cannot be {name!r}",
        hint="deny: they wait; ask: somebody says /apart; allow: they run apart.",
    )


def running(
    session: Session, spec: AgentSpec, ways: Ways
) -> AbstractAsyncContextManager[object]:
    """Run turns of the session with the agent in the block.

    Args:
        session: Open.
        spec: The agent.
        ways: How turns are run.

    Raises:
        DataError: The session is read-only here.
        UsageError: The working folder is none.
    """
    from crdtsync.host import (  # noqa: PLC0415 - often unneeded
        COLLECT_MAX,
        HostSettings,
        run_agent,
    )

    folder = (ways.cwd or Path.cwd()).resolve()
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder", hint="Give the agent another one with --cwd."
        )
    settings = HostSettings(
        policy=ways.policy,
        cwd=folder,
        collect_max=COLLECT_MAX if ways.collect else 1,
        offline=ways.offline,
    )
    return run_agent(session, spec, settings)
