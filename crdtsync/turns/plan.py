"""What to run with a fresh grant, and the claim that says so; it keeps no state."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.turns import queue
from crdtsync.turns.claim import Claim, TurnRecord, epoch_max, survey
from crdtsync.turns.seeker import Won
from crdtsync.turns.signals import Facts, Policy, Who
from crdtsync.turns.stretch import rank
from crdtsync.turns.timing import Timing


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of this runner.

    Attributes:
        id: Its id.
        claim: What its claim says.
        seen: The turns that the document held at the claim.
    """

    id: str
    claim: Claim
    seen: frozenset[str]

    def yields_to(self, facts: Facts) -> bool:
        """Whether a turn claimed at the same time ranks higher and is not void."""
        mine = rank(TurnRecord(self.id, self.claim))
        return any(
            turn.id not in self.seen and not turn.final and rank(turn) > mine
            for turn in facts.turns
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a grant.

    Attributes:
        turn: To claim; None if there is nothing to run.
        hold: Prompts to hold first: nobody has asked for them lately (Q5), or they
            are beyond a limit on loops of agents.
    """

    turn: Turn | None
    hold: tuple[str, ...] = ()


def plan_turn(
    won: Won, facts: Facts, who: Who, policy: Policy, timing: Timing, *, now: float
) -> Plan:
    """Choose the prompts after the grant, never before (C2), and make the claim.

    Nothing is claimed under an epoch that is not above all in the document (C1).
    """
    epoch, arb = won.lease.epoch, won.lease.arb
    if epoch <= epoch_max(facts.turns):
        return Plan(None)
    live = queue.recent(facts.arrived_s, now, timing.hold_after_s)
    hold = queue.hold_when_idle(
        facts.entries,
        facts.turns,
        idle_s=won.lease.idle_s,
        idle_hold_s=timing.idle_hold_s,
        live=live,
    )
    pending = queue.pending(facts.entries, facts.turns)
    hold += tuple(p for p in pending if p in facts.beyond and p not in hold)
    prompts = tuple(p for p in pending if p not in hold)[: max(1, policy.collect_max)]
    if not prompts:
        return Plan(None, hold)
    basis = survey(
        facts.turns, facts.cuts, arb=arb, machine=who.machine, grant=won.grant
    )
    claim = Claim(
        epoch=epoch,
        arb=arb,
        grant=won.grant,
        runner=who.runner,
        machine=who.machine,
        agent=who.agent,
        prompts=prompts,
        after=basis.after,
        closes=basis.closes,
    )
    seen = frozenset(turn.id for turn in facts.turns)
    return Plan(Turn(won.fresh_turn, claim, seen), hold)
