"""The runner: asks for the lease, runs the next prompt, gives the lease back (05: 1.4).

A state machine without I/O: `handle` takes one signal and `now`, and returns effects
for a shell to carry out one after the other. It waits, sleeps and writes nothing.

| effect | the shell | answered by |
|---|---|---|
| Acquire | asks the arbiter, reads all rows it lacks | Given, Withheld, Failed |
| Begin | asks the arbiter | Begun, Failed |
| Renew | asks the arbiter | Renewed, or nothing |
| Release, RaiseEpoch | tells the arbiter | nothing |
| WriteClaim | one transaction, appended with `holding` | Written, Refused |
| WriteStarted | the same | Written, Refused |
| WriteEnded | the same; ordinary without `holding` | Written, Refused |
| WriteVoid, WriteDetached, WriteHeld, Flush | ordinary append | nothing |
| RunAgent | starts the agent, beside everything else | AgentEnded, once |
| StopAgent | cancels it, kills it in time | (that AgentEnded) |
| WakeAt | sets the one alarm | Tick |
| Tell | shows the notice | (AskApart: RunApart) |
| Done | ends | nothing |

Obligations of the shell:

- Facts are handed in before anything else, and after every change of queue, turns or
  arbiter, own changes too.
- Signals are handed in one at a time, each with the boottime at which `handle` is
  called, and the effects of one are carried out before those of the next, in order.
- Before each append of the agent's output it asks `may_write`; if the answer is no, it
  writes nothing and hands in a Tick. It appends with `holding`; `LeaseRefused` is
  handed in as Refused "output". None means an ordinary append.
- An update refused by the door is in the replica already. It goes into the log together
  with the next append without `holding`, before it (see `Refused`).
"""

from __future__ import annotations

from crdtsync.log import Holding
from crdtsync.turns import effects as fx
from crdtsync.turns import queue
from crdtsync.turns.course import Course
from crdtsync.turns.lease import Leases
from crdtsync.turns.plan import plan_turn
from crdtsync.turns.seeker import Seeker, Won
from crdtsync.turns.signals import (
    AgentEnded,
    Answer,
    Begun,
    Cancel,
    Facts,
    Failed,
    Freed,
    Given,
    Leave,
    LinkDown,
    LinkLive,
    News,
    Order,
    Policy,
    Refused,
    Renewed,
    RunApart,
    Signal,
    TakeOver,
    Tick,
    Who,
    Withheld,
    Written,
)
from crdtsync.turns.timing import Timing


class Runner:
    """Runs the turns of one session for one process, one at a time.

    Args:
        who: The runner itself; its id is never used by another process.
        timing: How long everything takes; the arbiters' ttl comes with each grant.
        policy: What the owner of the window wants.
    """

    def __init__(self, who: Who, timing: Timing, policy: Policy) -> None:
        self._who = who
        self._timing = timing
        self._policy = policy
        self._leases = Leases(timing)
        self._seeker = Seeker(timing, policy, self._leases)
        self._course: Course | None = None
        self._leaving = False
        self._gone = False
        self._alarm_s: float | None = None
        self._held_back: tuple[str, ...] = ()
        self._now = 0.0
        self._out: list[fx.Effect] = []

    @property
    def turn(self) -> str | None:
        """The turn that is being claimed, run or ended."""
        return self._course.turn.id if self._course else None

    @property
    def holding(self) -> Holding | None:
        """What to append output with; None once the lease is lost."""
        return self._course.holding if self._course else None

    def may_write(self, turn: str, now: float) -> bool:
        """Whether output of a turn may be appended now; ask before each append."""
        course = self._course
        return course is not None and course.turn.id == turn and course.may_write(now)

    def handle(self, signal: Signal, now: float) -> list[fx.Effect]:
        """Take one signal.

        Args:
            signal: What happened.
            now: The boottime of this call, seconds; never less than before.

        Returns:
            What to do, in this order, each carried out before the next.
        """
        self._now = now
        self._check_clock()
        match signal:
            case AgentEnded() | Cancel() | RunApart() | TakeOver() | Leave():
                self._obey(signal)
            case Facts() | Tick() | LinkLive() | LinkDown() | Freed():
                self._learn(signal)
            case _:
                self._take(signal)
        self._go_on()
        self._set_alarm()
        out, self._out = self._out, []
        return out

    def _check_clock(self) -> None:
        """Before anything else: any time may have passed since the last call."""
        if self._course is not None:
            self._out += self._course.check_clock(self._now)
        else:
            self._out += self._seeker.check_clock(self._now)

    def _learn(self, news: News) -> None:
        match news:
            case Facts():
                self._seeker.learn(news, self._now)
                self._tell_held_back()
                if self._course is not None:
                    self._out += self._course.heed(news)
            case LinkLive():
                self._seeker.link_live()
            case LinkDown():
                self._out += self._seeker.link_down(self._now)
                if self._course is not None:
                    self._out += self._course.link_down()
            case Freed():
                self._seeker.freed()
            case Tick():
                pass

    def _obey(self, order: Order) -> None:
        course = self._course
        match order:
            case AgentEnded() if course is not None and course.turn.id == order.turn:
                self._out += course.agent_ended(order)
            case Cancel() if course is not None and course.turn.id == order.turn:
                self._out += course.cancel()
            case RunApart():
                self._seeker.run_apart(yes=order.yes)
            case TakeOver() if course is None:
                self._seeker.take_over()
            case Leave():
                self._leaving = True
                self._out += course.leave() if course is not None else ()
            case _:
                pass

    def _take(self, answer: Answer) -> None:
        match answer:
            case Given():
                self._given(answer)
            case Withheld() if self._seeker.expects(answer.side, answer.attempt):
                self._out += self._seeker.withheld(answer.denied, self._now)
            case Failed() if self._seeker.expects(answer.side, answer.attempt):
                wait_s = self._timing.heartbeat_s
                self._out += self._seeker.give_up(wait_s, self._now)
            case _ if self._course is not None:
                self._out += self._pass_on(self._course, answer)

    def _pass_on(self, course: Course, answer: Answer) -> list[fx.Effect]:
        match answer:
            case Failed():
                return course.begin_failed(answer.side, answer.attempt)
            case Begun():
                return course.begun(answer, self._now)
            case Renewed():
                return course.renewed(answer)
            case Written() if answer.turn == course.turn.id:
                return course.written(answer.part, self._now)
            case Refused() if answer.turn == course.turn.id:
                return course.refused(answer.part)
            case _:
                return []

    def _given(self, given: Given) -> None:
        if not self._seeker.expects(given.side, given.attempt):
            # Given up long ago: nobody runs under it (A2), so nobody should wait.
            epoch = given.granted.epoch
            self._out.append(fx.Release(given.side, epoch, given.attempt))
            return
        effects, won = self._seeker.given(given, self._now)
        self._out += effects
        self._tell_held_back()
        if won is not None:
            self._claim(won)

    def _claim(self, won: Won) -> None:
        facts, policy, timing = self._seeker.facts, self._policy, self._timing
        plan = plan_turn(won, facts, self._who, policy, timing, now=self._now)
        if plan.hold:
            self._out.append(fx.WriteHeld(plan.hold))
        if plan.turn is None or self._leaving:
            self._out += self._seeker.give_up(timing.tick_s, self._now)
            return
        self._course = Course(plan.turn, self._leases, timing, policy)
        self._out += self._course.claim()

    def _go_on(self) -> None:
        """Do what is due, and seek the next turn when one is over."""
        if self._course is not None:
            self._out += self._course.go_on(self._now)
            if self._course.over:
                self._seeker.retry_after(self._course.retry_s, self._now)
                self._course = None
        if self._course is not None or not self._seeker.idle:
            return
        if not self._leaving:
            self._out += self._seeker.seek(self._now)
        elif not self._gone:
            self._gone = True
            self._out.append(fx.Done())

    def _set_alarm(self) -> None:
        """Ask to be woken for the next thing that is due, if that has changed."""
        if self._alarm_s is not None and self._now >= self._alarm_s:
            self._alarm_s = None
        wakes = self._course.wakes() if self._course else self._seeker.wakes()
        alarm_s = min((at_s for at_s in wakes if at_s > self._now), default=None)
        if alarm_s != self._alarm_s:
            self._alarm_s = alarm_s
            self._out.append(fx.WakeAt(alarm_s))

    def _tell_held_back(self) -> None:
        facts = self._seeker.facts
        held_back = queue.awaiting_release(facts.entries, facts.turns)
        if held_back != self._held_back:
            self._held_back = held_back
            self._out.append(fx.Tell(fx.NeedRelease(held_back)))
