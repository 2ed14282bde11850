"""The relay as arbiter of turns (05-turns: A1 to A7): its log decides, this asks it."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.clock import Clock
from crdtsync.log import Log
from crdtsync.log.sqlite import LEASE_TTL_S
from crdtsync.sync.leasing import LeaseAnswer, LeaseRequest
from crdtsync.turns.arbiter import Denied

__all__ = ["Arbitration"]


class Arbitration:
    """Puts questions to the arbiter of the relay's log.

    Args:
        log: Keeps the leases.
        clock: Counts the quarantine.
        made_at: Boottime at which this store made a room, if that was since the
            machine started.
    """

    def __init__(
        self, log: Log, clock: Clock, made_at: Callable[[str], float | None]
    ) -> None:
        self._log = log
        self._clock = clock
        self._made_at = made_at

    async def ask(self, room: str, request: LeaseRequest) -> LeaseAnswer:
        """Ask, and return when the answer is on disk (A1)."""
        log, epoch, attempt = self._log, request.epoch, request.attempt
        match request.op:
            case "acquire" | "take":
                # Nobody is overruled over a relay: to take is to ask.
                if (left_s := self._quarantine_left_s(room, epoch)) > 0:
                    return Denied(None, None, left_s)
                return await log.acquire(
                    room, request.runner, attempt, epoch, alone=False
                )
            case "begin":
                return await log.begin(room, epoch, attempt, request.turn)
            case "renew":
                return await log.renew(room, epoch, attempt)
            case "release":
                return await log.release(room, epoch, attempt)

    def _quarantine_left_s(self, room: str, epoch: int) -> float:
        """How long a room that is new here, but not new, grants nothing (A5).

        Turns have been run elsewhere, perhaps under grants of a relay that was
        emptied: until those are over, nobody knows who holds one.
        """
        made_s = self._made_at(room)
        if made_s is None or epoch == 0:
            return 0.0
        return made_s + LEASE_TTL_S - self._clock.boottime()
