"""The simulated world with a relay: machines linked to an arbiter that may be lost.

A link is one ordered stream each way, for facts and for lease messages alike. What is
under way when it is cut is lost, and the next connection begins with a handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crdtsync.turns import effects as fx
from crdtsync.turns import queue
from crdtsync.turns import signals as sg
from crdtsync.turns.arbiter import (
    Arbiter,
    Denied,
    Granted,
    LeaseState,
    created_here,
    unknown_past,
)
from tests.turns.world import Document, Machine, Op, Process, World

Asked = fx.Acquire | fx.Begin | fx.Renew | fx.Release

NOTICED_S = 10.0
"""A link that died is noticed within two beats."""


class NamedDocument(Document):
    """A document that names the relay as arbiter; facts may come in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.early: list[Op] = []

    def apply(self, op: Op) -> None:
        if op.kind in ("held", "released") and op.key not in self.entries:
            self.early.append(op)
            return
        super().apply(op)
        if op.kind == "queue":
            early, self.early = self.early, []
            for each in early:
                self.apply(each)

    def facts(self, arrived_s: dict[str, float]) -> sg.Facts:
        return replace(super().facts(arrived_s), arbiter="relay")


class Relay:
    """The relay's log and arbiter."""

    def __init__(self, world: RelayWorld) -> None:
        self.world = world
        self.made = 0
        self.arb = "relay-0"
        self.state: LeaseState = created_here(self.arb, now=world.now, boot="b")
        self.rows: list[Op] = []
        self.links: list[Stream] = []

    def empty(self, *, quarantine: bool = True) -> None:
        """Lose everything; every connection breaks."""
        self.made += 1
        self.arb = f"relay-{self.made}"
        wait_s = self.world.timing.quarantine_s if quarantine else 0.0
        self.state = unknown_past(
            self.arb, now=self.world.now, boot="b", quarantine_s=wait_s
        )
        self.rows = []
        self.restart()

    def restart(self) -> None:
        """Break every connection, and keep what is on disk."""
        for stream in list(self.links):
            stream.cut()

    def take_in(self, ops: list[Op], source: Stream) -> None:
        known = {op.id for op in self.rows}
        new = [op for op in ops if op.id not in known]
        self.rows += new
        for stream in self.links:
            if stream is not source and new:
                stream.down(lambda s=stream: s.bring(new))  # type: ignore[misc]

    def ask(self, effect: Asked, runner: str, source: Stream) -> None:
        ttl_s = self.world.timing.ttl_s
        arbiter = Arbiter(self.state, now=self.world.now, boot="b", ttl_s=ttl_s)
        answer: Granted | Denied | bool
        match effect:
            case fx.Acquire(_, attempt, least, _, take):
                grant = arbiter.take if take else arbiter.acquire
                answer = grant(runner, attempt, least)
            case fx.Begin(_, epoch, attempt, turn):
                answer = arbiter.begin(epoch, attempt, turn)
            case fx.Renew(_, epoch, attempt):
                answer = arbiter.renew(epoch, attempt)
            case fx.Release(_, epoch, attempt):
                answer = arbiter.release(epoch, attempt)
        self.state = arbiter.state
        source.down(
            lambda: source.process.answered(effect, answer),
            at_once=self.world.lease_overtakes,
        )
        if isinstance(effect, fx.Release) and answer is True:
            for stream in self.links:
                if stream is not source:
                    stream.down(lambda s=stream: s.process.post(sg.Freed()))  # type: ignore[misc]


class Stream:
    """One connection of a process to the relay."""

    def __init__(self, process: LinkedProcess, relay: Relay) -> None:
        self.process = process
        self.relay = relay
        self.open = True
        self.answered = self.live = False
        self.told: set[str] = set()
        self._up_s = self._down_s = relay.world.now
        relay.links.append(self)

    def up(self, what: Callable[[], None]) -> None:
        self._up_s = max(self._up_s, self._soon())
        self.relay.world.at(self._up_s, lambda: what() if self.open else None)

    def down(self, what: Callable[[], None], *, at_once: bool = False) -> None:
        """Deliver to the process, which may be stopped; order is kept all the same."""
        if at_once:
            self.process.step(0.0, what)
            return
        self._down_s = max(self._down_s, self._soon(), self.process.awake_s)

        def deliver() -> None:
            if not self.open or not self.process.alive:
                return
            if self.process.paused:
                self.relay.world.at(self.process.awake_s, deliver)
            else:
                what()

        self.relay.world.at(self._down_s, deliver)

    def _soon(self) -> float:
        return self.relay.world.now + self.relay.world.delay()

    def send(self, ops: list[Op]) -> None:
        new = [op for op in ops if op.id not in self.told]
        self.told |= {op.id for op in new}
        if new:
            self.up(lambda: self.relay.take_in(new, self))

    def bring(self, ops: list[Op]) -> None:
        self.told |= {op.id for op in ops}
        self.process.brought(ops)

    def cut(self) -> None:
        """Break; the process notices it some time later."""
        if not self.open:
            return
        self.open = False
        self.relay.links.remove(self)
        wait_s = self.relay.world.rng.random() * NOTICED_S
        self.process.step(wait_s, lambda: self.process.link_lost(self))


class LinkedProcess(Process):
    """A window with a link to the relay."""

    world: RelayWorld

    def __init__(self, world: RelayWorld, machine: Machine, name: str) -> None:
        super().__init__(world, machine, name)
        self.document = NamedDocument()
        self.stream: Stream | None = None
        self._foreign = False

    @property
    def awake_s(self) -> float:
        return self._wake

    def connect(self) -> None:
        """Shake hands: hold what the other end lacks (Q3), and tell each other all."""
        if self.stream is not None or not self.alive:
            return
        relay = self.world.relay
        self.stream = stream = Stream(self, relay)
        here = {op.id for op in relay.rows}
        stream.told |= here

        def answer() -> None:
            self._hold(here)
            stream.answered = True
            stream.send(self.machine.rows)
            theirs = list(relay.rows)
            stream.up(lambda: stream.down(lambda: self._live(stream)))
            stream.bring(theirs)

        stream.down(answer)

    def _hold(self, there: set[str]) -> None:
        lacking = {
            op.key
            for op in self.machine.rows
            if op.kind == "queue" and op.id not in there
        }
        entries, turns = self.document.entries, self.document.turns
        hold_s = self.world.timing.hold_after_s
        fresh = queue.recent(self._arrived_s, self.clock(), hold_s)
        held = queue.hold_for_peer(
            entries.values(),
            turns.values(),
            lacking,
            frozenset() if self._foreign else fresh,
        )
        if held and not self.world.no_handshake_hold:
            self._append([self._op("held", p) for p in held], None)

    def _live(self, stream: Stream) -> None:
        if stream.open and self.stream is stream:
            stream.live = True
            self.post(sg.LinkLive())

    def link_lost(self, stream: Stream) -> None:
        if self.stream is stream:
            self.stream = None
            self.post(sg.LinkDown())
            self.step(self.world.rng.random() * 3.0, self.reconnect)

    def reconnect(self) -> None:
        if self.machine.name not in self.world.apart:
            self.connect()

    def crash(self) -> None:
        if self.stream is not None:
            self.stream.cut()
        super().crash()

    def brought(self, ops: list[Op]) -> None:
        self._foreign = True
        self.world.append(self.machine, ops)
        self._heard()

    def _read(self, *, live: bool) -> bool:
        start = self._seq
        changed = super()._read(live=live)
        if self.stream is not None and self.stream.answered:
            self.stream.send(self.machine.rows[start : self._seq])
        return changed

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.RaiseEpoch(epoch, attempt, raised):
                arbiter = self.world.arbiter(self.machine)
                arbiter.raise_epoch(epoch, attempt, raised)
                self.machine.state = arbiter.state
            case (
                fx.Acquire("relay") | fx.Begin("relay") | fx.Renew("relay")
            ) | fx.Release("relay"):
                self._ask_relay(effect)
            case _:
                super()._perform(effect)

    def _ask_relay(self, effect: Asked) -> None:
        stream = self.stream
        if stream is None or not stream.live:
            return
        # Whatever of the log was not read yet goes first.
        self._heard()
        if self.world.lease_overtakes:
            self.world.relay.ask(effect, self.name, stream)
        else:
            stream.up(lambda: self.world.relay.ask(effect, self.name, stream))

    def answered(self, effect: Asked, answer: Granted | Denied | bool) -> None:
        match effect, answer:
            case fx.Acquire(), Granted():
                self._read(live=True)
                facts = self.document.facts(self._arrived_s)
                fresh = f"t{self.world.unique():06}"
                sent_s = self._stamp(effect.sent_s)
                self.post(
                    sg.Given("relay", effect.attempt, sent_s, answer, facts, fresh)
                )
            case fx.Acquire(), Denied():
                self.post(sg.Withheld("relay", effect.attempt, answer))
            case fx.Begin(), bool():
                stamp = self._stamp(effect.sent_s)
                self.post(sg.Begun("relay", effect.attempt, stamp, answer))
            case fx.Renew(), bool():
                stamp = self._stamp(effect.sent_s)
                self.post(sg.Renewed("relay", effect.attempt, stamp, answer))


class RelayWorld(World):
    """Some machines, each with windows, and one relay for all.

    `no_handshake_hold` and `lease_overtakes` break Q3 and X4.
    """

    no_handshake_hold = False
    lease_overtakes = False
    delay_s = 0.2

    def set_up(self) -> None:
        self.relay = Relay(self)
        self.apart: set[str] = set()

    def delay(self) -> float:
        return self.rng.random() ** 2 * self.delay_s

    def open(self, machine: Machine) -> Process:
        process = LinkedProcess(self, machine, f"r{self.unique()}")
        machine.processes.append(process)
        process.loaded()
        process.reconnect()
        return process

    def part(self, machine: Machine) -> None:
        """Cut a machine off."""
        self.apart.add(machine.name)
        for process in machine.processes:
            assert isinstance(process, LinkedProcess)
            if process.stream is not None:
                process.stream.cut()

    def heal(self, machine: Machine) -> None:
        self.apart.discard(machine.name)
        for process in machine.processes:
            assert isinstance(process, LinkedProcess)
            process.reconnect()
