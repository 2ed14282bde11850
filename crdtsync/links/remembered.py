"""Links a session to its remotes, and remembers how far that went for other processes.

Which remotes a session has, `crdtsync.remotes` knows; who joins, `joining` does.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.errors import DataError, LogUnwritable
from crdtsync.links.connecting import connect_websocket
from crdtsync.links.link import Link, Links, open_links
from crdtsync.links.transport import Transport
from crdtsync.remotes import Remote, Remotes, Seen
from crdtsync.session import Session
from crdtsync.session.opening import seed
from crdtsync.sync.conduct import NOTES

__all__ = [
    "begin_if_empty",
    "open_remembered",
    "wait_settled",
    "wait_told",
]

RENEWED_S: Final = 2.0
"""After a refusal, another token is looked for so often."""

NOTE_S: Final = 1.0
"""What is known of a link is written down at most so often."""

MEASURED_S: Final = 6.0
"""The round trip of a new connection is known after a beat or so."""


@asynccontextmanager
async def open_remembered(
    session: Session, more: Sequence[Remote] = ()
) -> AsyncGenerator[Links]:
    """Let a session have links to all its remembered remotes while the block is open.

    Args:
        session: Open and writable.
        more: Remotes for this time only.

    Raises:
        DataError: What is remembered cannot be read.
    """
    remotes = Remotes(session.place.data)
    known = await anyio.to_thread.run_sync(remotes.of, session.id)
    named = {remote.name: remote for remote in [*known, *more]}
    async with open_links(session) as links, anyio.create_task_group() as tasks:
        for remote in named.values():
            latest = _Latest(remotes, session.id, remote)
            link = links.join(remote.name, latest.connect)
            tasks.start_soon(_keep_note, session, link, remotes)
            tasks.start_soon(latest.retry_when_renewed, link)
        try:
            yield links
        finally:
            tasks.cancel_scope.cancel()


class _Latest:
    """How to connect to a remote by what is remembered of it now.

    Another process may have joined again, with another token.
    """

    def __init__(self, remotes: Remotes, session: str, remote: Remote) -> None:
        self._remotes = remotes
        self._session = session
        self._remote = remote
        self._is_read = True

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Transport]:
        """Connect; as a `Dial`."""
        if not self._is_read:
            self._remote = await anyio.to_thread.run_sync(self._read)
        self._is_read = False
        async with connect_websocket(self._remote.address) as transport:
            yield transport

    async def retry_when_renewed(self, link: Link) -> None:
        """Wake a link that was refused when there is another token for it."""
        while True:
            await link.wait_for("refused")
            await anyio.sleep(RENEWED_S)
            found = await anyio.to_thread.run_sync(self._read)
            if found.address != self._remote.address and link.state == "refused":
                link.retry()
                await link.wait_for("connecting", "syncing", "live", "offline")

    def _read(self) -> Remote:
        with suppress(DataError):
            for remote in self._remotes.of(self._session):
                if remote.name == self._remote.name:
                    return remote
        return self._remote


async def wait_settled(link: Link) -> None:
    """Wait until a link is up, or until it is known why it is not."""
    await link.wait_for("live", "read-only", "refused", "offline")


async def wait_told(links: Sequence[Link], wait_s: float) -> bool:
    """Give links time to pass on what is in the log.

    Args:
        links: Of one session.
        wait_s: The most to wait; a link that is offline is not waited for.

    Returns:
        Whether one of them has it all at its other end, committed to disk.
    """

    async def tell(link: Link, scope: anyio.CancelScope) -> None:
        await wait_settled(link)
        while _tells(link) and link.unsynced != 0:
            await link.status.changed.wait()
        if _tells(link):
            scope.cancel()

    with anyio.move_on_after(wait_s):
        async with anyio.create_task_group() as tasks:
            for link in links:
                tasks.start_soon(tell, link, tasks.cancel_scope)
    return any(_tells(link) and link.unsynced == 0 for link in links)


def _tells(link: Link) -> bool:
    """Whether what is written here goes out through a link now."""
    notes = NOTES in (link.status.features or ())
    return link.state == "live" or (link.state == "read-only" and notes)


def begin_if_empty(session: Session) -> None:
    """Begin a session of which nobody has the beginning; for when a link is live."""
    if not session.view.meta.id and not session.read_only:
        seed(session)


async def _keep_note(session: Session, link: Link, remotes: Remotes) -> None:
    """Write down what changes, for processes without links."""
    furthest = await anyio.to_thread.run_sync(
        remotes.tidy, session.id, link.name, session.bell.others()
    )
    try:
        while True:
            changed = link.status.changed
            if link.state == "live":
                begin_if_empty(session)
            if role := link.status.role:
                await anyio.to_thread.run_sync(
                    remotes.note_role, session.id, link.name, role
                )
            await _note(session, link, remotes, _seen(session, link, furthest))
            await anyio.sleep(NOTE_S)
            unmeasured = link.state == "live" and link.status.round_trip_s is None
            # The round trip is measured beside everything that is told.
            with anyio.move_on_after(MEASURED_S if unmeasured else math.inf):
                await changed.wait()
    finally:
        last = replace(_seen(session, link, furthest), state="offline", reason="")
        with anyio.CancelScope(shield=True):
            await _note(session, link, remotes, last)


def _seen(session: Session, link: Link, furthest: int | None) -> Seen:
    status = link.status
    seqs = [seq for seq in (status.safe_seq, furthest) if seq is not None]
    return Seen(
        session.place.window,
        status.state,
        status.reason,
        max(seqs, default=None),
        status.round_trip_s,
    )


async def _note(session: Session, link: Link, remotes: Remotes, seen: Seen) -> None:
    # Nobody suffers if it is lost.
    with suppress(LogUnwritable):
        await anyio.to_thread.run_sync(remotes.note_seen, session.id, link.name, seen)
