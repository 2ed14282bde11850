"""Gets a token for a session, from an invite or from a link that holds one.

It asks the relay's HTTP routes, and remembers nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from crdtsync.errors import ConnectionFailed, OperationFailed, UsageError
from crdtsync.identity import ID, load_identity
from crdtsync.links.addresses import SessionLink
from crdtsync.links.asking import ask_relay
from crdtsync.remotes import Remote
from crdtsync.schema import as_text

__all__ = ["enter", "give_up"]


async def enter(
    link: SessionLink, data: Path, person: str, code: str, known: Remote | None
) -> Remote:
    """Get a token for a session, if one is needed.

    Args:
        link: Of the session, or of the relay with a code.
        data: The data folder, for who the person is.
        person: The person's name.
        code: The short code of an invite; empty without one.
        known: What is remembered of the relay: its token is replaced.

    Raises:
        AccessDenied: The token or the invite is good for nothing.
        ConnectionFailed: The invite cannot be turned into a token now.
        UsageError: The link names no session.
    """
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


async def give_up(remote: Remote) -> None:
    """Give one's token of a remote up, so that the place in the session is free.

    Raises:
        ConnectionFailed: The relay cannot be reached.
        CrdtSyncError: It was good for nothing, or it is good for all sessions.
    """
    await ask_relay(remote.link, "DELETE", "/api/v1/token", token=remote.token)
