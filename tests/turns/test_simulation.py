"""Runners, arbiters and logs under crashes, pauses and merges, on simulated clocks.

Each scenario runs over many seeds; each mutation breaks one rule and must be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from crdtsync.turns import queue
from crdtsync.turns import signals as sg
from crdtsync.turns.claim import Basis, Claim, Cut, TurnRecord, survey
from crdtsync.turns.order import read_turns
from crdtsync.turns.timing import Timing
from tests.turns.checks import Violation, check, check_log, check_now, document_of
from tests.turns.world import Faults, Machine, World

# Raise it to search longer; the default keeps the suite within seconds.
SEEDS = 25
MUTATION_SEEDS = 400

Scenario = Callable[[int, Faults], None]


def world(
    seed: int, faults: Faults, policy: sg.Policy | None = None
) -> tuple[World, Machine]:
    made = World(seed, Timing(), faults, policy or sg.Policy())
    if faults.watched:
        made.watch = lambda: check_now(made)
    return made, made.machine("m1")


def type_some(
    made: World, machine: Machine, count: int, within_s: float, first: int = 0
) -> set[str]:
    typed = set()
    for k in range(first, first + count):
        prompt = f"p{machine.name}{k:03}"
        typed.add(prompt)

        def type_one(prompt: str = prompt) -> None:
            made.rng.choice(machine.processes or [made.open(machine)]).type(prompt)

        made.after(made.rng.random() * within_s, type_one)
    return typed


def all_consumed(machine: Machine) -> None:
    document = document_of(machine)
    left = queue.pending(document.entries.values(), document.turns.values())
    check(left == (), f"L6: {left} never ran")


def quiet_end(made: World, machine: Machine, typed: set[str]) -> None:
    """Let everything run out without faults; then all must have been run."""
    if not machine.processes:
        made.open(machine)
    made.run(made.now + 150.0)
    for _ in range(3):
        made.rng.choice(machine.processes).release_held()
        made.run(made.now + 100.0)
    check_log(machine, typed)
    all_consumed(machine)


def five_windows(seed: int, faults: Faults) -> None:
    """Scenario 1: five windows submit within 5 ms; bells may be late."""
    made, machine = world(seed, faults)
    made.bell_s = made.rng.choice((0.05, 1.0, 10.0))
    for _ in range(5):
        made.open(machine)
    made.run(made.now + 1.0)
    typed = type_some(made, machine, 5, 0.005)
    quiet_end(made, machine, typed)


def one_prompt(seed: int, faults: Faults) -> None:
    """Two windows, one prompt, and documents that lag behind the lease (X3, X4)."""
    made, machine = world(seed, faults)
    made.bell_s = 10.0
    made.open(machine)
    made.open(machine)
    typed = type_some(made, machine, 1, 1.0)
    quiet_end(made, machine, typed)


def crashes(seed: int, faults: Faults) -> None:
    """Scenario 3: kill -9 at any step, a new window in its place."""
    made, machine = world(seed, faults)
    for _ in range(3):
        made.open(machine)
    typed = type_some(made, machine, 4, 20.0)
    for _ in range(made.rng.randint(1, 3)):
        made.run(made.now + made.rng.random() * 12.0)
        made.rng.choice(machine.processes).crash()
        if made.rng.random() < 0.7 or not machine.processes:
            made.open(machine)
    made.run(made.now + 25.0)
    quiet_end(made, machine, typed)


def pauses(seed: int, faults: Faults) -> None:
    """Scenarios 4, 10, 11: SIGSTOP or sleep at any step, shorter and longer."""
    made, machine = world(seed, faults)
    made.latency_s = 0.4
    made.bell_s = made.rng.choice((0.05, 5.0))
    for _ in range(made.rng.randint(2, 3)):
        made.open(machine)
    typed = type_some(made, machine, 4, 15.0)
    for _ in range(made.rng.randint(2, 6)):
        made.run(made.now + made.rng.random() ** 2 * 8.0)
        busy = [p for p in machine.processes if p.runner.turn or p.agent]
        victim = made.rng.choice(busy or machine.processes)
        victim.pause(made.rng.choice((1.0, 3.0, 8.0, 14.0, 17.0, 40.0)))
    made.run(made.now + 45.0)
    quiet_end(made, machine, typed)


def short_pauses(seed: int, faults: Faults) -> None:
    """Scenario 5: pauses below the margin leave no trace at all."""
    made, machine = world(seed, faults)
    process, _ = made.open(machine), made.open(machine)
    typed = type_some(made, machine, 3, 10.0)
    for _ in range(4):
        made.run(made.now + made.rng.random() * 10.0)
        process.pause(made.rng.random() * 3.5)
    quiet_end(made, machine, typed)
    for turn in document_of(machine).turns.values():
        check(turn.stop_reason == "end_turn", f"{turn.id}: {turn.stop_reason}")


def finishing(seed: int, faults: Faults) -> None:
    """Policy finish: what is written without a lease is detached or late."""
    made, machine = world(seed, faults, sg.Policy(lost="finish"))
    made.open(machine)
    made.open(machine)
    typed = type_some(made, machine, 3, 5.0)
    for _ in range(3):
        made.run(made.now + made.rng.random() * 9.0)
        busy = [p for p in machine.processes if p.agent]
        made.rng.choice(busy or machine.processes).pause(20.0)
    quiet_end(made, machine, typed)


def copied_folders(seed: int, faults: Faults) -> None:
    """Scenarios 7, 15, 18: a folder copied, both sides run, merged both ways."""
    made, first = world(seed, faults)
    made.open(first)
    typed = type_some(made, first, 2, 5.0)
    made.run(made.now + made.rng.random() * 30.0)
    second = made.machine("m2", rows=first.rows)
    made.open(second)
    typed |= type_some(made, first, 3, 30.0, first=2)
    typed |= type_some(made, second, 3, 30.0)
    for _ in range(3):
        made.run(made.now + made.rng.random() * 30.0)
        source, target = made.rng.sample([first, second], 2)
        made.merge(source, target)
        check_unreleased(first)
        check_unreleased(second)
    made.run(made.now + 60.0)
    check_unreleased(first)
    check_unreleased(second)
    made.merge(first, second)
    made.merge(second, first)
    quiet_end(made, first, typed)
    made.merge(first, second)
    readings = [check_log(machine, typed) for machine in (first, second)]
    check(readings[0].order == readings[1].order, "L3: the readings differ")
    check(readings[0].classes == readings[1].classes, "L3: the classes differ")


def check_unreleased(machine: Machine) -> None:
    """L7: nothing runs away from home before a person released it."""
    released = {op.key for op in machine.rows if op.kind == "released"}
    for op in machine.rows:
        claim = op.value
        if op.kind == "claim" and isinstance(claim, Claim):
            for prompt in claim.prompts:
                home = prompt.startswith(f"p{claim.machine}")
                early = prompt in ("pm1000", "pm1001")
                check(home or early or prompt in released, f"L7: {prompt} in {op.id}")


SCENARIOS: tuple[Scenario, ...] = (
    five_windows,
    one_prompt,
    crashes,
    pauses,
    short_pauses,
    finishing,
    copied_folders,
)


@dataclass(frozen=True)
class Mutation:
    """One rule broken, and the checks that may notice it.

    The search begins at seed `near`, where it was noticed once, and goes round.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    noticed: tuple[str, ...]
    faults: Faults = field(default_factory=Faults)
    patch: tuple[str, object] | None = None
    near: int = 0


def no_closing(
    turns: Iterable[TurnRecord], cuts: Mapping[str, Cut], **names: Any
) -> Basis:
    return Basis(survey(turns, cuts, **names).after, {})


MUTATIONS = (
    Mutation("N1 no arbiter", (five_windows,), ("L1",), Faults(no_arbiter=True)),
    Mutation(
        "X2 no BEGIN, no door, late clock",
        (pauses,),
        ("L4",),
        Faults(no_begin=True, no_door=True, clock_stands_still=True, watched=False),
        near=8,
    ),
    Mutation(
        "X3 prompt chosen before the grant",
        (one_prompt,),
        ("L4",),
        Faults(stale_facts=True),
        near=217,
    ),
    Mutation(
        "X6b no door, no C1",
        (pauses,),
        ("L2a",),
        Faults(no_door=True, clock_stands_still=True),
        ("crdtsync.turns.plan.epoch_max", lambda turns: 0),
        near=302,
    ),
    Mutation("T3 slow clock", (crashes, pauses), ("L1",), Faults(rate=0.6)),
    Mutation("T4 no margin", (pauses,), ("L1",), patch=("margin", 0.0)),
    Mutation(
        "T5 counted from receipt",
        (pauses,),
        ("L1",),
        Faults(counted_from_receipt=True),
        near=360,
    ),
    Mutation(
        "T6 release without epoch",
        (pauses,),
        ("L1",),
        Faults(release_of_anything=True),
    ),
    Mutation(
        "T7 clock stands still", (pauses,), ("L1",), Faults(clock_stands_still=True)
    ),
    Mutation("X7 no hold", (copied_folders,), ("L7",), Faults(no_merge_hold=True)),
    Mutation(
        "X8 closes what it has no proof of",
        (copied_folders,),
        ("L2c",),
        patch=("crdtsync.turns.claim._over", lambda claim, **_: True),
    ),
    Mutation(
        "X10 claim without closes",
        (crashes, pauses),
        ("L2",),
        patch=("crdtsync.turns.plan.survey", no_closing),
    ),
    Mutation(
        "F4 the queue decides",
        (five_windows,),
        ("L4",),
        patch=("crdtsync.turns.queue.consumed", lambda turns: frozenset()),
    ),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_broken_rule_is_noticed(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutation.patch is not None and mutation.patch[0] == "margin":
        monkeypatch.setattr(Timing, "__post_init__", lambda timing: None)
        monkeypatch.setattr(Timing.__init__, "__defaults__", unsafe_defaults())
    elif mutation.patch is not None:
        monkeypatch.setattr(*mutation.patch)
    for step in range(MUTATION_SEEDS):
        seed = (mutation.near + step) % MUTATION_SEEDS
        for scenario in mutation.scenarios:
            try:
                scenario(seed, mutation.faults)
            except Violation as violation:
                if str(violation).startswith(mutation.noticed):
                    return
    raise AssertionError(f"{mutation.name} was not noticed")


def unsafe_defaults() -> tuple[float, ...]:
    """Give the default times with no margin, which `Timing` itself would refuse."""
    changed = {"margin_s": 0.0}
    return tuple(
        changed.get(name, default)
        for name, default in zip(
            Timing.__annotations__, Timing.__init__.__defaults__ or (), strict=True
        )
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_everything_holds_under_faults(scenario: Scenario) -> None:
    for seed in range(SEEDS):
        try:
            scenario(seed, Faults())
        except Violation as violation:
            raise AssertionError(f"seed {seed}: {violation}") from violation


def test_door_and_begin_hold_even_where_the_clock_of_a_runner_fails() -> None:
    """Two agents may run at once then, but no prompt twice, and all late is marked."""
    for seed in range(SEEDS):
        pauses(seed, Faults(clock_stands_still=True, watched=False))


def test_the_faults_reach_every_corner() -> None:
    """A simulation in which nothing goes wrong would prove nothing."""
    seen: set[str] = set()
    logs: list[Machine] = []
    made_machine = World.machine

    def remember(self: World, name: str, **rows: Any) -> Machine:
        logs.append(made_machine(self, name, **rows))
        return logs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "machine", remember)
        for seed in range(15):
            for scenario in (crashes, pauses, finishing, copied_folders):
                scenario(seed, Faults())
    for machine in logs:
        document = document_of(machine)
        reading = read_turns(document.turns.values())
        seen.update(reading.classes.values(), reading.states.values())
        seen.update(str(turn.stop_reason) for turn in document.turns.values())
        for turn, said in document.output.items():
            seen.update(reading.item(turn, 0, at) for at in range(len(said)))
    assert seen >= {"main", "parallel", "void", "late", "detached", "abandoned"}
    assert seen >= {"end_turn", "lost_lease", "ended", "finished_after_takeover"}


def test_a_dead_holder_is_replaced_within_a_ttl_and_a_heartbeat() -> None:
    """L5: T-5 for the local arbiter, where a message takes no time to speak of."""
    for seed in range(SEEDS):
        made, machine = world(seed, Faults())
        holder = made.open(machine)
        holder.type("pm1000")
        waiter = made.open(machine)
        made.run(made.now + 4.0 * made.rng.random())
        crashed, holds = holder.runner.turn, holder.agent is not None
        holder.crash()
        waiter.type("pm1001")
        made.run(made.now + 15.0 + 4.0 + 0.5)
        document = document_of(machine)
        starts = [op.key for op in machine.rows if op.kind == "started"]
        claim = document.turns[starts[-1]].claim
        assert claim is not None
        assert claim.prompts == ("pm1001",)
        if holds:
            reading = read_turns(document.turns.values())
            assert reading.states[str(crashed)] == "abandoned"
