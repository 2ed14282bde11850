"""What must hold in a simulated world: L1, L2, L4 and L7 of the design, as code."""

from __future__ import annotations

from collections import Counter

from crdtsync.turns.claim import Claim
from crdtsync.turns.order import Reading, read_turns
from tests.turns.literal import Literal
from tests.turns.world import Document, Machine, Process, World


class Violation(AssertionError):
    """A rule does not hold; the text begins with its name."""


def check(condition: object, text: str) -> None:
    if not condition:
        raise Violation(text)


def runs_in_time(process: Process) -> bool:
    """Whether an agent runs unpaused, with its own clock inside the lease."""
    if process.agent is None or process.paused or process.detached:
        return False
    deadline_s = process.runner._leases.deadline_s()  # noqa: SLF001
    stop_s = process.world.timing.stop_time_s
    return deadline_s is not None and process.clock() < deadline_s + stop_s


def check_now(world: World) -> None:
    """L1: per machine at most one runner runs in time."""
    for machine in world.machines:
        running = [p.name for p in machine.processes if runs_in_time(p)]
        check(len(running) <= 1, f"L1: {running} run on {machine.name}")


def document_of(machine: Machine) -> Document:
    document = Document()
    for op in machine.rows:
        document.apply(op)
    return document


def check_log(machine: Machine, typed: set[str]) -> Reading:
    """L2, L4: what one machine's log says in the end."""
    document = document_of(machine)
    records = list(document.turns.values())
    reading = read_turns(records)
    check(sorted(reading.order) == sorted(document.turns), "L4: a turn is not shown")
    check(typed <= set(document.entries), "L4: a prompt is lost")
    claims = [r.claim for r in records if r.claim is not None]
    names = Counter((c.arb, c.epoch) for c in claims)
    check(max(names.values(), default=1) == 1, f"L2a: {names.most_common(1)}")
    literal = Literal(records)
    for a in records:
        for b in records:
            if a.claim and b.claim and literal.before(a.id, b.id):
                grows = a.claim.epoch < b.claim.epoch
                check(grows, f"L2a: the epoch falls from {a.id} to {b.id}")
    check_starts(document)
    check_late(machine, reading)
    return reading


def check_starts(document: Document) -> None:
    """L4: no prompt is started twice on one machine."""
    starts = Counter(
        (turn.claim.machine, prompt)
        for turn in document.turns.values()
        if turn.claim is not None and turn.started and not turn.void
        for prompt in turn.claim.prompts
    )
    check(max(starts.values(), default=1) == 1, f"L4: {starts.most_common(1)}")


def check_late(machine: Machine, reading: Reading) -> None:
    """L2b, L2c: written after a successor's claim is never main, before it always."""
    home = f"arb-{machine.name}"
    said: dict[str, int] = {}
    epochs: dict[str, int] = {}
    highest = 0
    for op in machine.rows:
        if isinstance(op.value, Claim) and op.value.arb == home:
            epochs[op.key] = op.value.epoch
            highest = max(highest, op.value.epoch)
        if op.kind != "output":
            continue
        at = said.get(op.key, 0)
        said[op.key] = at + 1
        item = reading.item(op.key, 0, at)
        if op.key not in epochs:
            continue
        if epochs[op.key] < highest:
            check(item in ("late", "detached"), f"L2b: {op.id} is {item}")
        else:
            good = item in ("main", "parallel", "detached")
            check(good, f"L2c: {op.id} is {item}")
