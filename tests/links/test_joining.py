"""Coming into sessions of others, over a real relay."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from crdtsync.catalog import Catalog
from crdtsync.errors import AccessDenied, ConnectionFailed, UsageError
from crdtsync.links.addresses import SessionLink, parse_link
from crdtsync.links.asking import ask_relay
from crdtsync.links.joining import Joined, attach, join_session
from crdtsync.remotes import Remote, Remotes
from crdtsync.session.opening import open_session
from tests.host.stage import QUICK
from tests.links.relays import Place, begin, seat


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Place]:
    relay = Place(tmp_path / "relay")
    async with relay.running():
        yield relay


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "ana"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "bob"


async def join(data: Path, link: SessionLink, code: str = "") -> Joined:
    with anyio.fail_after(60):
        return await join_session(link, data=data, person="bob", code=code)


async def upload(here: Path, place: Place) -> str:
    session = await begin(here, place)
    async with seat(here, session, "ana") as ana:
        await ana.synced()
    return session


async def test_a_code_lets_in_once_and_brings_the_history(
    here: Path, there: Path, place: Place
) -> None:
    session = await upload(here, place)
    made = await place.invite(session)
    joined = await join(there, parse_link(place.base), str(made["code"]))
    assert (joined.id, joined.name, joined.new) == (session, "plan", True)
    assert (joined.state, joined.messages) == ("live", 1)
    with pytest.raises(AccessDenied, match="wrong, used up or expired"):
        await join(there, parse_link(place.base), str(made["code"]))
    async with seat(here, session, "ana") as ana, seat(there, "plan", "bob") as bob:
        await ana.session.send("from ana", note=True)
        await bob.session.send("from bob", note=True)
        everything = {"the beginning", "from ana", "from bob"}
        await ana.until(lambda: set(ana.texts()) == everything)
        await bob.until(lambda: set(bob.texts()) == everything)
        assert bob.session.view.meta.created_by == ana.session.me.id
        names = ["ana", "bob"]
        await ana.until(lambda: [p.name for p in ana.session.presence] == names)


async def test_the_link_that_was_used_to_join_opens_the_session_ever_after(
    here: Path, there: Path, place: Place
) -> None:
    session = await upload(here, place)
    link = parse_link(str((await place.invite(session))["link"]))
    first, again = await join(there, link), await join(there, link)
    assert (first.new, again.new, again.name) == (True, False, "plan")
    assert [entry.name for entry in Catalog(there).entries()] == ["plan"]


async def test_a_viewer_may_look_and_a_later_invite_makes_an_editor(
    here: Path, there: Path, place: Place
) -> None:
    session = await upload(here, place)
    look = await place.invite(session, {"role": "viewer"})
    joined = await join(there, parse_link(str(look["link"])))
    assert (joined.state, joined.remote.role) == ("read-only", "viewer")
    async with seat(there, session, "bob") as bob:
        await bob.reach("read-only")
        with pytest.raises(AccessDenied, match="you can look, not write"):
            await bob.session.send("me too")
    write = await place.invite(session)
    joined = await join(there, parse_link(str(write["link"])))
    assert (joined.state, joined.remote.role) == ("live", "editor")
    async with seat(there, session, "bob") as bob:
        await bob.session.send("me too", note=True)
        await bob.synced()


async def test_what_cannot_be_joined_leaves_nothing_behind(
    here: Path, there: Path, place: Place
) -> None:
    session = await upload(here, place)
    wrong = "cs1_" + "x" * 43
    for link in (
        f"{place.base}/s/{session}",
        f"{place.base}/s/{session}#{wrong}",
        f"{place.base}/s/{session}#csi_{wrong}",
    ):
        with pytest.raises(AccessDenied):
            await join(there, parse_link(link))
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        await join(there, parse_link(f"http://127.0.0.1:9/s/{session}"))
    with pytest.raises(UsageError, match="no session"):
        await join(there, place.owner)
    assert Catalog(there).entries() == []
    assert Remotes(there).of(session) == []


async def test_a_session_that_nobody_has_begun_is_begun_by_who_opens_its_link(
    there: Path, place: Place
) -> None:
    joined = await join(there, replace(place.owner, session="a-new-one"))
    assert (joined.id, joined.state) == ("a-new-one", "live")
    async with open_session("a-new-one", data=there, mode="reader") as session:
        assert session.view.meta.id == "a-new-one"


async def test_the_beginning_of_a_joined_session_is_left_to_who_has_it(
    there: Path,
) -> None:
    link = parse_link("https://relay.example/s/theirs")
    Remotes(there).add("theirs", Remote.at(link, "theirs", ""))
    Catalog(there).add("theirs", "theirs", "2026-11-21T10:00:00.000Z")
    async with open_session("theirs", data=there, timing=QUICK) as session:
        assert session.view.meta.id == ""


async def test_a_session_is_put_on_a_relay_that_is_away_and_gets_there_later(
    tmp_path: Path, here: Path
) -> None:
    relay = Place(tmp_path / "later", tokens=False)
    session = await begin(here, relay)
    async with seat(here, session, "ana") as ana:
        await ana.reach("offline")
        async with relay.running():
            ana.link.retry()
            await ana.reach("live")
            await ana.synced()
    other = parse_link(f"{relay.base}/s/another")
    with pytest.raises(UsageError, match="another session's"):
        await attach(other, session, data=here, person="ana")


async def test_a_token_for_somebody_makes_its_bearer_that_participant(
    here: Path, there: Path, place: Place
) -> None:
    session = await upload(here, place)
    body = {"role": "editor", "participant": "bob-of-sales"}
    path = f"/api/v1/sessions/{session}/tokens"
    made = await ask_relay(place.owner, "POST", path, body, token=place.owner.secret)
    await join(there, parse_link(f"{place.base}/s/{session}#{made['token']}"))
    async with seat(there, session, "bob") as bob:
        assert bob.session.me.id == "bob-of-sales"
