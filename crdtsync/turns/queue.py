"""Which prompts wait, in which order, and which need a person; it writes nothing.

Pending is derived from the queue and the turns, never stored (05: 1.3, Q1 to Q6). The
queue only orders prompts and holds them back; being consumed is said by a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

from crdtsync.errors import UsageError
from crdtsync.turns.claim import TurnRecord

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE: Final = len(_DIGITS)
# A rank is a fraction: so many digits count steps at the ends, more of them halves.
_STEP_DIGITS: Final = 8
RANK_LENGTH_MAX: Final = 64
_RANK: Final = re.compile(
    rf"[0-9A-Za-z]{{{_STEP_DIGITS}}}"
    rf"([0-9A-Za-z]{{0,{RANK_LENGTH_MAX - _STEP_DIGITS - 1}}}[1-9A-Za-z])?"
)
RANK_FIRST: Final = "U" + "0" * (_STEP_DIGITS - 1)


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A prompt in the queue of a document.

    Attributes:
        prompt: The prompt's message id.
        rank: Its place, a fractional index.
        held: It waits for a person, unless released.
        released_by: The participant who released it.
    """

    prompt: str
    rank: str
    held: bool = False
    released_by: str | None = None

    @property
    def free(self) -> bool:
        """Whether it may run without asking anybody."""
        return not self.held or self.released_by is not None


def consumed(turns: Iterable[TurnRecord]) -> frozenset[str]:
    """Collect the prompts that a turn has taken and not given back as void (Q2)."""
    return frozenset(
        prompt
        for turn in turns
        if turn.claim is not None and not turn.void
        for prompt in turn.claim.prompts
    )


def pending(
    entries: Iterable[QueueEntry], turns: Iterable[TurnRecord]
) -> tuple[str, ...]:
    """List the prompts that a runner may take, first to run first."""
    return tuple(e.prompt for e in _waiting(entries, turns) if e.free)


def awaiting_release(
    entries: Iterable[QueueEntry], turns: Iterable[TurnRecord]
) -> tuple[str, ...]:
    """List the prompts that wait for a person's release, in queue order."""
    return tuple(e.prompt for e in _waiting(entries, turns) if not e.free)


def hold_for_peer(
    entries: Iterable[QueueEntry],
    turns: Iterable[TurnRecord],
    lacking: Set[str],
    just_typed: Set[str] = frozenset(),
) -> tuple[str, ...]:
    """List the prompts to hold before a handshake sends them (Q3).

    Args:
        entries: The sender's queue.
        turns: The sender's turns.
        lacking: Prompts that the other side does not have.
        just_typed: Exempt: typed by this very process less than `hold_after_s` ago
            while nothing foreign came in (see `recent`).
    """
    return tuple(
        e.prompt
        for e in _waiting(entries, turns)
        if e.free and e.prompt in lacking - just_typed and e.released_by is None
    )


def hold_on_merge(
    before: Set[str],
    entries: Iterable[QueueEntry],
    turns: Iterable[TurnRecord],
) -> tuple[str, ...]:
    """List the prompts to hold after an import or a merge (Q4).

    Nothing pending comes out of a merge: neither a prompt that came in nor one that a
    `void` which came in gave back.

    Args:
        before: What was pending before.
        entries: The queue with the merge applied.
        turns: The turns with the merge applied.
    """
    return tuple(
        e.prompt
        for e in _waiting(entries, turns)
        if e.free and e.released_by is None and e.prompt not in before
    )


def hold_when_idle(
    entries: Iterable[QueueEntry],
    turns: Iterable[TurnRecord],
    *,
    idle_s: float | None,
    idle_hold_s: float,
    live: Set[str],
) -> tuple[str, ...]:
    """List the prompts that are too old to be run unasked (Q5).

    Args:
        entries: The queue at the moment of the grant.
        turns: The turns at that moment.
        idle_s: From the grant; None if unknown.
        idle_hold_s: So long an idle time makes old prompts ask again.
        live: Exempt: prompts that this replica saw arrive live less than
            `hold_after_s` ago (see `recent`).
    """
    if idle_s is not None and idle_s <= idle_hold_s:
        return ()
    return tuple(
        e.prompt
        for e in _waiting(entries, turns)
        if e.free and e.released_by is None and e.prompt not in live
    )


def recent(
    arrived_s: Mapping[str, float], now: float, hold_after_s: float
) -> frozenset[str]:
    """Pick the prompts that arrived less than `hold_after_s` before `now`."""
    return frozenset(p for p, at in arrived_s.items() if now - at < hold_after_s)


def rank_between(after: str | None, before: str | None) -> str:
    """Make a rank between two; None is the end of the queue on that side.

    Raises:
        UsageError: They are no ranks, do not ascend, or are too close.
    """
    if not all(r is None or _RANK.fullmatch(r) for r in (after, before)):
        raise UsageError("that is not a rank of the queue")
    if after is None or before is None:
        return _rank_at_end(after, before)
    if after >= before:
        raise UsageError("the two prompts have no place between them")
    for digits in range(_STEP_DIGITS, RANK_LENGTH_MAX + 1):
        low = _number(after, digits)
        high = _number(before, digits) + (len(before) > digits)
        if high - low > 1:
            return _trim(_digits((low + high) // 2, digits))
    raise UsageError(
        "too many prompts were moved to this one place",
        hint="Move the prompt to another place in the queue.",
    )


def rank_last(entries: Iterable[QueueEntry]) -> str:
    """Make a rank after every readable one."""
    ranks = [e.rank for e in entries if _RANK.fullmatch(e.rank)]
    return rank_between(max(ranks, default=None), None)


def rank_first(entries: Iterable[QueueEntry]) -> str:
    """Make a rank before every readable one."""
    ranks = [e.rank for e in entries if _RANK.fullmatch(e.rank)]
    return rank_between(None, min(ranks, default=None))


def in_order(entries: Iterable[QueueEntry]) -> list[QueueEntry]:
    """Sort by rank, then prompt id; what is no rank comes last."""
    return sorted(
        entries, key=lambda e: (not _RANK.fullmatch(e.rank), e.rank, e.prompt)
    )


def _waiting(
    entries: Iterable[QueueEntry], turns: Iterable[TurnRecord]
) -> list[QueueEntry]:
    taken = consumed(turns)
    return [e for e in in_order(entries) if e.prompt not in taken]


def _rank_at_end(after: str | None, before: str | None) -> str:
    if after is not None:
        step = _number(after, _STEP_DIGITS) + 1
    elif before is not None:
        step = _number(before, _STEP_DIGITS) - 1
    else:
        return RANK_FIRST
    if not 0 <= step < _BASE**_STEP_DIGITS:
        raise UsageError("the queue has no place left at that end")
    return _digits(step, _STEP_DIGITS)


def _number(rank: str, digits: int) -> int:
    """Read the first so many digits of a fraction, rounded down."""
    number = 0
    for digit in rank[:digits].ljust(digits, "0"):
        number = number * _BASE + _DIGITS.index(digit)
    return number


def _digits(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, _BASE)
        text = _DIGITS[digit] + text
    return text


def _trim(rank: str) -> str:
    """Drop closing zeros, which would leave no place below, but keep the steps."""
    return rank[:_STEP_DIGITS] + rank[_STEP_DIGITS:].rstrip("0")
