"""Joins a session of others: an invite becomes a token, the history comes, once.

It leaves nothing behind where it fails, but for a token that was given only once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from crdtsync.catalog import Catalog
from crdtsync.clock import SystemClock
from crdtsync.errors import (
    AccessDenied,
    ConnectionFailed,
    CrdtSyncError,
    UsageError,
)
from crdtsync.identity import (
    check_person_name,
    check_session_name,
    session_name_from,
)
from crdtsync.links.addresses import SessionLink
from crdtsync.links.entering import enter, give_up
from crdtsync.links.link import LinkState
from crdtsync.links.remembered import (
    begin_if_empty,
    open_remembered,
    wait_settled,
    wait_told,
)
from crdtsync.remotes import Remote, Remotes
from crdtsync.session import stamp
from crdtsync.session.opening import open_session

__all__ = ["Joined", "attach", "join_session"]

FIRST_SYNC_S: Final = 60.0
"""How long joining waits for the history; it goes on when the session is opened."""

TELL_S: Final = 5.0
"""How long joining waits until the relay has what only this machine had."""

UNNAMED: Final = "shared"
"""What a session is called until its title is known, or if that will not do."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A session that was joined.

    Attributes:
        id: The session's id.
        name: What it is called here.
        title: What it is called everywhere; empty if that is not known yet.
        new: Whether it was not here before.
        remote: Where it was joined.
        state: How its link stood after the first connection.
        reason: Why it is not up, in words; may be empty.
        messages: How many it has here.
    """

    id: str
    name: str
    title: str
    new: bool
    remote: Remote
    state: LinkState
    reason: str
    messages: int


async def join_session(
    link: SessionLink, *, data: Path, person: str, code: str = "", called: str = ""
) -> Joined:
    """Join a session, and wait until its history is here.

    Args:
        link: Of the session, with a token or an invite; or of a relay, with a code.
        data: The data folder.
        person: The person's name.
        code: The short code of an invite.
        called: What to call the session here; by default after its title.

    Raises:
        AccessDenied: The token or the invite is good for nothing.
        ConnectionFailed: The relay cannot be reached.
        UsageError: The link names no session, or the name is taken.
    """
    if called:
        await anyio.to_thread.run_sync(_check_free, called, data, link.session)
    known = Remotes(data).find(link) if link.session else None
    given = bool(code) or link.is_invite
    try:
        remote = await enter(link, data, check_person_name(person), code, known)
    except AccessDenied:
        # The link that was used to join opens the session ever after.
        if known is None or code or not link.is_invite:
            raise
        now_at = Remote.at(link, link.session, known.token)
        remote = replace(known, name=now_at.name, url=now_at.url, also=now_at.also)
        given = False
    return await _take_up(remote, data, person, called, given=given)


async def attach(link: SessionLink, session: str, *, data: Path, person: str) -> Remote:
    """Put a session that is here on a relay, and remember that.

    An unreachable relay is no error: the next connection does it.

    Args:
        link: Of the relay, or of the session there.
        session: Its id.
        data: The data folder.
        person: The person's name.

    Raises:
        UsageError: The link is another session's.
        AccessDenied: The invite is good for nothing.
        ConnectionFailed: The invite cannot be turned into a token now.
    """
    if link.session not in {"", session}:
        raise UsageError(
            "that link is another session's",
            hint="Open it by itself: crdtsync open LINK",
        )
    here = replace(link, session=session)
    known = Remotes(data).find(here)
    if known is not None and link.secret in {"", known.token}:
        return known
    remote = await enter(here, data, person, "", known)
    Remotes(data).add(session, remote)
    return remote


async def _take_up(
    remote: Remote, data: Path, person: str, called: str, *, given: bool
) -> Joined:
    """Remember the remote, make the replica, and wait for the history."""
    trace = await anyio.to_thread.run_sync(_prepare, remote, data, called)
    try:
        joined = await _first_sync(remote, data, person, new=trace.new)
        # What was given only once is worth keeping, and so is what is here anyway.
        _check(joined, keep=given or not trace.new)
    except AccessDenied:
        if given:
            with suppress(CrdtSyncError):
                await give_up(remote)
        trace.remove()
        raise
    except BaseException:
        if not given:
            trace.remove()
        raise
    if not trace.new or called or not joined.title:
        return joined
    name = await anyio.to_thread.run_sync(_rename, trace.catalog, joined)
    return replace(joined, name=name)


@dataclass(frozen=True, slots=True)
class _Trace:
    """What joining has left in the data folder, to be taken back if it fails."""

    catalog: Catalog
    remotes: Remotes
    remote: Remote
    former: Remote | None
    new: bool

    def remove(self) -> None:
        session = self.remote.link.session
        self.remotes.remove(session, self.remote.name)
        if self.former is not None:
            self.remotes.add(session, self.former)
        if self.new:
            self.catalog.remove(session)


def _prepare(remote: Remote, data: Path, called: str) -> _Trace:
    session, catalog, remotes = remote.link.session, Catalog(data), Remotes(data)
    new = all(entry.id != session for entry in catalog.entries())
    trace = _Trace(catalog, remotes, remote, remotes.find(remote.link), new)
    # First, as an empty session that has a remote is not begun here.
    remotes.add(session, remote)
    if new:
        name = called or catalog.free_name(UNNAMED)
        catalog.add(session, name, stamp(SystemClock()))
    return trace


async def _first_sync(remote: Remote, data: Path, person: str, *, new: bool) -> Joined:
    session = remote.link.session
    async with (
        open_session(
            session, data=data, name=person, create=False, mode="writer"
        ) as opened,
        open_remembered(opened) as links,
    ):
        link = next(link for link in links if link.name == remote.name)
        with anyio.move_on_after(FIRST_SYNC_S):
            await wait_settled(link)
        if link.state == "live":
            begin_if_empty(opened)
            await wait_told([link], TELL_S)
        return Joined(
            id=session,
            name=opened.name,
            title=opened.view.meta.title,
            new=new,
            remote=remote,
            state=link.state,
            reason=link.status.reason,
            messages=opened.view.message_count,
        )


def _check(joined: Joined, *, keep: bool) -> None:
    """Refuse what cannot become a session here.

    Raises:
        AccessDenied: The relay does not let in.
        ConnectionFailed: It cannot be reached, and nothing would be kept by going on.
    """
    host = joined.remote.host
    if joined.state == "refused":
        raise AccessDenied(
            f"{host} does not let you in: {joined.reason}",
            hint="Ask an owner of the session for a new invite.",
        )
    if joined.state not in {"live", "read-only"} and not keep:
        raise ConnectionFailed(
            joined.reason or f"{host} did not send the session in time",
            hint="Nothing was kept here. Try again when the relay can be reached.",
        )


def _rename(catalog: Catalog, joined: Joined) -> str:
    """Call a session after its title."""
    name = catalog.free_name(session_name_from(joined.title) or UNNAMED)
    catalog.rename(joined.id, name)
    return name


def _check_free(called: str, data: Path, session: str) -> None:
    """Refuse a name that another session has, before an invite is used up."""
    check_session_name(called)
    for entry in Catalog(data).entries():
        if entry.name == called and entry.id != session:
            raise UsageError(
                f"there already is a session {called!r} here",
                hint="Choose another name with --as.",
            )
