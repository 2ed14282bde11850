"""Rules of sessions: how many, how long, what viewers may; days are simulated."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crdtsync_relay.access import Access, open_access
from crdtsync_relay.grants import Role
from crdtsync_relay.housekeeping import Housekeeper
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.rules import SessionRules
from crdtsync_relay.settings import resolve

from crdtsync.clock import SimulatedClock
from crdtsync.errors import AccessDenied, SessionNotFound, UsageError
from crdtsync.log.sqlite import SqliteLog, open_sqlite_log

HOUR_S = 3600.0


@dataclass
class House:
    """A relay's tables, and a clock that is turned by hand."""

    access: Access
    log: SqliteLog
    clock: SimulatedClock
    sessions: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)

    async def days(self, count: float) -> None:
        """Let days pass while the relay runs."""
        keeper = Housekeeper(
            self.log, self.access, lambda: (self.sessions, self.tokens)
        )
        await keeper.look()
        for _ in range(round(count * 24)):
            self.clock.advance(HOUR_S)
            await keeper.look()

    async def session(self, name: str) -> None:
        """Make a session."""
        await Kinds(self.access, self.clock).note(name, True)
        await self.log.create(name)

    async def is_there(self, name: str) -> bool:
        """Whether it is stored."""
        try:
            await self.log.load(name)
        except SessionNotFound:
            return False
        return True


@asynccontextmanager
async def house(
    folder: Path, rules: SessionRules | None = None
) -> AsyncGenerator[House]:
    clock, path = SimulatedClock(), folder / "relay.db"
    async with (
        open_sqlite_log(path, clock=clock) as log,
        open_access(path, clock=clock) as access,
    ):
        await access.rules.begin(rules or SessionRules())
        yield House(access, log, clock)


async def test_a_session_takes_as_many_participants_as_its_owner_says(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, SessionRules(participants_max=2)) as here:
        await here.access.rules.change("small", {"participants_max": 1})
        for session, most in (("small", 1), ("other", 2)):
            for number in range(most):
                await here.access.grant(
                    "editor", session=session, participant=f"p{number}"
                )
            with pytest.raises(AccessDenied, match=f"takes {most} participants"):
                await here.access.grant("editor", session=session, participant="more")


async def test_what_an_owner_changed_stays_when_the_operator_changes_the_rest(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        changed = await here.access.rules.change("ours", {"viewers_note": True})
        assert changed == SessionRules(viewers_note=True)
    async with house(tmp_path, SessionRules(keep_days=30)) as here:
        rules = here.access.rules
        assert rules.of("ours") == SessionRules(viewers_note=True, keep_days=30)
        assert rules.of("theirs") == SessionRules(keep_days=30)


async def test_tokens_that_nobody_uses_are_revoked_and_owners_are_not(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, SessionRules(idle_token_days=2)) as here:
        roles: dict[str, Role] = {"idle": "editor", "busy": "editor", "boss": "owner"}
        made = {
            who: await here.access.grant(role, session="room", participant=who)
            for who, role in roles.items()
        }
        here.tokens = {made["busy"][1].id}
        await here.days(1.5)
        assert here.access.find(made["idle"][0])
        await here.days(1)
        found = {who for who, (token, _) in made.items() if here.access.find(token)}
        assert found == {"busy", "boss"}


async def test_a_session_that_nobody_opens_is_removed_with_its_tokens(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        await here.access.rules.change("left", {"keep_days": 3})
        for name in ("left", "kept", "open"):
            await here.session(name)
        await here.access.rules.change("open", {"keep_days": 3})
        here.sessions = {"open"}
        token, _ = await here.access.grant("editor", session="left", participant="ana")
        await here.days(2.5)
        assert await here.is_there("left")
        await here.days(1)
        assert not await here.is_there("left")
        assert here.access.find(token) is None
        assert here.access.rules.of("left") == SessionRules()
        assert Kinds(here.access, here.clock).is_session("left") is None
        assert await here.is_there("kept")
        assert await here.is_there("open")


@pytest.mark.parametrize("jump_s", [400 * 24 * HOUR_S, -400 * 24 * HOUR_S])
async def test_a_jump_of_the_clock_or_a_long_pause_removes_nothing(
    tmp_path: Path, jump_s: float
) -> None:
    async with house(tmp_path, SessionRules(keep_days=2, idle_token_days=2)) as here:
        await here.session("room")
        token, _ = await here.access.grant("editor", session="room", participant="ana")
        await here.days(1)
        here.clock.jump_wall(jump_s)
        await here.days(0.5)
        assert await here.is_there("room")
        assert here.access.find(token)
        await here.days(1)
        assert not await here.is_there("room")


def test_the_operators_rules_come_from_the_environment_and_are_checked() -> None:
    environ = {
        "CRDTSYNC_RELAY_PARTICIPANTS_MAX": "12",
        "CRDTSYNC_RELAY_VIEWERS_NOTE": "true",
        "CRDTSYNC_RELAY_IDLE_TOKEN_DAYS": "30",
        "CRDTSYNC_RELAY_KEEP_DAYS": "90",
    }
    assert resolve({}, environ).rules == SessionRules(12, True, 30, 90)
    assert resolve({}, {}).rules == SessionRules()
    with pytest.raises(UsageError, match="keep days"):
        resolve({"keep_days": "soon"}, {})
