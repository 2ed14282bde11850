"""A window that listens: what it says when it begins, and the link to its own relay.

The relay in it is `crdtsync_relay`'s, which is imported only if somebody listens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from crdtsync.errors import CrdtSyncError
from crdtsync.links.addresses import SessionLink
from crdtsync.remotes import Remote
from crdtsync_cli.sharing import Invitation, invite

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync_cli.calling import Call

__all__ = ["listening"]

GUESTS: Final = Invitation(role="editor", ttl="1d", uses=10)
"""Whom the link lets in that is shown at the beginning; `share` makes others."""


@asynccontextmanager
async def listening(
    call: Call, session: Session, where: str
) -> AsyncGenerator[tuple[Remote, ...]]:
    """Let others join the session while the block runs, if `where` is not empty.

    Yields:
        What the session has to be linked to meanwhile.

    Raises:
        UsageError: `where` is no address, or another window here listens.
        ConnectionFailed: The address cannot be listened on.
    """
    if not where:
        yield ()
        return
    session.check_writable()
    from crdtsync_relay.listening import listen  # noqa: PLC0415 - slow to import
    from crdtsync_relay.nearby import announce  # noqa: PLC0415 - likewise

    async with (
        listen(session.place.data, session.id, where) as window,
        announce(session.me.name, window.place),
    ):
        own = Remote.at(window.own, session.id, window.own.secret)
        await _tell(call, own, window.place)
        yield (own,)


async def _tell(call: Call, own: Remote, place: SessionLink) -> None:
    hosts = [base.removeprefix("https://") for base in place.bases]
    call.say(f"listening at {' and '.join(hosts)}")
    try:
        made = await invite(own, place.session, GUESTS)
    except CrdtSyncError as error:
        # It listens all the same, for those who came in earlier.
        call.tell(error)
        return
    call.say(made.link)
    for line in ("they type: crdtsync open 'LINK'", *made.lines):
        call.say(line)
