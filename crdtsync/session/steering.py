"""Where a prompt goes in the queue, and on whose behalf; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from crdtsync.agents.environment import Origin, origin
from crdtsync.errors import AccessDenied, UsageError
from crdtsync.turns.queue import QueueEntry, rank_first, rank_last

__all__ = ["Steer", "check_person", "check_steer", "rank_for", "whence"]

Steer: TypeAlias = Literal["follow-up", "interrupt"]
"""A follow-up waits for its turn; an interrupt stops the running turn and is next."""


def check_steer(steer: Steer, *, person_asks: bool) -> bool:
    """Whether a message interrupts; only a person's prompt may.

    Raises:
        UsageError: It is to, and may not.
    """
    if steer == "follow-up":
        return False
    if not person_asks:
        raise UsageError(
            "only a prompt of a person can interrupt a turn",
            hint="Send it as a prompt, or stop the turn with cancel.",
        )
    return True


def rank_for(
    entries: Mapping[str, QueueEntry], instead_of: str, *, interrupts: bool
) -> str:
    """The place of a new prompt: first, last, or that of the one it replaces."""
    if interrupts:
        return rank_first(entries.values())
    replaced = entries.get(instead_of)
    return replaced.rank if replaced else rank_last(entries.values())


def whence(environ: Mapping[str, str], as_agent: str) -> Origin | None:
    """On behalf of which agent a message is sent; None for a person's own."""
    found = origin(environ)
    return Origin(as_agent) if found is None and as_agent else found


def check_person(environ: Mapping[str, str]) -> None:
    """Refuse what only people may do to a process that an agent has started.

    It keeps an honest agent from answering itself; one that means harm runs with its
    owner's rights anyway.

    Raises:
        AccessDenied: An agent has started this process.
    """
    if origin(environ) is not None:
        raise AccessDenied(
            "an agent cannot approve or release anything",
            hint="Have a person do it in a window of the session.",
        )
