"""Stories of machines that share a session over a relay: links, wires and restarts."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio
import pytest

from crdtsync.entities import Message
from crdtsync.errors import ConnectionFailed
from crdtsync.sync.leasing import LeaseRequest
from tests.failures.team import (
    PATIENCE_S,
    Machine,
    machine,
    make_machines,
    relay_process,
    wire_to,
)

FEW = 200
MANY = 10_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def equal(*machines: Machine) -> None:
    """Wait until everybody has what the first one has."""
    first = machines[0]
    for other in machines[1:]:
        await other.until(partial(_is_like, other, first))


def _is_like(one: Machine, other: Machine) -> bool:
    return one.content() == other.content()


async def test_ten_machines_attach_and_nobody_is_dropped(tmp_path: Path) -> None:
    """Story 5."""
    names = [f"p{number}" for number in range(10)]
    folders = await make_machines(tmp_path, *names)
    async with relay_process(tmp_path / "relay") as relay, AsyncExitStack() as stack:
        machines = [
            await stack.enter_async_context(machine(folder, name, relay.port))
            for folder, name in zip(folders, names, strict=True)
        ]
        for each in machines:
            await each.reach("live")
        for each in machines:
            await each.session.send(f"from {each.session.me.name}", note=True)
        await machines[0].until(lambda: len(machines[0].texts()) == len(names))
        await equal(*machines)
        assert {each.link.state for each in machines} == {"live"}


async def test_a_relay_that_is_away_for_long_is_found_again_by_itself(
    tmp_path: Path,
) -> None:
    """Stories 6 and 29: killed, away for many tries, and back with an empty disk."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "relay") as relay,
        machine(ana_folder, "ana", relay.port) as ana,
        machine(bob_folder, "bob", relay.port) as bob,
    ):
        await ana.session.send("before", note=True)
        await equal(ana, bob)
        relay.end()
        await ana.reach("offline")
        await ana.session.send("apart, ana", note=True)
        await bob.session.send("apart, bob", note=True)
        with anyio.fail_after(PATIENCE_S):
            while len(ana.ways[0].tries) < 4:  # noqa: ASYNC110 - made by the link
                await anyio.sleep(0.05)
        shutil.rmtree(tmp_path / "relay")
        await anyio.to_thread.run_sync(relay.start)
        await ana.until(lambda: "apart, bob" in ana.texts())
        await equal(ana, bob)
        await ana.synced()


async def test_a_wire_that_swallows_everything_is_noticed_within_two_beats(
    tmp_path: Path,
) -> None:
    """Story 8."""
    [ana_folder] = await make_machines(tmp_path, "ana")
    async with (
        relay_process(tmp_path / "relay") as relay,
        wire_to(relay) as wire,
        machine(ana_folder, "ana", wire.port) as ana,
    ):
        await ana.reach("live")
        wire.swallows = True
        began = time.monotonic()
        await ana.reach("offline", "connecting")
        beats = (time.monotonic() - began) / ana.session.place.timing.beat_s
        assert beats < 4, "two beats, and room for a busy machine"
        await ana.session.send("said into the void", note=True)
        wire.swallows = False
        wire.cut()
        await ana.reach("live")
        await ana.synced()


@pytest.mark.timeout(240)
async def test_a_slow_reader_delays_nobody_and_gets_everything(tmp_path: Path) -> None:
    """Story 9: a wire of 1 KB/s during 10,000 deltas."""
    folders = await make_machines(tmp_path, "ana", "bob", "eve")
    async with (
        relay_process(tmp_path / "relay") as relay,
        wire_to(relay) as slow,
        machine(folders[0], "ana", relay.port) as ana,
        machine(folders[1], "bob", slow.port) as bob,
        machine(folders[2], "eve", relay.port) as eve,
    ):
        for each in (ana, bob, eve):
            await each.reach("live")
        slow.bytes_per_s = 1000
        message = Message("m1", "assistant", "agent", ana.session.now())
        with ana.session.replica.edit() as (edit, _):
            edit.add_message(message)
        for number in range(MANY):
            with ana.session.replica.edit() as (edit, ticket):
                edit.append_text("m1", f"{number} ")
            if number % 500 == 0:
                await ticket.wait()
        whole = "".join(f"{number} " for number in range(MANY))
        await eve.until(lambda: eve.session.view.text("m1") == whole, patience_s=150)
        assert bob.session.view.text("m1") != whole
        slow.bytes_per_s = None
        slow.cut()
        await bob.until(lambda: bob.session.view.text("m1") == whole)
        await equal(ana, bob, eve)


async def test_what_a_reconnect_costs_is_in_proportion_to_what_was_missed(
    tmp_path: Path,
) -> None:
    """Story 10."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "relay") as relay,
        wire_to(relay) as wire,
        machine(ana_folder, "ana", relay.port) as ana,
        machine(bob_folder, "bob", wire.port) as bob,
    ):
        for number in range(FEW):
            await ana.session.send(f"{number} " + "x" * 1000, note=True)
        await equal(ana, bob)
        before = wire.carried
        assert before > FEW * 1000
        wire.cut()
        await ana.session.send("missed", note=True)
        await bob.until(lambda: "missed" in bob.texts())
        await bob.reach("live")
        assert wire.carried - before < 20_000


async def test_what_is_sent_while_connecting_is_not_lost(tmp_path: Path) -> None:
    """Story 12: in the first millisecond, in the handshake, while the wire is cut."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "relay") as relay,
        wire_to(relay) as wire,
        machine(bob_folder, "bob", relay.port) as bob,
    ):
        async with machine(ana_folder, "ana", wire.port) as ana:
            await ana.session.send("at once", note=True)
            for number in range(20):
                await ana.session.send(f"{number}", note=True)
                wire.cut()
                await anyio.lowlevel.checkpoint()
            await bob.until(lambda: len(bob.texts()) == 21)
            await equal(ana, bob)
        assert bob.texts()[0] == "at once"


async def test_one_update_over_two_relays_is_one_row(tmp_path: Path) -> None:
    """Story 14."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "one") as one,
        relay_process(tmp_path / "two") as two,
        machine(ana_folder, "ana", one.port, two.port) as ana,
        machine(bob_folder, "bob", two.port, one.port) as bob,
    ):
        for each in (ana, bob):
            await each.reach("live")
        for number in range(FEW):
            await (ana, bob)[number % 2].session.send(f"{number}", note=True)
        await bob.until(lambda: len(bob.texts()) == FEW)
        await ana.until(lambda: len(ana.texts()) == FEW)
        await ana.synced()
        await bob.synced()
        await equal(ana, bob)
        assert sorted(ana.texts(), key=int) == [str(number) for number in range(FEW)]


async def test_fifty_reconnects_change_nothing(tmp_path: Path) -> None:
    """Stories 7 and 17."""
    [folder] = await make_machines(tmp_path, "ana")
    async with relay_process(tmp_path / "relay") as relay, wire_to(relay) as wire:
        async with machine(folder, "ana", wire.port) as ana:
            await ana.session.send("hello", note=True)
            await ana.synced()
            before = ana.content()
            for _ in range(50):
                wire.cut()
                ana.link.retry()
                await ana.reach("offline", "connecting", "syncing")
                ana.link.retry()
                await ana.reach("live")
            assert len(ana.ways[0].tries) > 50
            assert ana.content() == before
        for _ in range(5):
            async with machine(folder, "ana", wire.port) as again:
                await again.reach("live")
                assert again.content() == before


async def test_everybody_has_the_same_order(tmp_path: Path) -> None:
    """Stories 19 and 28: three write at once, two of them apart."""
    folders = await make_machines(tmp_path, "ana", "bob", "eve")
    async with (
        relay_process(tmp_path / "relay") as relay,
        wire_to(relay) as wire,
        machine(folders[0], "ana", relay.port) as ana,
        machine(folders[1], "bob", wire.port) as bob,
        machine(folders[2], "eve", wire.port) as eve,
    ):
        machines = (ana, bob, eve)
        for each in machines:
            await each.reach("live")

        async def write(each: Machine) -> None:
            for number in range(50):
                await each.session.send(f"{each.session.me.name} {number}", note=True)

        async with anyio.create_task_group() as tasks:
            for each in machines:
                tasks.start_soon(write, each)
            wire.cut()
        await ana.until(lambda: len(ana.texts()) == 150)
        await equal(*machines)
        assert ana.texts() == bob.texts() == eve.texts()
        own = [text for text in bob.texts() if text.startswith("ana")]
        assert own == [f"ana {number}" for number in range(50)]


async def test_what_a_later_version_writes_is_carried_by_older_ones(
    tmp_path: Path,
) -> None:
    """Story 20."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "relay") as relay,
        machine(ana_folder, "ana", relay.port) as ana,
        machine(bob_folder, "bob", relay.port) as bob,
    ):
        later = Message("m1", "hologram", "agent", "", "a cat", extra={"depth_cm": 3})
        with ana.session.replica.edit() as (edit, _):
            edit.add_message(later)
        await bob.until(lambda: bob.texts() == ["a cat"])
        found = bob.session.view.message("m1")
        assert found is not None
        assert (found.role, found.extra) == ("hologram", {"depth_cm": 3})
        await equal(ana, bob)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_question_to_a_relay_that_dies_fails_at_once(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Story 24."""
    [folder] = await make_machines(tmp_path, "ana")
    async with (
        relay_process(tmp_path / "relay") as relay,
        machine(folder, "ana", relay.port) as ana,
    ):
        await ana.reach("live")
        relay.signal(signal.SIGSTOP)
        began = 0.0

        async def end() -> None:
            nonlocal began
            began = time.monotonic()
            relay.signal(how)
            relay.signal(signal.SIGCONT)
            await anyio.to_thread.run_sync(relay.end)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end)
            with pytest.raises(ConnectionFailed):  # noqa: PT012 - until it is gone
                while True:
                    await ana.link.ask_lease(LeaseRequest(0, "acquire", "r", 1, 0, ""))
            assert time.monotonic() - began < 10


async def test_a_long_session_is_joined_over_a_relay(tmp_path: Path) -> None:
    """Story 30: 10,000 messages come in one go, and life goes on."""
    ana_folder, bob_folder = await make_machines(tmp_path, "ana", "bob")
    async with (
        relay_process(tmp_path / "relay") as relay,
        machine(ana_folder, "ana", relay.port) as ana,
    ):
        at = ana.session.now()
        with ana.session.replica.edit() as (edit, ticket):
            for number in range(MANY):
                edit.add_message(Message(f"m{number}", "user", "p", at, f"{number}"))
        await ticket.wait()
        await ana.synced()
        async with machine(bob_folder, "bob", relay.port) as bob:
            await bob.until(lambda: bob.session.view.message_count == MANY)
            await bob.session.send("here I am", note=True)
            await ana.until(lambda: ana.session.view.message_count == MANY + 1)
            await equal(ana, bob)
