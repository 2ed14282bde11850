"""The course of one turn from its claim to its end (05: 1.4); it asks for no lease.

Every method returns what the shell is to do. After `over` the runner seeks anew.
"""

from __future__ import annotations

from enum import Enum, auto

from crdtsync.log import Holding
from crdtsync.turns import effects as fx
from crdtsync.turns.lease import Leases
from crdtsync.turns.plan import Turn
from crdtsync.turns.signals import AgentEnded, Begun, Facts, Part, Policy, Renewed, Side
from crdtsync.turns.timing import Timing


class Phase(Enum):
    """Where a turn is; in CLAIM, START and END a write is under way."""

    CLAIM = auto()
    SETTLE = auto()
    BEGIN = auto()
    START = auto()
    RUN = auto()
    STOP = auto()
    DETACHED = auto()
    END = auto()
    OVER = auto()


class Course:
    """One turn of this runner.

    Args:
        turn: What is claimed.
        leases: Held for it; given back at its end.
        timing: How long everything takes.
        policy: What to do when the lease is lost.

    Attributes:
        retry_s: After so many seconds another turn may be tried.
    """

    def __init__(
        self, turn: Turn, leases: Leases, timing: Timing, policy: Policy
    ) -> None:
        self.turn = turn
        self.retry_s = 0.0
        self._leases = leases
        self._timing = timing
        self._policy = policy
        self._phase = Phase.CLAIM
        self._lost = False
        self._cancelled = False
        self._doomed = False
        self._since_s = 0.0

    @property
    def over(self) -> bool:
        """Whether the turn is done with and nothing is held for it."""
        return self._phase is Phase.OVER

    @property
    def holding(self) -> Holding | None:
        """What to show at the log's door; None once the lease is lost."""
        return None if self._lost else self._leases.door()

    def may_write(self, now: float) -> bool:
        """Whether output may be appended."""
        if self._phase is Phase.DETACHED:
            return True
        writes = self._phase in (Phase.RUN, Phase.STOP) and not self._lost
        return writes and not self._leases.over(now)

    def claim(self) -> list[fx.Effect]:
        """Open the turn: write the claim."""
        holding = self._leases.door()
        return [fx.WriteClaim(self.turn.id, self.turn.claim, holding)]

    def check_clock(self, now: float) -> list[fx.Effect]:
        """Find out what time has taken away, before anything else is done."""
        if self._leases.over(now):
            return self._lose()
        late_s = self._since_s + self._timing.rpc_timeout_s
        if self._phase is Phase.BEGIN and self._side == "relay" and now >= late_s:
            return self._void()
        return []

    def go_on(self, now: float) -> list[fx.Effect]:
        """Do what is due."""
        if self._phase is Phase.SETTLE and now >= self._settled_s:
            return self._begin(now)
        if self._phase in (Phase.RUN, Phase.STOP) and not self._lost:
            return [*self._leases.renew(now)]
        return []

    def wakes(self) -> list[float]:
        """When something is due."""
        times: list[float | None] = []
        if not self._lost and self._phase is not Phase.END:
            times.append(self._leases.deadline_s())
        if self._phase in (Phase.RUN, Phase.STOP) and not self._lost:
            times.append(self._leases.renew_s())
        if self._phase is Phase.SETTLE:
            times.append(self._settled_s)
        if self._phase is Phase.BEGIN and self._side == "relay":
            times.append(self._since_s + self._timing.rpc_timeout_s)
        return [at_s for at_s in times if at_s is not None]

    def written(self, part: Part, now: float) -> list[fx.Effect]:
        """Go on after a write became durable."""
        match part, self._phase:
            case "claim", Phase.CLAIM:
                return self._claimed(now)
            case "started", Phase.START:
                return self._started()
            case "ended", Phase.END:
                return self._finish()
            case _:
                return []

    def refused(self, part: Part) -> list[fx.Effect]:
        """Take the word of the log's door: the lease is over."""
        match part, self._phase:
            case ("claim", Phase.CLAIM) | ("started", Phase.START):
                return self._void()
            case "ended", Phase.END:
                return [fx.Flush(), *self._finish()]
            case "output", _:
                return self._lose()
            case _:
                return []

    def begun(self, begun: Begun, now: float) -> list[fx.Effect]:
        """Take up the arbiter's confirmation, without which nothing starts."""
        expected = self._phase is Phase.BEGIN and begun.side == self._side
        if not expected or not self._leases.holds(begun.side, begun.attempt):
            return []
        self._leases.confirm(begun.side, begun.sent_s)
        if not begun.ok or self._leases.over(now):
            return self._void()
        self._phase = Phase.START
        holding, prompts = self._leases.door(), self.turn.claim.prompts
        return [fx.WriteStarted(self.turn.id, prompts, holding)]

    def begin_failed(self, side: Side, attempt: int) -> list[fx.Effect]:
        """Give up a turn that could not be confirmed."""
        unsure = self._phase is Phase.BEGIN and self._leases.holds(side, attempt)
        return self._void() if unsure else []

    def link_down(self) -> list[fx.Effect]:
        """Give up what waits for the relay; a running turn goes on to its deadline."""
        waits = self._phase in (Phase.SETTLE, Phase.BEGIN) and self._side == "relay"
        return self._void() if waits else []

    def renewed(self, renewed: Renewed) -> list[fx.Effect]:
        """Take up a renewal, or that the lease is lost."""
        if not self._leases.holds(renewed.side, renewed.attempt):
            return []
        if not renewed.ok:
            return self._lose()
        self._leases.confirm(renewed.side, renewed.sent_s)
        return []

    def heed(self, facts: Facts) -> list[fx.Effect]:
        """Give way to a better claim while an offline claim settles: courtesy."""
        gives_way = self._phase is Phase.SETTLE and self.turn.yields_to(facts)
        return self._void() if gives_way else []

    def cancel(self) -> list[fx.Effect]:
        """Stop the turn on a person's word; its prompts stay consumed."""
        self._cancelled = True
        if self._phase not in (Phase.RUN, Phase.DETACHED):
            return []
        if self._phase is Phase.RUN:
            self._phase = Phase.STOP
        return [fx.StopAgent(self.turn.id, self._timing.stop_time_s)]

    def leave(self) -> list[fx.Effect]:
        """Stop the turn because the process ends; before its start it is void."""
        if self._phase in (Phase.CLAIM, Phase.START):
            self._doomed = True
            return []
        if self._phase in (Phase.SETTLE, Phase.BEGIN):
            return self._void()
        return self.cancel()

    def agent_ended(self, ended: AgentEnded) -> list[fx.Effect]:
        """Write how the turn ended."""
        if self._phase not in (Phase.RUN, Phase.STOP, Phase.DETACHED):
            return []
        reason = "cancelled" if self._cancelled else ended.stop_reason
        if self._lost and self._phase is Phase.STOP:
            reason = "lost_lease"
        return self._end(reason, ended)

    def _claimed(self, now: float) -> list[fx.Effect]:
        if self._doomed:
            return self._void()
        self._since_s = now
        if self.turn.claim.grant == "offline":
            self._phase = Phase.SETTLE
            return []
        return self._begin(now)

    def _begin(self, now: float) -> list[fx.Effect]:
        lease = self._leases.get(self._side)
        self._phase = Phase.BEGIN
        self._since_s = now
        side, epoch, attempt = lease.side, lease.epoch, lease.attempt
        return [fx.Begin(side, epoch, attempt, self.turn.id, now)]

    def _started(self) -> list[fx.Effect]:
        if self._doomed:
            return self._void()
        if self._cancelled:
            return self._end("cancelled", None)
        self._phase = Phase.RUN
        return [fx.RunAgent(self.turn.id, self.turn.claim.prompts)]

    def _lose(self) -> list[fx.Effect]:
        """Leave the turn as far as it is, for the lease is over."""
        match self._phase:
            case Phase.CLAIM | Phase.START:
                self._doomed = True
            case Phase.SETTLE | Phase.BEGIN:
                return self._void()
            case Phase.RUN if self._policy.lost == "finish":
                self._lost = True
                self._phase = Phase.DETACHED
                self._leases.drop()
                return [fx.WriteDetached(self.turn.id)]
            case Phase.RUN:
                self._lost = True
                self._phase = Phase.STOP
                return [fx.StopAgent(self.turn.id, self._timing.stop_time_s)]
            case Phase.STOP:
                self._lost = True
            case _:
                pass
        return []

    def _void(self) -> list[fx.Effect]:
        """Say that the turn never started, which makes its prompts pending again."""
        self.retry_s = self._timing.heartbeat_s
        return [fx.WriteVoid(self.turn.id), *self._finish()]

    def _end(self, reason: str, ended: AgentEnded | None) -> list[fx.Effect]:
        holding = self.holding
        self._phase = Phase.END
        error = ended.error if ended else None
        usage = ended.usage if ended else None
        return [fx.WriteEnded(self.turn.id, reason, holding, error, usage)]

    def _finish(self) -> list[fx.Effect]:
        self._phase = Phase.OVER
        return [*self._leases.release()]

    @property
    def _side(self) -> Side:
        return "relay" if self.turn.claim.grant == "relay" else "local"

    @property
    def _settled_s(self) -> float:
        return self._since_s + self._timing.settle_s
