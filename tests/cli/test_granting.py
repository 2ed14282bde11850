"""/apart, /take and /arbiter: who runs turns, as people type it."""

from __future__ import annotations

from pathlib import Path

import pytest
from crdtsync_cli.actions import act
from crdtsync_cli.attention import Attention
from crdtsync_cli.running import find_offline
from crdtsync_cli.settings import resolve
from crdtsync_cli.slash import read_line

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.host import HostSettings
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.machines import folders, machine, relay_at
from tests.host.stage import ECHO


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def do(session: Session, text: str) -> str:
    line = read_line(text)
    assert line is not None
    return " ".join((await act(session, line, Attention())).lines)


async def test_without_an_agent_nothing_can_be_run_here(tmp_path: Path) -> None:
    async with open_session("s", data=tmp_path, name="ana") as ana:
        assert "no relay is named" in await do(ana, "/arbiter")
        for text in ("/apart", "/take"):
            with pytest.raises(OperationFailed, match="no agent runs") as caught:
                await do(ana, text)
            assert "/agent NAME" in caught.value.hint
        with pytest.raises(UsageError, match="names no link"):
            await do(ana, "/arbiter elsewhere")


async def test_a_person_runs_turns_apart_and_names_another_arbiter(
    tmp_path: Path,
) -> None:
    [here] = await folders(tmp_path, 1)
    async with (
        relay_at(tmp_path / "relay") as relay,
        machine(here, relay, agent=ECHO, settings=HostSettings(offline="ask")) as ana,
    ):
        session = ana.session
        await ana.until(lambda view: bool(view.meta.arbiter))
        assert "in reach" in await do(session, "/arbiter")
        with pytest.raises(OperationFailed, match="nothing has to run apart"):
            await do(session, "/apart")
        with pytest.raises(OperationFailed, match="no prompt waits"):
            await do(session, "/take")
        ana.leave()
        sent = await session.send("apart")
        await ana.told("lease.ask_apart")
        assert "out of reach" in await do(session, "/arbiter")
        assert "turns wait" in await do(session, "/apart no")
        with pytest.raises(UsageError, match="cannot be 'perhaps'"):
            await do(session, "/apart perhaps")
        assert "run apart here" in await do(session, "/apart")
        turn = await ana.ended(sent.id)
        assert turn.claim is not None
        assert turn.claim.grant == "offline"
        assert "no relay is named" in await do(session, "/arbiter none")
        alone = await ana.ended((await session.send("alone")).id)
        assert alone.claim is not None
        assert alone.claim.grant == "local"
        # That stays so, until somebody names one.
        await ana.connect()
        assert "no relay is named" in await do(session, "/arbiter")
        assert "in reach" in await do(session, "/arbiter 127.0.0.1")


def test_the_way_without_a_relay_is_a_setting(tmp_path: Path) -> None:
    settings = resolve({}, {"CRDTSYNC_OFFLINE_TURNS": "allow"}, {}, tmp_path)
    assert find_offline("", settings) == "allow"
    assert find_offline("deny", settings) == "deny"
    with pytest.raises(UsageError, match="--offline-turns cannot be 'perhaps'"):
        find_offline("perhaps", settings)
    assert find_offline("", resolve({}, {}, {}, tmp_path)) == "ask"


def test_a_host_has_nobody_to_ask(tmp_path: Path) -> None:
    settings = resolve({}, {"CRDTSYNC_OFFLINE_TURNS": "ask"}, {}, tmp_path)
    assert find_offline("", settings, somebody=False) == "deny"
    assert find_offline("allow", settings, somebody=False) == "allow"
    with pytest.raises(UsageError, match="a host has nobody to ask") as refused:
        find_offline("ask", settings, somebody=False)
    assert (
        refused.value.hint == "deny: prompts wait for the relay; allow: they run apart."
    )
