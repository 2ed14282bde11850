"""Who grants turns: the window that listens in a meeting, each machine after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from crdtsync_cli.linking import Linking, linked
from crdtsync_relay.listening import listen

from crdtsync.links.naming import arbiter_link
from crdtsync.remotes import Remote
from crdtsync.session import Session
from crdtsync.session.opening import open_session


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def listening(session: Session) -> AsyncGenerator[None]:
    """Listen, as `open --listen` does."""
    async with listen(session.place.data, session.id, "127.0.0.1:0") as window:
        own = Remote.at(window.own, session.id, window.own.secret)
        async with linked(session, Linking(), [own], leave_s=1.0):
            with anyio.fail_after(40):
                await session.wait_for(lambda _: arbiter_link(session) is not None)
            yield


async def test_a_window_beside_the_one_that_listens_reaches_who_grants(
    tmp_path: Path,
) -> None:
    async with (
        open_session("plan", data=tmp_path, name="ana") as window,
        open_session("plan", data=tmp_path, name="ana") as beside,
        linked(beside, Linking()),
    ):
        # One that is there already, and one that comes later.
        async with listening(window):
            with anyio.fail_after(40):
                await beside.wait_for(lambda _: arbiter_link(beside) is not None)
                async with (
                    open_session("plan", data=tmp_path, name="ana") as later,
                    linked(later, Linking()),
                ):
                    await later.wait_for(lambda _: arbiter_link(later) is not None)
            assert window.view.meta.arbiter
        with anyio.fail_after(40):
            await beside.wait_for(lambda view: not view.meta.arbiter)
            await beside.wait_for(lambda _: not beside.links)


async def test_who_is_offline_asks_nobody(tmp_path: Path) -> None:
    async with (
        open_session("plan", data=tmp_path, name="ana") as window,
        open_session("plan", data=tmp_path, name="ana") as beside,
        linked(beside, Linking(offline=True)),
        listening(window),
    ):
        with anyio.fail_after(40):
            await beside.wait_for(lambda view: bool(view.meta.arbiter))
        assert beside.links == []


async def test_a_window_that_is_cancelled_lets_each_machine_grant_again(
    tmp_path: Path,
) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as window:
        with anyio.CancelScope() as scope:
            async with listening(window):
                scope.cancel()
                await anyio.sleep_forever()
        assert not window.view.meta.arbiter


async def test_a_relay_that_grants_already_is_left_alone(tmp_path: Path) -> None:
    async with open_session("plan", data=tmp_path, name="ana") as window:
        with window.replica.edit() as (edit, _):
            edit.set_meta({"arbiter": "the-teams", "arbiter_at": "https://team"})
        async with listen(tmp_path, window.id, "127.0.0.1:0") as listener:
            own = Remote.at(listener.own, window.id, listener.own.secret)
            async with linked(window, Linking(), [own], leave_s=1.0) as (link,):
                with anyio.fail_after(40):
                    await link.wait_for("live")
        assert window.view.meta.arbiter == "the-teams"
