"""Which relay grants turns: who names it, and when (A8)."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from crdtsync.errors import OperationFailed
from crdtsync.links.naming import name_arbiter
from tests.linked import Linked, copy_session, linked, make_session, relaying


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    await make_session(folder)
    return folder


def arbiter(end: Linked) -> str:
    return end.session.view.meta.arbiter


async def test_the_owners_window_names_the_first_relay_and_no_other(
    here: Path,
) -> None:
    async with relaying() as relay, linked(here, relay) as ana:
        relay.arb = "arb-1"
        await ana.reach("live")
        await ana.until(lambda: arbiter(ana) == "arb-1")
        assert ana.session.view.meta.arbiter_at == relay.name
        assert ana.link.relay == "arb-1"
        assert ana.link.status.first
        async with relaying() as second:
            second.name, second.arb = "wss://second/ws/s", "arb-2"
            other = ana.links.join(second.name, second.dial)
            with anyio.fail_after(15):
                await other.wait_for("live")
            await ana.synced()
            assert arbiter(ana) == "arb-1"
            assert not other.status.first
            await name_arbiter(ana.session, other)
            assert arbiter(ana) == "arb-2"
            await name_arbiter(ana.session, None)
            assert arbiter(ana) == ""


async def test_whoever_is_not_the_owner_names_none_by_itself(
    here: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    await copy_session(here, there)
    async with relaying() as relay, linked(there, relay, name="bob") as bob:
        relay.arb = "arb-1"
        await bob.reach("live")
        await bob.synced()
        assert arbiter(bob) == ""
        await name_arbiter(bob.session, bob.link)
        assert arbiter(bob) == "arb-1"


async def test_a_relay_that_is_emptied_is_named_anew_under_its_address(
    here: Path,
) -> None:
    async with relaying() as relay, linked(here, relay) as ana:
        relay.arb = "arb-1"
        await ana.until(lambda: arbiter(ana) == "arb-1")
        relay.arb = "arb-2"
        relay.empty()
        await ana.until(lambda: arbiter(ana) == "arb-2")
        assert not ana.link.status.first


async def test_a_viewer_names_none_and_neither_does_a_dead_link(here: Path) -> None:
    async with relaying() as relay, linked(here, relay) as ana:
        relay.arb, relay.role = "arb-1", "viewer"
        await ana.reach("read-only")
        assert arbiter(ana) == ""
        with pytest.raises(OperationFailed, match="read-only"):
            await name_arbiter(ana.session, ana.link)
