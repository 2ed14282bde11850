"""How a window runs turns; it runs none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crdtsync.agents.policy import Policy
from crdtsync.turns.signals import Lost, Offline

COLLECT_MAX = 20
"""Waiting prompts that become one turn in `collect` mode."""

EXPIRES_S = 600.0
"""A question that nobody answers for so long is answered with no."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How turns are run; their times are the session's (`Place.timing`).

    Attributes:
        policy: Which permission questions people are asked; see `agents.policy`.
        cwd: The agent's working folder; this process's if None.
        collect_max: So many waiting prompts become one turn; 1 is one turn each.
        environ: Where the agent's allowed variables come from; this process's if None.
        expires_s: Life of a permission question.
        offline: What waiting prompts do while the relay that grants turns is out of
            reach: wait, have a person asked, or run apart from the others.
        lost: What becomes of a running turn whose lease is lost: it is stopped, or the
            agent finishes and the rest is marked as detached.
    """

    policy: Policy = "ask"
    cwd: Path | None = None
    collect_max: int = 1
    environ: Mapping[str, str] | None = None
    expires_s: float = EXPIRES_S
    offline: Offline = "deny"
    lost: Lost = "abort"
