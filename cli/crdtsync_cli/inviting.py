"""The slash commands /share and /join: a window's way to the commands of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.errors import UsageError
from crdtsync.links.addresses import is_link, parse_link
from crdtsync_cli.linking import joined_line
from crdtsync_cli.sharing import INVITE_TTL, Invitation, share
from crdtsync_cli.slash import Command

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["join_other", "share_this"]


async def share_this(session: Session, command: Command) -> list[str]:
    """Do /share [editor|viewer] [TIME]: make an invite to this session."""
    role, ttl = "editor", INVITE_TTL
    for word in command.words:
        if word in {"editor", "viewer"}:
            role = word
        else:
            ttl = word
    shared = await share(
        session.place.data, session.id, session.name, "", Invitation(role, ttl)
    )
    return [shared.link, *shared.lines]


async def join_other(session: Session, command: Command) -> list[str]:
    """Do /join LINK, or /join CODE [RELAY]: make another session one of this machine.

    Without a relay, the code is one of this session's relay.
    """
    from crdtsync.links.joining import join_session  # noqa: PLC0415 - slow to import

    first, *rest = command.words
    code = "" if is_link(first) else first
    where = rest[0] if code and rest else first
    if code and not rest:
        if not session.links:
            raise UsageError(
                "a code says nothing of where the session is",
                hint=f"Add the relay: /join {code} https://HOST",
            )
        where = session.links[0].name
    joined = await join_session(
        parse_link(where),
        data=session.place.data,
        person=session.me.name,
        code=code,
    )
    return [joined_line(joined), f"open it: crdtsync {joined.name}"]
