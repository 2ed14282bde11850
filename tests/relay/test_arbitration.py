"""The relay as arbiter: who waits for a new relay, who may overrule (A5, 05: 1.2)."""

from __future__ import annotations

from crdtsync_relay.arbitration import Arbitration
from crdtsync_relay.budget import Budget
from crdtsync_relay.leases import overrules
from crdtsync_relay.limits import Limits
from crdtsync_relay.member import Guest
from crdtsync_relay.presence import Stamp

from crdtsync.clock import SimulatedClock
from crdtsync.log.memory import MemoryLog
from crdtsync.sync.leasing import LeaseAnswer, LeaseOperation, LeaseRequest
from crdtsync.turns.arbiter import Denied, Granted


class Court:
    """An arbiter whose room was made now, or before the machine was started."""

    def __init__(self, *, new: bool = True) -> None:
        self.clock = SimulatedClock()
        self.made_s = self.clock.boottime() if new else None
        log = MemoryLog(clock=self.clock)
        self.log = log
        self.arbitration = Arbitration(log, self.clock, lambda _: self.made_s, 15.0)

    async def ask(
        self,
        op: LeaseOperation,
        runner: str = "ana",
        *,
        first: bool = False,
        may_take: bool = False,
    ) -> LeaseAnswer:
        await self.log.create("room")
        request = LeaseRequest(1, op, runner, 1, 0, first=first)
        return await self.arbitration.ask("room", request, may_take=may_take)


async def test_a_new_relay_grants_nothing_for_a_ttl_and_knows_of_no_past() -> None:
    court = Court()
    assert await court.ask("acquire") == Denied(None, None, 15.0)
    court.clock.advance(14.0)
    assert await court.ask("take", may_take=True) == Denied(None, None, 1.0)
    court.clock.advance(1.0)
    granted = await court.ask("acquire")
    assert isinstance(granted, Granted)
    assert granted.idle_s is None


async def test_whoever_says_that_there_was_no_relay_spares_everybody_the_wait() -> None:
    court = Court()
    assert isinstance(await court.ask("acquire", first=True), Granted)
    denied = await court.ask("acquire", "bob")
    assert isinstance(denied, Denied)
    assert denied.holder == "ana"


async def test_idle_counts_from_the_last_lease_here() -> None:
    court = Court()
    court.clock.advance(20.0)
    granted = await court.ask("acquire")
    assert isinstance(granted, Granted)
    await court.log.release("room", granted.epoch, 1)
    court.clock.advance(7.0)
    again = await court.ask("acquire", "bob")
    assert isinstance(again, Granted)
    assert again.idle_s == 7.0


async def test_only_who_may_takes_a_lease_from_a_living_holder() -> None:
    court = Court(new=False)
    assert isinstance(await court.ask("acquire"), Granted)
    assert isinstance(await court.ask("take", "bob"), Denied)
    assert isinstance(await court.ask("take", "bob", may_take=True), Granted)


def test_owners_overrule_and_so_does_everybody_where_nobody_has_a_token() -> None:
    budget = Budget(Limits(), now=0.0)

    def guest(role: str | None, *, writes: bool = True) -> Guest:
        stamp = Stamp("bob-1", role) if role else None
        return Guest(1, writes, True, stamp, budget)

    assert overrules(guest(None))
    assert overrules(guest("owner"))
    assert not overrules(guest("editor"))
    assert not overrules(guest("viewer", writes=False))
