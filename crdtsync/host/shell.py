"""Carries out what a runner asks for: the shell between its rules and the world.

One task feeds signals to `turns.runner.Runner` and carries out its effects in order,
one drives the agent, one listens to the session, two speak with the relay that grants.
It decides nothing about leases.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio

from crdtsync import schema
from crdtsync.agents import AgentSpec
from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import LogUnwritable
from crdtsync.events import (
    ApprovalVoted,
    LeaseChanged,
    MessageAdded,
    Notice,
    QueueChanged,
    Reset,
    SessionEvent,
    TurnEnded,
    TurnStarted,
    TypingChanged,
)
from crdtsync.host.arbiters import Arbiters
from crdtsync.host.driver import Driver
from crdtsync.host.loops import LoopGuard
from crdtsync.host.records import Records
from crdtsync.host.settings import HostSettings
from crdtsync.host.words import Announcer
from crdtsync.identity import runner_id
from crdtsync.policies import policy_in_words
from crdtsync.session import Session
from crdtsync.turns import effects as fx
from crdtsync.turns import signals as sg
from crdtsync.turns.queue import recent
from crdtsync.turns.runner import Runner

LEAVE_S = 4.0
"""How long leaving waits for the running turn to be stopped and written down."""


@asynccontextmanager
async def run_agent(
    session: Session, spec: AgentSpec, settings: HostSettings | None = None
) -> AsyncGenerator[Host]:
    """Run turns of the session with this agent while the block is open.

    At its end a running turn is stopped and the lease given back. Errors of the block
    come out as they are.

    Raises:
        DataError: The session is read-only here.
    """
    session.check_writable()
    host = Host(session, spec, settings or HostSettings())
    async with open_tasks() as tasks:
        tasks.start_soon(host.listen)
        tasks.start_soon(host.run)
        tasks.start_soon(host.driver.serve)
        tasks.start_soon(host.warm_up)
        tasks.start_soon(host.arbiters.serve)
        tasks.start_soon(host.arbiters.watch)
        try:
            session.host = host
            yield host
        finally:
            session.host = None
            with anyio.CancelScope(shield=True), anyio.move_on_after(LEAVE_S):
                await host.leave()


class Host:
    """A runner at work in this window.

    Attributes:
        spec: The agent.
        runner_id: This runner's id, unique per window.
        runner: Decides about leases and turns.
        driver: Runs the agent's process.
        arbiters: Whom the runner asks for the lease.
    """

    def __init__(self, session: Session, spec: AgentSpec, settings: HostSettings):
        self.spec = spec
        self.runner_id = runner_id(session.me.id, session.place.window)
        self._session = session
        self._clock = session.place.clock
        self._timing = session.place.timing
        who = sg.Who(self.runner_id, session.place.identity.machine, spec.name)
        self._policy = settings.policy
        policy = sg.Policy(settings.offline, settings.lost, settings.collect_max)
        self.runner = Runner(who, self._timing, policy)
        self._announcer = Announcer(session)
        self._signals: deque[sg.Signal] = deque()
        self._signalled = anyio.Event()
        self._facts_changed = True
        self._done = anyio.Event()
        self._alarm_s: float | None = None
        self._arrived_s: dict[str, float] = {}
        self._known = set(session.view.queue)
        agent = session.agent_participant(spec.name)
        self._records = Records(session, agent)
        self._loops = LoopGuard()
        self.arbiters = Arbiters(session, self.runner_id, self._facts, self.post)
        self.driver = Driver(session, spec, agent, self.runner, settings, self.post)

    def post(self, signal: sg.Signal) -> None:
        """Hand the runner a signal; it is handled soon, in order."""
        self._signals.append(signal)
        self._signalled.set()

    async def leave(self) -> None:
        """Stop the running turn and give everything back."""
        self.driver.leaving = True
        self.post(sg.Leave())
        await self._done.wait()
        # A relay drops what a connection asked that is gone (A6).
        await self.arbiters.settled()

    @property
    def relay_away(self) -> bool:
        """Whether a relay is to grant turns and is out of reach."""
        return bool(self._session.view.meta.arbiter) and self.arbiters.link is None

    def run_apart(self, *, yes: bool = True) -> None:
        """Run waiting prompts although the relay is out of reach, until it is back.

        For a person who was asked, and knows that another machine may run a turn too.
        """
        self.post(sg.RunApart(yes))

    def take_over(self) -> None:
        """Take the lease from whoever holds it, and run the next prompt here.

        For a person: what the other turn still writes is marked late. Over a relay
        only an owner overrules; others wait as before.
        """
        self.post(sg.TakeOver())

    async def listen(self) -> None:
        """Tell the runner what happens in the session."""
        with self._session.events() as events:
            info = {"agent": self.spec.name, "policy": self._policy}
            self._session.company.set_info(info)
            if words := policy_in_words(self._session.me.name, info):
                self._session.notify(Notice("agent.policy", words))
            async for event in events:
                self._heard(event)

    async def warm_up(self) -> None:
        """Start the agent while somebody types in this window."""
        while True:
            await self._session.company.typed.wait()
            self._warm_up()

    def _warm_up(self) -> None:
        """Start the agent before it is needed, unless others may be the ones to run."""
        windows = (w for person in self._session.presence for w in person.windows)
        if sum("agent" in window.info for window in windows) == 1:
            self.driver.warm_up()

    def _heard(self, event: SessionEvent) -> None:
        match event.body:
            case TypingChanged(typing=True):
                self._warm_up()
            case MessageAdded(message) if message.extra.get("action") == "cancel":
                if message.role == schema.SYSTEM:
                    self.post(sg.Cancel(message.turn))
            case ApprovalVoted():
                self.driver.votes_changed()
            case (
                QueueChanged() | LeaseChanged() | TurnStarted() | TurnEnded() | Reset()
            ):
                # Made when they are handed in: one change brings several events.
                self._facts_changed = True
                self._signalled.set()

    def _facts(self) -> sg.Facts:
        view, now = self._session.view, self._clock.boottime()
        self._facts_changed = False
        arrived = view.queue.keys() - self._known
        self._known |= arrived
        self._arrived_s.update(dict.fromkeys(arrived, now))
        fresh = recent(self._arrived_s, now, self._timing.hold_after_s)
        self._arrived_s = {p: s for p, s in self._arrived_s.items() if p in fresh}
        turns, states = tuple(view.turns.values()), view.reading.states
        unfinished = (t.id for t in turns if not t.final and states[t.id] == "open")
        return sg.Facts(
            entries=tuple(view.queue.values()),
            turns=turns,
            cuts={turn: view.cut(turn) for turn in unfinished},
            arrived_s=dict(self._arrived_s),
            arbiter=view.meta.arbiter or None,
            beyond=self._loops.look(view, now),
        )

    async def run(self) -> None:
        """Feed the runner and carry out its effects, until it is done."""
        try:
            while not self._done.is_set():
                signal = await self._next_signal()
                for effect in self.runner.handle(signal, self._clock.boottime()):
                    await self._carry_out(effect)
        finally:
            # Nobody waits for a runner that broke down.
            self._done.set()

    async def _next_signal(self) -> sg.Signal:
        """The facts if they have changed, then what was posted, or the alarm."""
        while not self._facts_changed and not self._signals:
            self._signalled = anyio.Event()
            alarm_s = float("inf") if self._alarm_s is None else self._alarm_s
            with anyio.move_on_after(max(0.0, alarm_s - self._clock.boottime())):
                await self._signalled.wait()
            # The event loop has a clock of its own, by which it may be too early.
            if alarm_s <= self._clock.boottime():
                self._alarm_s = None
                return sg.Tick()
        return self._facts() if self._facts_changed else self._signals.popleft()

    async def _carry_out(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Acquire() | fx.Begin() | fx.Renew() | fx.Release():
                await self.arbiters.ask(effect)
            case fx.RaiseEpoch():
                await self.arbiters.raise_epoch(effect)
            case fx.WriteClaim() | fx.WriteStarted() | fx.WriteEnded():
                self.post(await self._records.write_part(effect))
            case fx.WriteVoid() | fx.WriteDetached():
                with suppress(LogUnwritable):
                    await self._records.write_plain(effect)
            case fx.WriteHeld(prompts):
                with suppress(LogUnwritable):
                    await self._records.hold(prompts, self._loops.why)
            case fx.Flush():
                with suppress(LogUnwritable):
                    await self._session.flush()
            case _:
                self._do(effect)

    def _do(self, effect: fx.Effect) -> None:
        match effect:
            case fx.RunAgent(turn, prompts):
                self.driver.start(turn, prompts)
            case fx.StopAgent(turn):
                self.driver.stop(turn)
            case fx.WakeAt(at_s):
                self._alarm_s = at_s
            case fx.Tell(notice):
                self._announcer.tell(notice)
            case fx.Done():
                self._session.company.set_info({})
                self._done.set()
