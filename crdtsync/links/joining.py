"""Joins a session of others: an invite becomes a token, the history comes, once.

It leaves nothing behind where it fails, but for a token that was given only once.
"""

from __future__ import annotations

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
    OperationFailed,
    UsageError,
)
from crdtsync.identity import (
    ID,
    check_person_name,
    check_session_name,
    load_identity,
    session_name_from,
)
from crdtsync.links.addresses import SessionLink
from crdtsync.links.asking import ask_relay
from crdtsync.links.link import LinkState
from crdtsync.links.remembered import (
    begin_if_empty,
    open_remembered,
    wait_settled,
    wait_told,
)
from crdtsync.remotes import Remote, Remotes
from crdtsync.schema import as_text
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
        check_session_name(called)
    known = Remotes(data).find(link) if link.session else None
    given = bool(code) or link.is_invite
    try:
        remote = await _enter(link, data, check_person_name(person), code, known)
    except AccessDenied:
        # The link that was used to join opens the session ever after.
        if known is None or code or not link.is_invite:
            raise
        now_at = Remote.at(link, link.session, known.token)
        remote = replace(known, name=now_at.name, url=now_at.url, also=now_at.also)
        given = False
    return await _take_up(remote, data, person, called, keep=given)


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
    remote = await _enter(here, data, person, "", known)
    Remotes(data).add(session, remote)
    return remote


async def _enter(
    link: SessionLink, data: Path, person: str, code: str, known: Remote | None
) -> Remote:
    """Get a token for the session, if one is needed."""
    invite = code or (link.secret if link.is_invite else "")
    if invite:
        return await _redeem(link, data, person, invite, known)
    if not link.session:
        raise UsageError(
            "that link names a relay, but no session",
            hint="Ask for the link of the session, or for a code.",
        )
    remote = Remote.at(link, link.session, link.secret)
    if not link.secret:
        return remote
    try:
        told = await ask_relay(link, "GET", "/api/v1/token", token=link.secret)
    except (ConnectionFailed, OperationFailed):
        # Another maker's server, or none that can be reached now.
        return remote
    return replace(
        remote,
        participant=as_text(told.get("participant")),
        role=as_text(told.get("role")),
        person=person,
    )


async def _redeem(
    link: SessionLink, data: Path, person: str, invite: str, known: Remote | None
) -> Remote:
    """Turn an invite into a token of one's own; a former one is replaced."""
    identity = await anyio.to_thread.run_sync(load_identity, data)
    participant = identity.participant(person, "person")
    body = {"invite": invite, "participant": participant, "name": person}
    if link.session:
        body["session"] = link.session
    token = known.token if known else ""
    told = await ask_relay(link, "POST", "/api/v1/join", body, token=token)
    session = as_text(told.get("session"))
    if not ID.fullmatch(session) or link.session not in {"", session}:
        raise ConnectionFailed(f"{link.host} let in to no session, or to another one")
    remote = Remote.at(link, session, as_text(told.get("token")))
    return replace(
        remote,
        participant=participant,
        person=person,
        role=as_text(told.get("role")),
    )


async def _take_up(
    remote: Remote, data: Path, person: str, called: str, *, keep: bool
) -> Joined:
    """Remember the remote, make the replica, and wait for the history."""
    session, catalog, remotes = remote.link.session, Catalog(data), Remotes(data)
    former, new = remotes.find(remote.link), not _is_here(catalog, session)
    if new:
        name = catalog.free_name(called or UNNAMED)
        if called not in {"", name}:
            raise UsageError(f"there already is a session {called!r} here")
        # An empty session that has a remote is not begun here.
        remotes.add(session, remote)
        catalog.add(session, name, stamp(SystemClock()))
    else:
        remotes.add(session, remote)
    try:
        joined = await _first_sync(remote, data, person, new=new)
        _check(joined, keep=keep or not new)
    except BaseException:
        if not keep:
            _undo(catalog, remotes, remote, former, new=new)
        raise
    if not new or called or not joined.title:
        return joined
    name = catalog.free_name(session_name_from(joined.title) or UNNAMED)
    catalog.rename(session, name)
    return replace(joined, name=name)


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


def _undo(
    catalog: Catalog,
    remotes: Remotes,
    remote: Remote,
    former: Remote | None,
    *,
    new: bool,
) -> None:
    session = remote.link.session
    remotes.remove(session, remote.name)
    if former is not None:
        remotes.add(session, former)
    if new:
        catalog.remove(session)


def _is_here(catalog: Catalog, session: str) -> bool:
    return any(entry.id == session for entry in catalog.entries())
