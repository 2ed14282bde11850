"""The relay as arbiter of turns (05-turns: A1 to A7): its log decides, this asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from crdtsync.clock import Clock
from crdtsync.log import Log
from crdtsync.sync.leasing import LeaseAnswer, LeaseRequest
from crdtsync.turns.arbiter import Denied, Granted

__all__ = ["Arbitration"]

MADE_S: Final = 1.0
"""A room is in the log so soon after it was noted, and no lease has ended by then."""


class Arbitration:
    """Puts questions to the arbiter of the relay's log.

    Args:
        log: Keeps the leases.
        clock: Counts the quarantine.
        made_at: Boottime at which this store made a room, if that was since the
            machine started.
        quarantine_s: At least the longest life of a grant (T-3).
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        made_at: Callable[[str], float | None],
        quarantine_s: float,
    ) -> None:
        self._log = log
        self._clock = clock
        self._made_at = made_at
        self._quarantine_s = quarantine_s
        self._vouched_s: dict[str, float] = {}

    async def ask(
        self, room: str, request: LeaseRequest, *, may_take: bool
    ) -> LeaseAnswer:
        """Ask, and return when the answer is on disk (A1).

        Args:
            room: The session's id.
            request: What is asked.
            may_take: Whether the asker may overrule others; for whoever may not, to
                take is to ask.
        """
        log, epoch, attempt = self._log, request.epoch, request.attempt
        match request.op:
            case "acquire" | "take":
                return await self._acquire(room, request, may_take=may_take)
            case "begin":
                return await log.begin(room, epoch, attempt, request.turn)
            case "renew":
                return await log.renew(room, epoch, attempt)
            case "release":
                return await log.release(room, epoch, attempt)

    async def _acquire(
        self, room: str, request: LeaseRequest, *, may_take: bool
    ) -> Granted | Denied:
        """Ask for the lease, unless the room is new here (A5).

        Turns may have been run under grants of a relay that was emptied: until those
        are over nobody knows who holds one, and then nobody knows since when.
        """
        if request.first:
            self._vouch(room)
        age_s = self._age_s(room)
        if age_s < self._quarantine_s:
            return Denied(None, None, self._quarantine_s - age_s)
        runner, attempt, epoch = request.runner, request.attempt, request.epoch
        if request.op == "take" and may_take:
            answer = await self._log.take(room, runner, attempt, epoch)
        else:
            answer = await self._log.acquire(room, runner, attempt, epoch, alone=False)
        if isinstance(answer, Granted) and (answer.idle_s or 0.0) > age_s - MADE_S:
            # The first lease here: what was before the room was made is not known.
            return replace(answer, idle_s=None)
        return answer

    def _age_s(self, room: str) -> float:
        """How long ago this store made a room of which it knows no past."""
        made_s = self._made_at(room)
        if made_s is None or room in self._vouched_s:
            return float("inf")
        return self._clock.boottime() - made_s

    def _vouch(self, room: str) -> None:
        """Note that there was no relay before; remembered while that matters."""
        now = self._clock.boottime()
        self._vouched_s = {r: s for r, s in self._vouched_s.items() if s > now}
        self._vouched_s[room] = now + self._quarantine_s
