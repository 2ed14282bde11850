"""Gets a runner the lease: whom to ask, when, and when to ask again (05: 1.4).

It covers the states from IDLE to the grant; what is done with the grant is in `runner`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crdtsync.turns import effects as fx
from crdtsync.turns import queue
from crdtsync.turns.arbiter import Denied
from crdtsync.turns.claim import Grant, epoch_max
from crdtsync.turns.lease import Lease, Leases
from crdtsync.turns.signals import Facts, Given, Policy, Side
from crdtsync.turns.timing import Timing


@dataclass(frozen=True, slots=True)
class Won:
    """The lease is there: a turn may be claimed.

    Attributes:
        grant: What the claim has to call it.
        lease: The one that decides the epoch.
        fresh_turn: An id for the turn.
    """

    grant: Grant
    lease: Lease
    fresh_turn: str


class Seeker:
    """Asks the local arbiter, then the relay if the document names one.

    Args:
        timing: How long everything takes.
        policy: What to do while the relay is out of reach.
        leases: Where granted leases go.
    """

    def __init__(self, timing: Timing, policy: Policy, leases: Leases) -> None:
        self.facts = Facts()
        self._timing = timing
        self._policy = policy
        self._leases = leases
        self._attempt = 0
        self._asking: Side | None = None
        self._asked_s = 0.0
        self._retry_s = 0.0
        self._blocked_by: str | None = None
        self._link: Literal["live", "down"] = "down"
        self._down_s: float | None = None
        self._apart_yes = False
        self._taking = False
        self._told: fx.Notice = fx.Proceeding()

    @property
    def idle(self) -> bool:
        """Whether no answer is outstanding."""
        return self._asking is None

    def learn(self, facts: Facts, now: float) -> None:
        """Take up what the document says; a turn that was waited for may be over."""
        self.facts = facts
        if self._blocked_by is not None and any(
            turn.final for turn in facts.turns if turn.id == self._blocked_by
        ):
            # Its runner releases just after it has written the end.
            self._blocked_by = None
            self.retry_after(self._timing.tick_s, now)

    def link_live(self) -> None:
        """The relay can be asked again, and decides again."""
        self._link = "live"
        self._apart_yes = False
        self._retry_s = 0.0

    def link_down(self, now: float) -> list[fx.Effect]:
        """The relay cannot be asked; what was asked on this link is dropped (A6)."""
        if self._link == "live" or self._down_s is None:
            self._down_s = now
        self._link = "down"
        return self.give_up(0.0, now) if self._asking == "relay" else []

    def run_apart(self, *, yes: bool) -> None:
        """Take a person's word, good until the link is back."""
        self._apart_yes = yes and self._link == "down"

    def take_over(self) -> None:
        """Ask at once, over a living holder."""
        self._taking = True
        self._retry_s = 0.0

    def freed(self) -> None:
        """Ask at once."""
        self._retry_s = 0.0

    def retry_after(self, seconds: float, now: float) -> None:
        """Do not ask before that."""
        self._retry_s = now + seconds

    def expects(self, side: Side, attempt: int) -> bool:
        """Whether an answer is for the request that is outstanding."""
        return self._asking == side and self._attempt == attempt

    def seek(self, now: float) -> list[fx.Effect]:
        """Ask for the lease if a prompt is pending and asking may help."""
        if not self.idle:
            return []
        if not queue.pending(self.facts.entries, self.facts.turns):
            self._taking = False
            return self.tell(fx.Proceeding())
        if now < self._retry_s:
            return []
        if not self._relay_away() or self._may_run_apart(now):
            return [self._ask("local", now)]
        return self._explain_wait(now)

    def given(self, given: Given, now: float) -> tuple[list[fx.Effect], Won | None]:
        """Take up an expected grant; ask on, or win."""
        self._asking = None
        self.facts = given.facts
        lease = Lease.of(given)
        self._leases.add(lease)
        grant: Grant = "local"
        if self._leases.over(now):
            return self.give_up(0.0, now), None
        if given.side == "relay":
            grant = "relay"
        elif self.facts.arbiter is not None:
            if self._link == "live":
                return [self._ask("relay", now)], None
            if not self._may_run_apart(now):
                return self.give_up(0.0, now), None
            grant = "offline"
        self._taking = False
        raised = self._leases.raise_local() if grant == "relay" else []
        won = Won(grant, lease, given.fresh_turn)
        return [*raised, *self.tell(fx.Proceeding())], won

    def withheld(self, denied: Denied, now: float) -> list[fx.Effect]:
        """Take up a denial: wait for a push, or a heartbeat."""
        beat_s = self._timing.heartbeat_s
        wait_s = max(self._timing.tick_s, min(beat_s, denied.remaining_s))
        self._blocked_by = denied.turn
        self._taking = False
        waiting: fx.Notice = fx.Quarantine(denied.remaining_s)
        if denied.holder is not None:
            waiting = fx.WaitingFor(denied.holder, denied.turn, denied.remaining_s)
        return [*self.give_up(wait_s, now), *self.tell(waiting)]

    def give_up(self, wait_s: float, now: float) -> list[fx.Effect]:
        """Return what is held and ask again later."""
        self._asking = None
        self.retry_after(wait_s, now)
        return [*self._leases.release()]

    def check_clock(self, now: float) -> list[fx.Effect]:
        """Count a request to the relay as lost after its time.

        The local arbiter is a transaction on this machine: it is slow or it fails,
        but its answer does not get lost.
        """
        if (
            self._asking == "relay"
            and now >= self._asked_s + self._timing.rpc_timeout_s
        ):
            return self.give_up(0.0, now)
        return []

    def wakes(self) -> list[float]:
        """When to look again, as far as that is known."""
        if self._asking == "relay":
            return [self._asked_s + self._timing.rpc_timeout_s]
        if not self.idle or not queue.pending(self.facts.entries, self.facts.turns):
            return []
        down_s = self._down_s if self._relay_away() else None
        apart = [down_s + self._timing.offline_after_s] if down_s is not None else []
        return [self._retry_s, *apart]

    def tell(self, notice: fx.Notice) -> list[fx.Effect]:
        """Tell a notice unless it was the last one told."""
        if notice == self._told:
            return []
        self._told = notice
        return [fx.Tell(notice)]

    def _ask(self, side: Side, now: float) -> fx.Effect:
        self._attempt += 1
        self._asking = side
        self._asked_s = now
        least = epoch_max(self.facts.turns)
        return fx.Acquire(side, self._attempt, least, now, self._taking)

    def _relay_away(self) -> bool:
        return self.facts.arbiter is not None and self._link == "down"

    def _may_run_apart(self, now: float) -> bool:
        return self._long_down(now) and (
            self._policy.offline == "allow" or self._apart_yes
        )

    def _long_down(self, now: float) -> bool:
        after_s = self._timing.offline_after_s
        return self._down_s is not None and now >= self._down_s + after_s

    def _explain_wait(self, now: float) -> list[fx.Effect]:
        if self._down_s is None:
            self._down_s = now
        if not self._long_down(now):
            # A link that is being made, or made anew, is not worth a word yet.
            return []
        asks = self._policy.offline == "ask"
        return self.tell(fx.AskApart() if asks else fx.RelayAway())
