"""The arbiter: grants, renews and ends the lease of one session (05: A1 to A7).

A pure class over one durable state; the log stores `LeaseState` in its own SQL
transaction, and the relay does the same. It keeps no clock and writes nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crdtsync.turns.claim import EPOCH_LEAP_MAX, EPOCH_MAX


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What an arbiter must keep on disk, per session.

    Attributes:
        arb: Random id of this arbiter; a copied, emptied or restored store gets a new
            one, so that (arb, epoch) names at most one turn.
        epoch: The highest epoch ever granted here; only grows.
        runner: The holder's runner, or None when the lease is free.
        attempt: The holder's attempt.
        turn: The turn the holder has begun, or None.
        expires_s: End of the lease on this arbiter's boottime clock.
        boot: The boot id under which `expires_s` was written.
        quarantine_s: Until this boottime nothing is granted (A5); 0 for never.
        ended_s: Boottime at which the last lease ended, or at which this store
            created the session; None if unknown.
    """

    arb: str
    epoch: int = 0
    runner: str | None = None
    attempt: int = 0
    turn: str | None = None
    expires_s: float = 0.0
    boot: str = ""
    quarantine_s: float = 0.0
    ended_s: float | None = None


def created_here(arb: str, *, now: float, boot: str) -> LeaseState:
    """Make the state of a session that this store creates: its past is known (A5)."""
    return LeaseState(arb, boot=boot, ended_s=now)


def unknown_past(arb: str, *, now: float, boot: str, quarantine_s: float) -> LeaseState:
    """Make the state of a new, emptied, restored or copied store (A5).

    Args:
        arb: A new id, never one used before.
        now: The arbiter's boottime.
        boot: The machine's boot id.
        quarantine_s: At least the longest ttl that may have been granted (T-3).
    """
    return LeaseState(arb, boot=boot, quarantine_s=now + quarantine_s)


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease is yours.

    Attributes:
        arb: The arbiter's id.
        epoch: Above every epoch granted or named before.
        ttl_s: Life of the grant, counted by the holder from the send time.
        idle_s: How long no turn was running; None if unknown (rule Q5).
    """

    arb: str
    epoch: int
    ttl_s: float
    idle_s: float | None


@dataclass(frozen=True, slots=True)
class Denied:
    """Somebody else has it, or nobody may have it yet.

    Attributes:
        holder: The holding runner, or None in the quarantine of a new arbiter.
        turn: The turn it has begun, if any.
        remaining_s: After this many seconds asking again can succeed.
    """

    holder: str | None
    turn: str | None
    remaining_s: float


class Arbiter:
    """Grants the lease of one session to one runner at a time.

    Args:
        state: As last stored.
        now: This arbiter's boottime, seconds.
        boot: This machine's boot id. If it differs from the state's, a lease that was
            running lives a full ttl from now (A4), as its clock cannot be compared.
        ttl_s: Life of a grant.
    """

    def __init__(self, state: LeaseState, *, now: float, boot: str, ttl_s: float):
        self._now = now
        self._ttl_s = ttl_s
        self.state = state if state.boot == boot else self._rebooted(state, boot)
        self._expire_if_due()

    def acquire(self, runner: str, attempt: int, min_epoch: int) -> Granted | Denied:
        """Grant the lease if it is free or held by an older attempt of the runner."""
        state, now = self.state, self._now
        if state.quarantine_s:
            return self._quarantined()
        supersedes = state.runner == runner and attempt > state.attempt
        if state.runner is not None and not supersedes:
            return Denied(state.runner, state.turn, state.expires_s - now)
        return self._grant(runner, attempt, min_epoch)

    def take(self, runner: str, attempt: int, min_epoch: int) -> Granted | Denied:
        """Grant the lease over a living holder, on a person's word.

        The old holder learns of it at its next renewal or append. A quarantine is
        not overruled: who holds a lease then is not known to anybody.
        """
        if self.state.quarantine_s:
            return self._quarantined()
        return self._grant(runner, attempt, min_epoch)

    def begin(self, epoch: int, attempt: int, turn: str) -> bool:
        """Note the turn and prolong the lease; False if the lease is lost."""
        if not self.holds(epoch, attempt):
            return False
        self.state = replace(self.state, turn=turn, expires_s=self._now + self._ttl_s)
        return True

    def renew(self, epoch: int, attempt: int) -> bool:
        """Prolong the lease; False if it is lost."""
        if not self.holds(epoch, attempt):
            return False
        self.state = replace(self.state, expires_s=self._now + self._ttl_s)
        return True

    def release(self, epoch: int, attempt: int) -> bool:
        """End the lease; False, and no effect, unless epoch and attempt match (A3)."""
        if not self.holds(epoch, attempt):
            return False
        self._end(self._now)
        return True

    def raise_epoch(self, epoch: int, attempt: int, raised: int) -> bool:
        """Let the holder's lease go on under a higher epoch, that of a relay's grant.

        From now on the holder shows `raised`, and whoever comes next gets more.
        False, and no effect, if the lease is lost, the epoch would fall, or would
        leave this arbiter too few for all grants to come.
        """
        rises = epoch <= raised <= EPOCH_MAX // 2
        if not self.holds(epoch, attempt) or not rises:
            return False
        self.state = replace(self.state, epoch=raised)
        return True

    def holds(self, epoch: int, attempt: int) -> bool:
        """Whether this epoch and attempt have the lease now."""
        state = self.state
        return (
            state.runner is not None
            and state.epoch == epoch
            and state.attempt == attempt
        )

    def _grant(self, runner: str, attempt: int, min_epoch: int) -> Granted:
        state, now = self.state, self._now
        idle = now - state.ended_s if state.ended_s is not None else None
        # Who asks for too much gets less, and may ask again.
        least = min(min_epoch, state.epoch + EPOCH_LEAP_MAX)
        self.state = replace(
            state,
            epoch=max(state.epoch, least) + 1,
            runner=runner,
            attempt=attempt,
            turn=None,
            expires_s=now + self._ttl_s,
        )
        return Granted(state.arb, self.state.epoch, self._ttl_s, idle)

    def _rebooted(self, state: LeaseState, boot: str) -> LeaseState:
        """Start all spans anew: times of the last boot say nothing on this clock."""
        full_s = self._now + self._ttl_s
        return replace(
            state,
            boot=boot,
            expires_s=full_s if state.runner is not None else 0.0,
            quarantine_s=full_s if state.quarantine_s else 0.0,
            ended_s=None,
        )

    def _quarantined(self) -> Denied:
        return Denied(None, None, self.state.quarantine_s - self._now)

    def _expire_if_due(self) -> None:
        state = self.state
        # A quarantine that has passed is forgotten, lest a reboot starts it anew.
        if state.quarantine_s and state.quarantine_s <= self._now:
            self.state = state = replace(state, quarantine_s=0.0)
        if state.runner is not None and state.expires_s <= self._now:
            self._end(state.expires_s)

    def _end(self, at_s: float) -> None:
        self.state = replace(self.state, runner=None, turn=None, ended_s=at_s)
