"""Who grants turns while a window of this data folder listens, and after it.

The relay in the window grants them for all who are there. When the window is left each
machine grants its own again, as nobody could reach that relay any more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import CrdtSyncError
from crdtsync.remotes import Remote
from crdtsync.session import Session

__all__ = ["beside_listener", "meeting"]

LOOK_S: Final = 2.0
"""While the named relay is out of reach, who listens here is looked up so often."""

TELL_S: Final = 1.0
"""How long leaving waits until the guests know that each machine grants again."""


@asynccontextmanager
async def meeting(session: Session, own: Remote) -> AsyncGenerator[None]:
    """In a window that listens: at the end, let each machine grant turns again.

    Args:
        session: Linked to the window's own relay.
        own: That relay.
    """
    try:
        yield
    finally:
        with anyio.move_on_after(TELL_S, shield=True), suppress(CrdtSyncError):
            await _give_back(session, own)


@asynccontextmanager
async def beside_listener(session: Session) -> AsyncGenerator[None]:
    """In another window: link to the one that listens if its relay grants the turns.

    Updates come by the log that both share; what needs the link is an agent here.
    """
    async with open_tasks() as tasks:
        tasks.start_soon(_visit, session)
        yield


async def _give_back(session: Session, own: Remote) -> None:
    from crdtsync.links.naming import arbiter_link, name_arbiter  # noqa: PLC0415 - slow

    link = arbiter_link(session)
    owner = session.view.meta.created_by == session.me.id
    if link is not None and link.name == own.name and owner:
        await name_arbiter(session, None)
        await link.wait_synced()


async def _visit(session: Session) -> None:
    from crdtsync.links.naming import arbiter_link  # noqa: PLC0415 - slow to import

    while True:
        await session.wait_for(
            lambda view: bool(view.meta.arbiter) and arbiter_link(session) is None
        )
        await _visit_once(session)
        await anyio.sleep(LOOK_S)


async def _visit_once(session: Session) -> None:
    """Keep a link to the window that listens, if there is one, until it is gone."""
    from crdtsync_relay.way_in import find_window  # noqa: PLC0415 - rarely needed

    data = session.place.data
    own = await anyio.to_thread.run_sync(find_window, data, session.id)
    if own is None:
        return
    from crdtsync.links.connecting import connect_websocket  # noqa: PLC0415 - slow
    from crdtsync.links.link import open_links  # noqa: PLC0415 - slow

    remote = Remote.at(own, session.id, own.secret)
    async with open_links(session) as links:
        link = links.join(remote.name, partial(connect_websocket, remote.address))
        await link.wait_for("offline", "refused")
