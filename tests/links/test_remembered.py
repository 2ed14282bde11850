"""Windows at a relay that goes, comes back, forgets, and sends away."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from crdtsync.catalog import Catalog
from crdtsync.links.addresses import parse_link
from crdtsync.links.joining import join_session
from crdtsync.links.remembered import wait_told
from crdtsync.remotes import Remotes
from crdtsync.session.opening import open_session
from tests.host.stage import QUICK
from tests.links.relays import WAIT_S, Place, begin, seat


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "relay")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "ana"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "bob"


@pytest.fixture
async def session(here: Path, there: Path, place: Place) -> str:
    """One that both have, with the relay stopped again."""
    async with place.running():
        found = await begin(here, place)
        async with seat(here, found, "ana") as ana:
            await ana.synced()
        link = parse_link(str((await place.invite(found))["link"]))
        await join_session(link, data=there, person="bob")
    return found


async def test_what_was_written_offline_goes_out_with_the_next_connection(
    session: str, here: Path, there: Path, place: Place
) -> None:
    for folder, name in ((here, "ana"), (there, "bob")):
        async with open_session(
            session, data=folder, name=name, timing=QUICK
        ) as window:
            await window.send(f"alone: {name}", note=True)
    async with (
        place.running(),
        seat(here, session, "ana") as ana,
        seat(there, session, "bob") as bob,
    ):
        everything = {"the beginning", "alone: ana", "alone: bob"}
        for each in (ana, bob):
            await each.until(lambda each=each: set(each.texts()) == everything)  # type: ignore[misc]


async def test_who_comes_back_holds_nobody_elses_prompts(
    session: str, here: Path, there: Path, place: Place
) -> None:
    async with place.running(), seat(here, session, "ana") as ana:
        await ana.reach("live")
        prompt = (await ana.session.send("typed while bob was away")).id
        await ana.synced()
        async with seat(there, session, "bob") as bob:
            await bob.until(lambda: prompt in bob.session.view.queue)
            await bob.synced()
            await bob.session.send("bob is here", note=True)
            await ana.until(lambda: "bob is here" in ana.texts())
            for each in (ana, bob):
                assert not each.session.view.queue[prompt].held


async def test_a_relay_that_restarts_and_one_that_forgot_all_is_filled_again(
    session: str, here: Path, there: Path, place: Place
) -> None:
    async with seat(here, session, "ana") as ana:
        async with place.running():
            ana.link.retry()
            await ana.reach("live")
        await ana.reach("offline")
        await ana.session.send("while it was away", note=True)
        place.lose()
        async with place.running():
            ana.link.retry()
            await ana.reach("live")
            await ana.synced()
            link = parse_link(str((await place.invite(session))["link"]))
            await join_session(link, data=there, person="bob")
            async with seat(there, session, "bob") as bob:
                await bob.until(lambda: len(bob.texts()) == 2)


async def test_who_is_sent_away_is_told_within_five_seconds(
    session: str, there: Path, place: Place
) -> None:
    async with place.running(), seat(there, session, "bob") as bob:
        await bob.reach("live")
        await place.revoke(session, "bob")
        with anyio.fail_after(5):
            await bob.link.wait_for("refused")
        assert bob.link.status.reason == "the token was revoked or has expired"
        await bob.session.send("kept here", note=True)
        assert not await wait_told([bob.link], 5.0)


async def test_fifty_reconnects_are_one_session_and_no_new_line(
    session: str, here: Path, place: Place
) -> None:
    async with place.running():
        for _ in range(50):
            async with seat(here, session, "ana") as ana:
                await ana.reach("live")
        assert ana.texts() == ["the beginning"]
    assert [entry.name for entry in Catalog(here).entries()] == ["plan"]
    assert len(Remotes(here).of(session)) == 1
    notes = list((here / "remotes" / session).iterdir())
    assert len(notes) == 2, notes


async def test_a_viewer_who_leaves_leaves_by_name(
    session: str, here: Path, tmp_path: Path, place: Place
) -> None:
    async with place.running(), seat(here, session, "ana") as ana:
        await ana.reach("live")
        made = await place.invite(session, {"role": "viewer"})
        link = parse_link(str(made["link"]))
        await join_session(link, data=tmp_path / "vic", person="vic")
        with ana.session.events() as events:
            async with seat(tmp_path / "vic", session, "vic"):
                await ana.until(lambda: len(ana.session.presence) == 2)
            with anyio.fail_after(WAIT_S):
                async for event in events:
                    if event.type == "participant.left":
                        break
        assert event.actor is not None
        assert event.actor.name == "vic"


async def test_what_is_known_of_a_link_is_there_for_other_processes(
    session: str, here: Path, place: Place
) -> None:
    remotes = Remotes(here)
    async with place.running(), seat(here, session, "ana") as ana:
        await ana.reach("live")
        await ana.synced()
        known = ("live", ana.session.place.window, ana.session.head)

        def is_noted() -> bool:
            noted = remotes.seen(session, place.base)
            return known in [(one.state, one.window, one.safe_seq) for one in noted]

        with anyio.fail_after(WAIT_S):
            # Another process can only look, too.
            while not is_noted():  # noqa: ASYNC110
                await anyio.sleep(0.05)
    (noted,) = remotes.seen(session, place.base)
    assert (noted.state, noted.safe_seq) == ("offline", ana.session.head)


async def test_one_who_only_looks_sees_people_of_other_machines(
    session: str, here: Path, there: Path, place: Place
) -> None:
    async with (
        place.running(),
        seat(here, session, "ana") as ana,
        seat(there, session, "bob"),
    ):
        await ana.until(lambda: len(ana.session.presence) == 2)
        async with open_session(
            session, data=here, mode="reader", timing=QUICK
        ) as looking:
            with anyio.fail_after(WAIT_S):
                await looking.wait_for(lambda _: len(looking.presence) == 2)


async def test_a_window_that_was_refused_goes_on_once_there_is_another_token(
    session: str, here: Path, there: Path, place: Place
) -> None:
    async with (
        place.running(),
        seat(here, session, "ana") as ana,
        seat(there, session, "bob") as bob,
    ):
        await bob.reach("live")
        await place.revoke(session, "bob")
        await bob.reach("refused")
        await ana.session.send("without bob", note=True)
        link = parse_link(str((await place.invite(session))["link"]))
        await join_session(link, data=there, person="bob")
        await bob.until(lambda: "without bob" in bob.texts())
        await bob.reach("live")
