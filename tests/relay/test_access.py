"""Tokens and invites where the routes do not show it; and what settings refuse."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crdtsync_relay.access import Access, open_access
from crdtsync_relay.codes import is_code, make_code, words
from crdtsync_relay.invites import Invites
from crdtsync_relay.owner import owner_token
from crdtsync_relay.settings import Settings, resolve

from crdtsync.clock import SimulatedClock
from crdtsync.errors import AccessDenied, UsageError
from crdtsync.log.sqlite import open_sqlite_log


@asynccontextmanager
async def access_in(folder: Path, clock: SimulatedClock) -> AsyncGenerator[Access]:
    path = folder / "relay.db"
    async with (
        open_sqlite_log(path, clock=clock),
        open_access(path, clock=clock) as access,
    ):
        yield access


def _stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_only_the_hash_of_a_token_is_stored(tmp_path: Path) -> None:
    async with access_in(tmp_path, SimulatedClock()) as access:
        token, grant = await access.grant("editor", session="s", participant="ada")
        assert token.startswith("cs1_")
        assert access.find(token) == grant
        assert access.find(token + "x") is None
    assert token.encode() not in _stored(tmp_path)


async def test_a_token_ends_when_it_expires_or_is_revoked(tmp_path: Path) -> None:
    clock = SimulatedClock()
    async with access_in(tmp_path, clock) as access:
        short, _ = await access.grant(
            "viewer", session="s", participant="ada", life_s=60
        )
        long, grant = await access.grant("viewer", session="s", participant="bob")
        clock.advance(61)
        assert access.find(short) is None
        assert access.find(long) == grant
        assert not await access.revoke(grant.id, session="other")
        assert await access.revoke(grant.id)
        assert access.find(long) is None
        assert access.standing([grant.id]) == set()


async def test_a_new_owner_token_makes_the_old_one_worthless(tmp_path: Path) -> None:
    async with access_in(tmp_path, SimulatedClock()) as access:
        first = await owner_token(tmp_path, access)
        assert await owner_token(tmp_path, access) == ""
        assert access.find(first) is not None
        (tmp_path / "owner-token").unlink()
        second = await owner_token(tmp_path, access)
        assert access.find(first) is None
        assert access.find(second) is not None


async def test_a_code_is_burnt_after_five_wrong_tries(tmp_path: Path) -> None:
    async with access_in(tmp_path, SimulatedClock()) as access:
        invites = Invites(access)
        made = await invites.make("s", "editor")
        number = made.code.partition("-")[0]
        wrong = f"{number}-otter-otter-otter"
        for _ in range(5):
            with pytest.raises(AccessDenied):
                await invites.redeem(wrong, "eve", "")
        with pytest.raises(AccessDenied):
            await invites.redeem(made.code, "ada", "")
        _, grant = await invites.redeem(made.secret, "ada", "")
        assert grant.participant == "ada"


async def test_a_code_lives_fifteen_minutes_and_its_link_longer(tmp_path: Path) -> None:
    clock = SimulatedClock()
    async with access_in(tmp_path, clock) as access:
        invites = Invites(access)
        made = await invites.make("s", "viewer", uses=2, life_s=3600)
        clock.advance(15 * 60 + 1)
        with pytest.raises(AccessDenied):
            await invites.redeem(made.code, "ada", "")
        await invites.redeem(made.secret, "ada", "")
        clock.advance(3600)
        with pytest.raises(AccessDenied):
            await invites.redeem(made.secret, "bob", "")


async def test_whoever_is_turned_away_uses_no_invite_up(tmp_path: Path) -> None:
    async with access_in(tmp_path, SimulatedClock()) as access:
        invites = Invites(access)
        made = await invites.make("s", "viewer", uses=2)
        await invites.redeem(made.secret, "ada", "")
        with pytest.raises(AccessDenied, match="already"):
            await invites.redeem(made.secret, "ada", "")
        await invites.redeem(made.secret, "bob", "")


async def test_approving_is_a_right_of_its_own(tmp_path: Path) -> None:
    async with access_in(tmp_path, SimulatedClock()) as access:
        invites = Invites(access)
        rights = {}
        for name, role, asked in (
            ("ada", "owner", False),
            ("bob", "editor", False),
            ("cay", "editor", True),
        ):
            made = await invites.make("s", role, can_approve=asked)
            _, grant = await invites.redeem(made.secret, name, "")
            rights[name] = grant.can_approve
        assert rights == {"ada": True, "bob": False, "cay": True}


def test_a_code_is_a_number_and_three_of_256_words() -> None:
    assert len(set(words())) == 256
    made = make_code({number for number in range(100) if number != 17})
    assert made is not None
    number, code = made
    assert number == 17
    assert code.startswith("17-")
    assert is_code(code)
    assert make_code(range(100)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "relay.example"])  # noqa: S104
def test_nobody_else_is_served_without_encryption(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="nothing is encrypted"):
        Settings(tmp_path, host=host)
    assert Settings(tmp_path, host=host, insecure_http=True).asks_for_tokens


def test_only_on_loopback_nobody_needs_a_token(tmp_path: Path) -> None:
    assert not Settings(tmp_path).asks_for_tokens
    assert not Settings(tmp_path, host="::1").asks_for_tokens
    assert Settings(tmp_path, insecure_http=True).asks_for_tokens
    assert Settings(tmp_path, tokens=True).asks_for_tokens


def test_a_flag_wins_over_the_environment() -> None:
    environ = {"CRDTSYNC_RELAY_BIND": "[::1]:9000", "CRDTSYNC_RELAY_TOKENS": "yes"}
    found = resolve({}, environ)
    assert (found.host, found.port, found.tokens) == ("::1", 9000, True)
    found = resolve({"bind": "127.0.0.2:1"}, environ)
    assert (found.host, found.port) == ("127.0.0.2", 1)
    with pytest.raises(UsageError):
        resolve({"bind": "127.0.0.1:http"}, {})
