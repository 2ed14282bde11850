"""From links and --relay to sessions that are linked; it speaks no protocol itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from crdtsync.errors import SessionNotFound, UpdateRefused, UsageError
from crdtsync.links.addresses import SessionLink, is_link, parse_link
from crdtsync.remotes import Remote, Remotes
from crdtsync.sanitize import clean_line
from crdtsync_cli.meeting import beside_listener, meeting
from crdtsync_cli.words import plural

if TYPE_CHECKING:
    from crdtsync.links.joining import Joined
    from crdtsync.links.link import Link
    from crdtsync.session import Session
    from crdtsync_cli.calling import Call

__all__ = ["LEAVE_S", "Linking", "join", "joined_line", "linked", "local_name", "reach"]

LEAVE_S: Final = 5.0
"""How long leaving waits for the relay to have what was written here."""


@dataclass(frozen=True, slots=True)
class Linking:
    """What was said on the command line about links.

    Attributes:
        relays: Addresses and links to be remembered, from --relay and --peer.
        offline: Whether this time no link is wanted.
        listen: Where this window listens, from --listen; empty for nowhere.

    Raises:
        UsageError: Links are wanted, and none.
    """

    relays: tuple[str, ...] = ()
    offline: bool = False
    listen: str = ""

    def __post_init__(self) -> None:
        if self.offline and (self.relays or self.listen):
            option = "--relay" if self.relays else "--listen"
            raise UsageError(f"--offline and {option} exclude each other")


async def join(
    call: Call, link: SessionLink, *, code: str = "", called: str = ""
) -> Joined:
    """Join a session and say so meanwhile.

    Raises:
        AccessDenied: The token or the invite is good for nothing.
        ConnectionFailed: The relay cannot be reached.
    """
    from crdtsync.links.joining import join_session  # noqa: PLC0415 - slow to import

    call.say(f"joining at {link.host} ...")
    data, person = call.settings.data, call.settings.name
    joined = await join_session(
        link, data=data, person=person, code=code, called=called
    )
    call.say(joined_line(joined))
    return joined


def joined_line(joined: Joined) -> str:
    """What came of joining, in words."""
    host, count = joined.remote.host, plural(joined.messages, "message")
    if joined.state not in {"live", "read-only"}:
        why = clean_line(joined.reason) or "it did not come in time"
        return (
            f"joined {joined.name} at {host}, but its history is still to come: {why}"
        )
    look = ", to look at" if joined.state == "read-only" else ""
    return f"joined {joined.name} at {host}{look}: {count}"


async def local_name(call: Call, text: str) -> str:
    """What a session is called here that was given as a name, an id or a link.

    Opening the link of a session that is not here joins it.
    """
    if not is_link(text):
        return text
    link = parse_link(text)
    if not link.session:
        raise UsageError(
            "that link names a relay, but no session",
            hint=f"Give the session, and the relay with --relay {link.bases[0]}",
        )
    remotes = Remotes(call.settings.data).of(link.session)
    if link.bases[0] in {remote.name for remote in remotes}:
        return call.find(link.session).name
    return (await join(call, link)).name


async def reach(call: Call, session: str | None, linking: Linking) -> str | None:
    """Find the session to open, join or make it, and remember its relays.

    Raises:
        UsageError: A link is none, or another session's.
        AccessDenied: A token or an invite is good for nothing.
        ConnectionFailed: A new session cannot be joined, as nobody answers.
    """
    from crdtsync.links.joining import attach  # noqa: PLC0415 - slow to import

    if session is not None and is_link(session):
        session = await local_name(call, session)
    links = [parse_link(text) for text in linking.relays]
    if not links:
        return session
    known = _known(call, session)
    if known is None and links[0].session:
        known = _known(call, links[0].session)
        if known is None:
            return (await join(call, links[0], called=session or "")).name
    name = known or await _make(call, session)
    entry = call.find(name)
    for link in links:
        await attach(link, entry.id, data=call.settings.data, person=call.settings.name)
    return name


def _known(call: Call, session: str | None) -> str | None:
    try:
        found = call.find(session) if session else call.catalog.last_opened()
    except SessionNotFound:
        return None
    return found.name if found is not None else None


async def _make(call: Call, session: str | None) -> str:
    from crdtsync.session.opening import open_session  # noqa: PLC0415 - slow to import

    async with open_session(
        session, data=call.settings.data, name=call.settings.name, mode="writer"
    ) as made:
        return made.name


@asynccontextmanager
async def linked(
    session: Session,
    linking: Linking,
    more: Sequence[Remote] = (),
    *,
    leave_s: float = LEAVE_S,
    typed: bool = False,
) -> AsyncGenerator[list[Link]]:
    """Keep a session linked to its relays in the block, unless it has none.

    Args:
        session: Open.
        linking: Whether links are wanted.
        more: To be linked to this time only.
        leave_s: How long the end of the block waits for what was written to get there.
        typed: A person types in the block, so that nothing is written at once.
    """
    remotes = Remotes(session.place.data)
    known = await anyio.to_thread.run_sync(remotes.of, session.id)
    if linking.offline or session.unstorable:
        yield []
        return
    if not (known or more):
        async with beside_listener(session):
            yield []
        return
    from crdtsync.links.remembered import (  # noqa: PLC0415 - slow to import
        open_remembered,
        wait_told,
    )

    async with open_remembered(session, more) as links:
        if not typed:
            # What cannot be checked is told by the links themselves.
            with suppress(UpdateRefused):
                await links.follow()
        async with meeting(session, more[0]) if more else beside_listener(session):
            yield list(links)
        await wait_told(list(links), leave_s)
