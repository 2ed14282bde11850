"""A simulated world for runners: machines with a log and a local arbiter, processes.

The cores are the real ones. The shell here is the thinnest that keeps the obligations
of `runner`; every step of it takes time, and a process may be stopped between any two.
`Faults` breaks one rule at a time, to see that the checks of `checks` notice it.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from crdtsync.log import Holding
from crdtsync.turns import effects as fx
from crdtsync.turns import queue
from crdtsync.turns import signals as sg
from crdtsync.turns.arbiter import Arbiter, Granted, LeaseState, created_here
from crdtsync.turns.claim import Claim, Cut, TurnRecord
from crdtsync.turns.runner import Runner
from crdtsync.turns.timing import Timing

CHUNKS_MAX = 12


@dataclass(frozen=True)
class Op:
    """One change of the document; unlike Yjs updates, simply a fact in a set."""

    id: str
    kind: str
    key: str
    value: object = None


@dataclass(frozen=True)
class Faults:
    """Rules that the simulated shell or arbiter may break (the mutations).

    Without `watched`, L1 is not looked at: what it leads to in the end counts.
    """

    no_arbiter: bool = False
    no_begin: bool = False
    no_door: bool = False
    no_merge_hold: bool = False
    stale_facts: bool = False
    counted_from_receipt: bool = False
    clock_stands_still: bool = False
    release_of_anything: bool = False
    rate: float = 1.0
    watched: bool = True


class Document:
    """What a replica knows: the facts of the log up to a row."""

    def __init__(self) -> None:
        self.ops: dict[str, Op] = {}
        self.turns: dict[str, TurnRecord] = {}
        self.entries: dict[str, queue.QueueEntry] = {}
        self.output: dict[str, list[str]] = {}

    def apply(self, op: Op) -> None:
        if op.id in self.ops:
            return
        self.ops[op.id] = op
        if op.kind in ("queue", "held", "released"):
            self._apply_queue(op)
        else:
            self._apply_turn(op)

    def _apply_queue(self, op: Op) -> None:
        if op.kind == "queue":
            self.entries[op.key] = queue.QueueEntry(op.key, str(op.value))
        elif op.kind == "held":
            self.entries[op.key] = replace(self.entries[op.key], held=True)
        else:
            self.entries[op.key] = replace(self.entries[op.key], released_by="ana")

    def _apply_turn(self, op: Op) -> None:
        turn = self.turns.setdefault(op.key, TurnRecord(op.key))
        if op.kind == "output":
            self.output.setdefault(op.key, []).append(op.id)
            return
        changes: dict[str, TurnRecord] = {
            "started": replace(turn, started=True),
            "void": replace(turn, void=True),
            "ended": replace(turn, ended=True, stop_reason=str(op.value)),
        }
        if isinstance(op.value, Claim):
            changes["claim"] = replace(turn, claim=op.value)
        if isinstance(op.value, Cut):
            changes["detached"] = replace(turn, detached_at=op.value)
        self.turns[op.key] = changes[op.kind]

    def cut(self, turn: str) -> Cut:
        length = len(self.output.get(turn, ()))
        return Cut(1 if length else 0, length)

    def facts(self, arrived_s: dict[str, float]) -> sg.Facts:
        return sg.Facts(
            entries=tuple(self.entries.values()),
            turns=tuple(self.turns.values()),
            cuts={t.id: self.cut(t.id) for t in self.turns.values() if not t.final},
            arrived_s=dict(arrived_s),
        )


@dataclass
class Machine:
    """A data folder: one log, one local arbiter, any number of processes."""

    name: str
    state: LeaseState
    rows: list[Op] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)


class World:
    """Time, chance and everything else."""

    def __init__(
        self, seed: int, timing: Timing, faults: Faults, policy: sg.Policy
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311
        self.timing = timing
        self.faults = faults
        self.policy = policy
        self.now = 1000.0
        self.machines: list[Machine] = []
        self.watch: Callable[[], None] = lambda: None
        self.latency_s = 0.05
        self.bell_s = 0.05
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def unique(self) -> int:
        self._count += 1
        return self._count

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, self.unique(), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def soon(self) -> float:
        return self.rng.random() ** 3 * self.latency_s

    def machine(self, name: str, *, rows: list[Op] | None = None) -> Machine:
        arb = f"arb-{name}"
        machine = Machine(name, created_here(arb, now=self.now, boot="b"))
        machine.rows = list(rows or [])
        self.machines.append(machine)
        return machine

    def open(self, machine: Machine) -> Process:
        process = Process(self, machine, f"r{self.unique()}")
        machine.processes.append(process)
        process.loaded()
        return process

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
            self.watch()
        self.now = until

    def append(self, machine: Machine, ops: list[Op]) -> None:
        known = {op.id for op in machine.rows}
        machine.rows += [op for op in ops if op.id not in known]
        for process in machine.processes:
            self.after(self.rng.random() ** 3 * self.bell_s, process.bell)

    def merge(self, source: Machine, target: Machine) -> None:
        """Merge one folder into another, with rule Q4."""
        before, after = Document(), Document()
        for op in target.rows:
            before.apply(op)
            after.apply(op)
        for op in source.rows:
            after.apply(op)
        was = set(queue.pending(before.entries.values(), before.turns.values()))
        hold = queue.hold_on_merge(was, after.entries.values(), after.turns.values())
        held = [Op(f"held/{p}", "held", p) for p in hold]
        if self.faults.no_merge_hold:
            held = []
        self.append(target, [*source.rows, *held])

    def arbiter(self, machine: Machine) -> Arbiter:
        state, ttl_s = machine.state, self.timing.ttl_s
        return Arbiter(state, now=self.now, boot="b", ttl_s=ttl_s)


class Process:
    """A window: a replica, a runner and an agent."""

    def __init__(self, world: World, machine: Machine, name: str) -> None:
        self.world = world
        self.machine = machine
        self.name = name
        self.alive = True
        self.document = Document()
        who = sg.Who(name, machine.name, "demo")
        self.runner = Runner(who, world.timing, world.policy)
        self.agent: str | None = None
        self.detached = False
        self.stopping = False
        self.notices: list[fx.Notice] = []
        self.gone = False
        self._seq = 0
        self._asleep_s = 0.0
        self._wake = 0.0
        self._inbox: deque[sg.Signal] = deque()
        self._todo: deque[fx.Effect] = deque()
        self._busy = False
        self._outbox: list[Op] = []
        self._arrived_s: dict[str, float] = {}
        self._asked_facts = sg.Facts()
        self._alarm = 0

    # Time.

    def clock(self) -> float:
        """This process's boottime: another origin, perhaps another rate."""
        elapsed = self.world.now - self._asleep_s
        return 5e5 + elapsed * self.world.faults.rate

    @property
    def paused(self) -> bool:
        return self.world.now < self._wake

    def pause(self, seconds: float) -> None:
        self._wake = max(self._wake, self.world.now + seconds)
        if self.world.faults.clock_stands_still:
            self._asleep_s += seconds

    def crash(self) -> None:
        self.alive = False
        self.agent = None
        self.machine.processes.remove(self)

    def step(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something later, when the process is running at that time."""

        def try_now() -> None:
            if not self.alive:
                return
            if self.paused:
                self.world.at(self._wake, try_now)
            else:
                what()

        self.world.after(seconds, try_now)

    # The loop of the shell: one signal, all its effects, the next signal.

    def post(self, signal: sg.Signal) -> None:
        self._inbox.append(signal)
        if not self._busy:
            self._busy = True
            self.step(self.world.soon(), self._work)

    def _work(self) -> None:
        if self._todo:
            self._perform(self._todo.popleft())
        elif self._inbox:
            signal = self._inbox.popleft()
            self._todo.extend(self.runner.handle(signal, self.clock()))
        self._busy = bool(self._todo or self._inbox)
        if self._busy:
            self.step(self.world.soon(), self._work)

    def bell(self) -> None:
        self.step(0.0, self._heard)

    def loaded(self) -> None:
        self._read(live=False)
        self.post(self.document.facts(self._arrived_s))

    def _heard(self) -> None:
        if self._read(live=True):
            self.post(self.document.facts(self._arrived_s))

    def _read(self, *, live: bool) -> bool:
        new = self.machine.rows[self._seq :]
        self._seq = len(self.machine.rows)
        for op in new:
            self.document.apply(op)
            if live and op.kind == "queue" and len(new) == 1:
                self._arrived_s[op.key] = self.clock()
        return any(op.kind != "output" for op in new)

    # The log.

    def _append(self, ops: list[Op], holding: Holding | None) -> bool:
        for op in ops:
            self.document.apply(op)
        if holding is not None and not self._door(holding):
            self._outbox += ops
            return False
        kept = [] if holding is not None else self._outbox
        self.world.append(self.machine, [*kept, *ops])
        if holding is None:
            self._outbox = []
        self._read(live=True)
        if any(op.kind != "output" for op in ops):
            self.post(self.document.facts(self._arrived_s))
        return True

    def _door(self, holding: Holding) -> bool:
        faults = self.world.faults
        if faults.no_door or faults.no_arbiter:
            return True
        arbiter = self.world.arbiter(self.machine)
        self.machine.state = arbiter.state
        return arbiter.holds(holding.epoch, holding.attempt)

    def _op(self, kind: str, key: str, value: object = None) -> Op:
        return Op(f"{kind}/{key}", kind, key, value)

    def type(self, prompt: str) -> None:
        """Let a person type a prompt here."""
        rank = queue.rank_last(self.document.entries.values())
        self._arrived_s[prompt] = self.clock()
        self._append([self._op("queue", prompt, rank)], None)

    def release_held(self) -> None:
        """Let a person release whatever waits for it."""
        document = self.document
        held = queue.awaiting_release(
            document.entries.values(), document.turns.values()
        )
        if held:
            self._append([self._op("released", p) for p in held], None)

    # Effects.

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Acquire():
                self._acquire(effect)
            case fx.Begin() | fx.Renew() | fx.Release():
                self._ask(effect)
            case fx.RunAgent():
                self._start_agent(effect)
            case fx.StopAgent():
                self._stop_agent(effect)
            case fx.WakeAt():
                self._set_alarm(effect.at_s)
            case fx.Tell():
                self.notices.append(effect.notice)
            case fx.Done():
                self.gone = True
            case _:
                self._write(effect)

    def _acquire(self, effect: fx.Acquire) -> None:
        arbiter = self.world.arbiter(self.machine)
        answer = arbiter.acquire(self.name, effect.attempt, effect.min_epoch)
        self.machine.state = arbiter.state
        if self.world.faults.no_arbiter:
            answer = Granted("none", effect.min_epoch + 1, 15.0, 0.0)
        asked = self.document.facts(self._arrived_s)

        def tell() -> None:
            if not isinstance(answer, Granted):
                self.post(sg.Withheld("local", effect.attempt, answer))
                return
            self._read(live=True)
            stale = self.world.faults.stale_facts
            facts = asked if stale else self.document.facts(self._arrived_s)
            fresh = f"t{self.world.unique():06}"
            sent_s = self._stamp(effect.sent_s)
            self.post(sg.Given("local", effect.attempt, sent_s, answer, facts, fresh))

        self.step(self.world.soon(), tell)

    def _stamp(self, sent_s: float) -> float:
        late = self.world.faults.counted_from_receipt
        return self.clock() if late else sent_s

    def _ask(self, effect: fx.Begin | fx.Renew | fx.Release) -> None:
        arbiter = self.world.arbiter(self.machine)
        epoch, attempt = effect.epoch, effect.attempt
        match effect:
            case fx.Begin():
                ok = arbiter.begin(epoch, attempt, effect.turn)
            case fx.Renew():
                ok = arbiter.renew(epoch, attempt)
            case fx.Release():
                if self.world.faults.release_of_anything:
                    epoch, attempt = arbiter.state.epoch, arbiter.state.attempt
                arbiter.release(epoch, attempt)
                self.machine.state = arbiter.state
                return
        self.machine.state = arbiter.state
        free = self.world.faults.no_begin or self.world.faults.no_arbiter
        answer = sg.Begun if isinstance(effect, fx.Begin) else sg.Renewed

        def tell() -> None:
            stamp = self._stamp(effect.sent_s)
            self.post(answer("local", effect.attempt, stamp, ok or free))

        self.step(self.world.soon(), tell)

    def _write(self, effect: fx.Effect) -> None:
        match effect:
            case fx.WriteClaim():
                self._write_part("claim", effect.turn, effect.claim, effect.holding)
            case fx.WriteStarted():
                self._write_part("started", effect.turn, None, effect.holding)
            case fx.WriteEnded():
                reason = effect.stop_reason
                self._write_part("ended", effect.turn, reason, effect.holding)
            case fx.WriteVoid():
                self._append([self._op("void", effect.turn)], None)
            case fx.WriteDetached():
                self.detached = True
                cut = self._cut_of(effect.turn)
                self._append([self._op("detached", effect.turn, cut)], None)
            case fx.WriteHeld():
                self._append([self._op("held", p) for p in effect.prompts], None)
            case fx.Flush():
                self._append([], None)
            case _:
                raise AssertionError(effect)

    def _cut_of(self, turn: str) -> Cut:
        refused = sum(op.kind == "output" for op in self._outbox)
        cut = self.document.cut(turn)
        return Cut(cut.messages, cut.length - refused)

    def _write_part(
        self, part: sg.Part, turn: str, value: object, holding: Holding | None
    ) -> None:
        done = self._append([self._op(part, turn, value)], holding)
        self.post(sg.Written(part, turn) if done else sg.Refused(part, turn))

    def _set_alarm(self, at_s: float | None) -> None:
        self._alarm += 1
        mine = self._alarm
        if at_s is None:
            return

        def ring() -> None:
            if mine == self._alarm:
                self.post(sg.Tick())

        wait_s = max(0.0, at_s - self.clock()) / self.world.faults.rate
        self.step(wait_s, ring)

    # The agent.

    def _start_agent(self, effect: fx.RunAgent) -> None:
        self.agent = effect.turn
        self.detached = self.stopping = False
        chunks = self.world.rng.randint(0, CHUNKS_MAX)
        self._speak(effect.turn, chunks)

    def _speak(self, turn: str, left: int) -> None:
        if self.agent != turn or self.stopping:
            return
        if left == 0:
            self._agent_ends(turn, "end_turn")
            return
        if not self.runner.may_write(turn, self.clock()):
            self.post(sg.Tick())
            self.step(0.2, lambda: self._speak(turn, left))
            return
        holding = self.runner.holding
        self.step(self.world.soon(), lambda: self._output(turn, holding))
        pace_s = self.world.rng.random() * 2.0 + self.world.latency_s
        self.step(pace_s, lambda: self._speak(turn, left - 1))

    def _output(self, turn: str, holding: Holding | None) -> None:
        if self.agent != turn:
            return
        op = Op(f"output/{turn}/{self.world.unique():06}", "output", turn)
        if not self._append([op], holding):
            self.post(sg.Refused("output", turn))

    def _stop_agent(self, effect: fx.StopAgent) -> None:
        self.stopping = True
        takes_s = self.world.rng.random() * effect.within_s
        self.step(takes_s, lambda: self._agent_ends(effect.turn, "cancelled"))

    def _agent_ends(self, turn: str, reason: str) -> None:
        if self.agent == turn:
            self.agent = None
            self.post(sg.AgentEnded(turn, reason))
