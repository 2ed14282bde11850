"""Runners of several machines under one relay, on simulated clocks and links.

Partitions, crashes, pauses, restarts and emptied relays at any moment (05: section 5,
scenarios 1, 3, 4, 6, 7, 9, 10, 14, 20). Each rule that is broken must be noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from crdtsync.turns import queue
from crdtsync.turns import signals as sg
from crdtsync.turns.order import read_turns
from crdtsync.turns.timing import Timing
from tests.turns.checks import Violation, check, check_now, runs_in_time
from tests.turns.relayed import LinkedProcess, NamedDocument, Relay, RelayWorld
from tests.turns.world import Faults, Machine, Process

SEEDS = 12
MUTATION_SEEDS = 200


@dataclass
class Stage:
    """A world with some machines, and what was typed there."""

    world: RelayWorld
    machines: list[Machine]
    typed: set[str] = field(default_factory=set)

    def type(self, count: int, within_s: float) -> None:
        """Let people type somewhere, some time."""
        rng = self.world.rng
        for _ in range(count):
            machine = rng.choice(self.machines)
            prompt = f"p{self.world.unique():04}"
            self.typed.add(prompt)

            def type_one(machine: Machine = machine, prompt: str = prompt) -> None:
                windows = machine.processes or [self.world.open(machine)]
                rng.choice(windows).type(prompt)

            self.world.after(rng.random() * within_s, type_one)

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)


def stage(
    seed: int, breaks: str = "", policy: sg.Policy | None = None, machines: int = 3
) -> Stage:
    world = RelayWorld(seed, Timing(), Faults(), policy or sg.Policy())
    world.set_up()
    world.no_handshake_hold = breaks == "hold"
    world.lease_overtakes = breaks == "order"
    made = Stage(world, [world.machine(f"m{n}") for n in range(machines)])
    world.watch = lambda: look(world)
    for machine in made.machines:
        for _ in range(world.rng.randint(1, 2)):
            world.open(machine)
    made.run(3.0)
    return made


def grant_of(process: Process) -> str:
    turn = process.document.turns.get(process.agent or "")
    return turn.claim.grant if turn is not None and turn.claim is not None else ""


def look(world: RelayWorld) -> None:
    """L1: in time, one runner per machine, and one under the relay's grants."""
    check_now(world)
    running = [
        process.name
        for machine in world.machines
        for process in machine.processes
        if grant_of(process) == "relay" and runs_in_time(process)
    ]
    check(len(running) <= 1, f"L1: {running} run under the relay")


def document_of(machine: Machine) -> NamedDocument:
    document = NamedDocument()
    for op in machine.rows:
        document.apply(op)
    return document


def end(made: Stage, *, replaced: bool = False) -> None:
    """Let all meet and run out without faults; then look at what everybody has."""
    world = made.world
    for machine in made.machines:
        if not machine.processes:
            world.open(machine)
        world.heal(machine)
    made.run(120.0)
    for _ in range(4):
        for machine in made.machines:
            machine.processes[0].release_held()
        made.run(80.0)
    documents = [document_of(machine) for machine in made.machines]
    first = documents[0]
    same = all(document.ops.keys() == first.ops.keys() for document in documents)
    check(same, "L3: the machines differ")
    readings = [read_turns(document.turns.values()) for document in documents]
    check(all(r.order == readings[0].order for r in readings), "L3: other orders")
    check(all(r.classes == readings[0].classes for r in readings), "L3: other classes")
    check(made.typed <= first.entries.keys(), "L4: a prompt is lost")
    left = queue.pending(first.entries.values(), first.turns.values())
    check(left == (), f"L6: {left} never ran")
    check_claims(first, readings[0].classes, replaced=replaced)


def check_claims(document: NamedDocument, classes: object, *, replaced: bool) -> None:
    """L2a, L3b, L4: names are unique, what the relay began is main, and ran once."""
    started = [
        (turn, turn.claim)
        for turn in document.turns.values()
        if turn.claim is not None and turn.started and not turn.void
    ]
    claims = [turn.claim for turn in document.turns.values() if turn.claim is not None]
    names = Counter((claim.arb, claim.epoch) for claim in claims)
    check(max(names.values(), default=1) == 1, f"L2a: {names.most_common(1)}")
    known = cast("dict[str, str]", classes)
    for turn, claim in started:
        if claim.grant == "relay" and not replaced:
            check(known[turn.id] == "main", f"L3b: {turn.id} is {known[turn.id]}")
    runs = Counter(
        (claim.arb, prompt)
        for _, claim in started
        if claim.grant == "relay"
        for prompt in claim.prompts
    )
    check(max(runs.values(), default=1) == 1, f"L4: {runs.most_common(1)}")


def together(seed: int, breaks: str) -> None:
    """Scenarios 1, 2: all submit within 5 ms; slow documents, slow bells."""
    made = stage(seed, breaks)
    made.world.delay_s = made.world.rng.choice((0.05, 0.5, 1.5))
    if breaks == "order":
        made.world.delay_s = 10.0
    made.type(5, 0.005)
    made.run(60.0)
    end(made)


def dying(seed: int, breaks: str) -> None:
    """Scenarios 3, 4: crashes and pauses."""
    made = stage(seed, breaks)
    world = made.world
    made.type(5, 30.0)
    for _ in range(world.rng.randint(2, 5)):
        made.run(world.rng.random() * 12.0)
        everybody = [p for m in made.machines for p in m.processes]
        busy = [p for p in everybody if p.runner.turn or p.agent]
        victim = world.rng.choice(busy or everybody)
        if world.rng.random() < 0.5:
            victim.crash()
            world.open(victim.machine)
        else:
            victim.pause(world.rng.choice((1.0, 8.0, 14.0, 17.0, 40.0)))
    made.run(60.0)
    end(made)


def taking(seed: int, breaks: str) -> None:
    """Scenario 20: people take over; two run then, until the old one hears of it."""
    made = stage(seed, breaks)
    world = made.world
    world.watch = lambda: None
    made.type(6, 20.0)
    for _ in range(world.rng.randint(2, 5)):
        made.run(world.rng.random() * 8.0)
        everybody = [p for m in made.machines for p in m.processes]
        world.rng.choice(everybody).post(sg.TakeOver())
    made.run(60.0)
    end(made)


def parting(seed: int, breaks: str) -> None:
    """Scenarios 6, 7, 10, 14: partitions at any moment, under each policy."""
    rng_policy = (
        sg.Policy(offline="allow"),
        sg.Policy(offline="allow", lost="finish"),
        sg.Policy(),
    )
    made = stage(seed, breaks, rng_policy[seed % len(rng_policy)])
    world = made.world
    made.type(6, 60.0)
    for _ in range(world.rng.randint(3, 6)):
        made.run(world.rng.random() ** 2 * 20.0)
        machine = world.rng.choice(made.machines)
        if machine.name in world.apart:
            world.heal(machine)
        else:
            world.part(machine)
    made.run(30.0)
    end(made)


def returning(seed: int, breaks: str) -> None:
    """Scenario 14: what was typed apart a while ago runs only after a release (L7)."""
    made = stage(seed, breaks)
    world, lonely = made.world, made.machines[0]
    world.part(lonely)
    made.run(20.0)
    lonely.processes[0].type("old")
    made.typed.add("old")
    made.run(world.timing.hold_after_s + world.rng.random() * 3600.0)
    world.heal(lonely)
    made.type(2, 20.0)
    made.run(60.0)
    for machine in made.machines:
        claims = [t.claim for t in document_of(machine).turns.values()]
        ran = any("old" in claim.prompts for claim in claims if claim is not None)
        check(not ran, "L7: a prompt that nobody released was run")
    end(made)


def restarting(seed: int, breaks: str) -> None:
    """Scenario 9: the relay restarts with what it has on disk."""
    made = stage(seed, breaks)
    made.type(5, 30.0)
    for _ in range(made.world.rng.randint(1, 4)):
        made.run(made.world.rng.random() * 15.0)
        made.world.relay.restart()
    made.run(60.0)
    end(made)


def emptying(seed: int, breaks: str) -> None:
    """Scenario 9: the relay comes back without anything (X5)."""
    made = stage(seed, breaks)
    made.type(5, 30.0)
    for _ in range(made.world.rng.randint(1, 2)):
        made.run(made.world.rng.random() * 15.0)
        made.world.relay.empty(quarantine=breaks != "quarantine")
    made.run(60.0)
    end(made, replaced=True)


Scenario = Callable[[int, str], None]
SCENARIOS: tuple[Scenario, ...] = (
    together,
    dying,
    taking,
    parting,
    returning,
    restarting,
    emptying,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_everything_holds_under_faults(scenario: Scenario) -> None:
    for seed in range(SEEDS):
        try:
            scenario(seed, "")
        except Violation as violation:
            raise AssertionError(f"seed {seed}: {violation}") from violation


@pytest.mark.parametrize(
    ("breaks", "scenarios", "noticed"),
    [
        ("order", (together,), ("L3b", "L4", "L2")),
        ("quarantine", (emptying,), ("L1",)),
        ("hold", (returning,), ("L7",)),
    ],
    ids=["X4 leases overtake", "X5 granted at once when emptied", "X7 no hold"],
)
def test_a_broken_rule_is_noticed(
    breaks: str, scenarios: tuple[Scenario, ...], noticed: tuple[str, ...]
) -> None:
    for seed in range(MUTATION_SEEDS):
        for scenario in scenarios:
            try:
                scenario(seed, breaks)
            except Violation as violation:
                if str(violation).startswith(noticed):
                    return
    raise AssertionError(f"{breaks} was not noticed")


def test_turns_of_all_kinds_come_about() -> None:
    """A simulation in which nothing goes wrong would prove nothing."""
    seen: set[str] = set()
    made: list[Stage] = []
    with pytest.MonkeyPatch.context() as patch:
        opened = Relay.__init__

        def remember(self: Relay, world: RelayWorld) -> None:
            opened(self, world)
            made.append(Stage(world, world.machines))

        patch.setattr(Relay, "__init__", remember)
        for seed in range(6):
            parting(seed, "")
            dying(seed, "")
    for one in made:
        document = document_of(one.machines[0])
        reading = read_turns(document.turns.values())
        seen.update(reading.classes.values(), reading.states.values())
        seen.update(t.claim.grant for t in document.turns.values() if t.claim)
        seen.update(str(t.stop_reason) for t in document.turns.values())
    assert seen >= {"main", "parallel", "void", "abandoned", "relay", "offline"}
    assert seen >= {"end_turn", "lost_lease"}
    assert all(
        isinstance(p, LinkedProcess) for o in made for p in o.machines[0].processes
    )
