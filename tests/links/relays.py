"""A relay of this process that can be stopped and started, and people at it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from crdtsync_relay.server import Listening, run_relay
from crdtsync_relay.settings import Settings

from crdtsync.links.addresses import SessionLink, parse_link
from crdtsync.links.asking import ask_relay
from crdtsync.links.joining import attach
from crdtsync.links.link import Link
from crdtsync.links.remembered import open_remembered
from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import QUICK

WAIT_S = 40.0


class Place:
    """Where a relay runs, or does not run just now."""

    def __init__(self, data: Path, *, tokens: bool = True) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._settings = Settings(data, port=port, tokens=tokens)
        self.base = f"http://127.0.0.1:{port}"

    @property
    def owner(self) -> SessionLink:
        """The relay with its owner's token."""
        path = self._settings.data / "owner-token"
        token = path.read_text().strip() if path.exists() else ""
        return parse_link(f"{self.base}#{token}".rstrip("#"))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        started, stop = anyio.Event(), anyio.Event()

        def tell(_: Listening) -> None:
            started.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_relay, self._settings, tell, stop)
            with anyio.fail_after(WAIT_S):
                await started.wait()
            try:
                yield
            finally:
                stop.set()

    def lose(self) -> None:
        """Lose the disk, but for the owner's token; while nothing runs."""
        token = (self._settings.data / "owner-token").read_text()
        shutil.rmtree(self._settings.data)
        self._settings.data.mkdir(mode=0o700)
        (self._settings.data / "owner-token").write_text(token)

    async def invite(self, session: str, terms: JsonObject | None = None) -> JsonObject:
        """Make an invite as the owner."""
        path = f"/api/v1/sessions/{session}/invites"
        return await ask_relay(
            self.owner, "POST", path, terms or {}, token=self.owner.secret
        )

    async def revoke(self, session: str, name: str) -> None:
        """Revoke somebody's token as the owner."""
        path, token = f"/api/v1/sessions/{session}/tokens", self.owner.secret
        said = await ask_relay(self.owner, "GET", path, token=token)
        tokens = said["tokens"]
        assert isinstance(tokens, list)
        (found,) = [t for t in tokens if isinstance(t, dict) and t["name"] == name]
        await ask_relay(self.owner, "DELETE", f"{path}/{found['id']}", token=token)


@dataclass(frozen=True)
class Seat:
    """Somebody's window, and its one link."""

    session: Session
    link: Link

    def texts(self) -> list[str]:
        view = self.session.view
        return [view.text(message.id) for message in view.messages]

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(WAIT_S):
            await self.session.wait_for(lambda _: condition())

    async def reach(self, *states: str) -> None:
        with anyio.fail_after(WAIT_S):
            while self.link.state not in states:
                await self.link.status.changed.wait()

    async def synced(self) -> None:
        with anyio.fail_after(WAIT_S):
            await self.link.wait_synced()


@asynccontextmanager
async def seat(data: Path, session: str, name: str) -> AsyncGenerator[Seat]:
    """Open a window that is linked to what is remembered."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(
            open_session(session, data=data, name=name, timing=QUICK)
        )
        links = await stack.enter_async_context(open_remembered(opened))
        (link,) = links
        yield Seat(opened, link)


async def begin(data: Path, place: Place, name: str = "ana") -> str:
    """Make the session "plan" with a first message and put it on the relay."""
    async with open_session("plan", data=data, name=name, timing=QUICK) as session:
        await session.send("the beginning", note=True)
    await attach(place.owner, session.id, data=data, person=name)
    return session.id
