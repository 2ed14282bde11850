"""How an agent's permission policy is told to everybody, in words; it decides none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["policy_in_words"]

_ANSWERS: Final = {
    "allow-reads": "reading in its folder is allowed without asking",
    "deny-all": "everything it asks for is refused",
    "yolo": "everything it asks for is allowed without asking",
}


def policy_in_words(name: str, info: Mapping[str, object]) -> str:
    """Say what a window's agent may do unasked; "" if people are asked.

    Args:
        name: The person whose window it is.
        info: The short facts that the window shows (see `PresenceState`).
    """
    policy, agent = info.get("policy"), info.get("agent")
    answer = _ANSWERS.get(str(policy), "")
    return f"{name} runs {agent} with {policy}: {answer}" if agent and answer else ""
