"""What a relay lets people do with their own windows, over a real relay."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from crdtsync.errors import AccessDenied
from crdtsync.events import Notice
from crdtsync.identity import runner_id
from crdtsync.links.addresses import parse_link
from crdtsync.links.asking import ask_relay
from crdtsync.links.joining import join_session
from crdtsync.schema import JsonObject, JsonValue, plain
from crdtsync.turns.claim import Claim
from tests.links.relays import WAIT_S, Place, Seat, begin, seat

OPTIONS: list[JsonValue] = [{"id": "y", "label": "Yes", "kind": "allow_once"}]


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


async def share(here: Path, there: Path, place: Place, terms: JsonObject) -> str:
    """Ana's session, which bob has joined on these terms."""
    session = await begin(here, place)
    async with seat(here, session, "ana") as ana:
        await ana.synced()
    link = parse_link(str((await place.invite(session, terms))["link"]))
    with anyio.fail_after(WAIT_S):
        await join_session(link, data=there, person="bob")
    return session


async def ask(ana: Seat, bob: Seat) -> None:
    """Have ana's agent ask something, and wait until bob sees it."""
    question: JsonObject = {
        "number": 1,
        "turn": "t1",
        "title": "rm",
        "options": OPTIONS,
    }
    runner = runner_id(ana.session.me.id, "0" * 12)
    machine = ana.session.place.identity.machine
    claim = Claim(1, "arb", "local", runner, machine, "agent", ())
    with ana.session.replica.edit() as (edit, ticket):
        edit.set_turn("t1", {"claim": plain(claim.to_json()), "started": True})
        edit.ask("q1", question)
    await ticket.wait()
    await bob.until(lambda: bob.session.view.approval_table.get("q1") is not None)


def votes(seen: Seat) -> dict[str, str]:
    return dict(seen.session.view.approvals["q1"].votes)


async def test_an_editor_answers_the_agent_only_with_that_right(
    here: Path, there: Path, place: Place
) -> None:
    session = await share(here, there, place, {"role": "editor"})
    async with seat(here, session, "ana") as ana, seat(there, session, "bob") as bob:
        await ask(ana, bob)
        with pytest.raises(AccessDenied, match="may not answer"):
            await bob.session.vote(1, allow=True)
        assert votes(bob) == {}


async def test_an_editor_who_may_approve_answers_the_agent(
    here: Path, there: Path, place: Place
) -> None:
    session = await share(here, there, place, {"role": "editor", "can_approve": True})
    async with seat(here, session, "ana") as ana, seat(there, session, "bob") as bob:
        await ask(ana, bob)
        await bob.session.vote(1, allow=True)
        await ana.until(lambda: votes(ana) == {bob.session.me.id: "y"})


async def test_a_forged_answer_stays_where_it_was_written_until_the_decision(
    here: Path, there: Path, place: Place
) -> None:
    session = await share(here, there, place, {"role": "editor", "can_approve": True})
    async with seat(here, session, "ana") as ana, seat(there, session, "bob") as bob:
        await ask(ana, bob)
        told: list[str] = []
        with bob.session.events() as events:
            with bob.session.replica.edit() as (edit, ticket):
                edit.vote("q1", ana.session.me.id, "y")
            await ticket.wait()
            with anyio.fail_after(WAIT_S):
                async for event in events:
                    if isinstance(event.body, Notice):
                        told.append(event.body.text)
                        break
        assert "only from the person who gives it" in told[0]
        assert bob.link.state == "live"
        assert votes(ana) == {}
        # Once it decides nothing any more, it comes in, and what bob wrote after it.
        with ana.session.replica.edit() as (edit, ticket):
            edit.decide("q1", "expired", "")
        await ticket.wait()
        await bob.until(lambda: bool(bob.session.view.approvals["q1"].decision))
        await bob.session.send("go on", note=True)
        await ana.until(lambda: "go on" in ana.texts())


async def test_viewers_write_notes_where_the_owner_lets_them(
    here: Path, there: Path, place: Place
) -> None:
    session = await share(here, there, place, {"role": "viewer"})
    path, token = f"/api/v1/sessions/{session}/rules", place.owner.secret
    said = await ask_relay(
        place.owner, "PATCH", path, {"viewers_note": True}, token=token
    )
    assert said["viewers_note"] is True
    async with seat(here, session, "ana") as ana, seat(there, session, "bob") as bob:
        await bob.reach("read-only")
        with pytest.raises(AccessDenied, match="look, not write"):
            await bob.session.send("do it")
        await bob.session.send("looks good", note=True)
        await ana.until(lambda: "looks good" in ana.texts())
