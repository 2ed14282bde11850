"""Which agent to run, and within which bounds; finds nothing and starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["AgentLimits", "AgentSpec"]


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent, as a preset, the config file or the command line describes it.

    Attributes:
        kind: "acp" speaks the Agent Client Protocol; "exec" gets the prompt on stdin
            and answers on stdout, one process per turn.
        name: What people call it.
        argv: The command. argv[0] is looked up in PATH, unless it contains a slash.
        alternatives: Other commands for the same agent, tried in order if argv[0] is
            not installed.
        env_allow: Names of environment variables it gets; a trailing `*` stands for
            any ending.
        env_set: Variables it gets with these values.
        mode: The session mode to set at the start, "" for the agent's own.
        transcript: For exec: the whole conversation goes along with each prompt.
        install: How to get it, for people.
        login: How to give it its credentials, for people.
        version_argv: The command that prints its version; empty if there is none.
    """

    kind: Literal["acp", "exec"]
    name: str
    argv: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...] = ()
    env_allow: tuple[str, ...] = ()
    env_set: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    transcript: bool = False
    install: str = ""
    login: str = ""
    version_argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """How long to wait for an agent, and how much of it to keep in memory.

    cancel_grace_s + term_grace_s stay below the runner's stop time of 2 s.
    """

    handshake_s: float = 60.0
    """From spawning to an open session; some agents load for half a minute."""
    cancel_grace_s: float = 1.0
    """From a cancel to the end of the turn; after it the process is ended."""
    eof_grace_s: float = 0.5
    """From closing its stdin to SIGTERM."""
    term_grace_s: float = 0.5
    """From SIGTERM to SIGKILL, both to the whole process group."""
    quiet_s: float = 0.05
    """A turn is over when nothing came for so long after its response."""
    late_s: float = 0.5
    """No update is waited for longer than this after the response."""
    events_max: int = 1024
    """Events not yet taken; beyond it nothing more is read from the agent."""
    line_bytes_max: int = 16 * 1024 * 1024
    """One protocol message; a longer one ends the agent. 600 kB have been seen."""
    stderr_tail_bytes: int = 16 * 1024
    """What is kept of stderr, for the error message."""
