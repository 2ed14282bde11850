"""The words by which exports say what became of things; plain text, no markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.entities import Approval, ToolCall
from crdtsync.sanitize import clean_line
from crdtsync.turns.claim import TurnRecord
from crdtsync.view import SessionView

__all__ = ["ITEM_WORDS", "KIND_WORDS", "decision_words", "tool_words", "turn_words"]

KIND_WORDS: Final[Mapping[str, str]] = {
    "user": "",
    "assistant": "",
    "thought": "",
    "agent": "from another agent",
    "note": "note, not sent to the agent",
    "system": "system",
}

LATE: Final = (
    "late: written after the lease was lost; the agent of the next turn "
    "did not see this"
)

ITEM_WORDS: Final[Mapping[str, str]] = {
    "late": LATE,
    "detached": "written after the lease was lost",
}

_CLASS_WORDS: Final[Mapping[str, str]] = {
    "parallel": "ran apart, beside the main line",
    "stale": "ran while another turn had taken over",
}

_STOP_WORDS: Final[Mapping[str, str]] = {
    "end_turn": "",
    "cancelled": "cancelled",
    "error": "failed",
    "lost_lease": "stopped, as the lease was lost",
    "refused": "refused",
    "max_tokens": "stopped at the limit of tokens",
    "max_turn_requests": "stopped at the limit of requests",
}

_PHASE_WORDS: Final[Mapping[str, str]] = {
    "pending": "waiting",
    "in_progress": "running",
    "completed": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def tool_words(tool: ToolCall) -> str:
    """Say what became of a tool call."""
    words = _PHASE_WORDS.get(tool.phase, clean_line(tool.phase))
    return words if not tool.exit_code else f"{words}, exit code {tool.exit_code}"


def decision_words(approval: Approval) -> tuple[str, bool | None]:
    """Say how a question was answered, and whether that allowed it."""
    match approval.decision:
        case "":
            return "not answered", None
        case "expired":
            return "expired", False
        case "cancelled":
            return "cancelled", None
        case chosen:
            option = next((o for o in approval.options if o.id == chosen), None)
    if option is None:
        return f"answered {clean_line(chosen)}", None
    allowed = option.kind.startswith("allow")
    word = "allowed" if allowed else "denied"
    return (f"{word} for good" if option.kind.endswith("always") else word), allowed


def turn_words(view: SessionView, turn: TurnRecord) -> list[str]:
    """Say how a turn ended; nothing if it ended as turns do."""
    state = view.reading.states[turn.id]
    if state == "void":
        return []
    words: list[str] = []
    match state:
        case "open":
            words.append("was running" if turn.started else "was about to start")
        case "abandoned":
            words.append("interrupted, outcome unknown")
        case "finished_after_takeover":
            words.append("finished after another turn had taken over")
        case _:
            reason = turn.stop_reason or ""
            words.append(_STOP_WORDS.get(reason, reason))
    words.append(turn.error or "")
    words.append(_CLASS_WORDS.get(view.reading.classes[turn.id], ""))
    words.append(_alternative(view, turn))
    return [word for word in words if word]


def _alternative(view: SessionView, turn: TurnRecord) -> str:
    prompts = turn.claim.prompts if turn.claim is not None else ()
    others = (view.reading.alternatives(prompt)[1:] for prompt in prompts)
    again = any(turn.id in found for found in others)
    return "one of several answers to the same prompt" if again else ""
