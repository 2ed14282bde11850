"""Which relay grants the turns of a session: `meta.arbiter` (05: A8). It asks none.

It is a fact of the document, so that all windows ask the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtsync.errors import OperationFailed
from crdtsync.links.status import LinkStatus
from crdtsync.session import Session

if TYPE_CHECKING:
    from crdtsync.links.link import Link

__all__ = ["arbiter_link", "link_to", "name_arbiter", "name_for_owner"]


def arbiter_link(session: Session) -> Link | None:
    """The live link of this window to the relay that grants turns, if there is one."""
    return link_to(session, session.view.meta.arbiter)


def link_to(session: Session, relay: str) -> Link | None:
    """The live link of this window to a relay; "" names none."""
    live = (link for link in session.links if link.state == "live")
    return next((link for link in live if relay and link.relay == relay), None)


NOBODY: Final = "none"
"""What `meta.arbiter_at` says when a person wants no relay to grant turns."""


async def name_arbiter(
    session: Session, link: Link | None, *, for_good: bool = False
) -> None:
    """Let the relay of a live link grant the turns from now on; None: each machine.

    A turn that runs under the old one is not stopped. Name another relay while none
    runs, or two may run at once for a while, which is shown then.

    Args:
        session: Open.
        link: To the relay.
        for_good: Without a link, whether none is to be named by itself any more.

    Raises:
        OperationFailed: The link is not live, or at its end is no relay.
        DataError: The session is read-only here.
    """
    session.check_writable()
    relay = link.relay if link is not None else ""
    if link is not None and (not relay or link.state != "live"):
        raise OperationFailed(
            f"{link.name} cannot grant turns now: the link is {link.state}",
            hint="Name a relay once its link is live.",
        )
    with session.replica.edit() as (edit, ticket):
        session.introduce(edit, session.me)
        at = link.name if link is not None else NOBODY if for_good else ""
        edit.set_meta({"arbiter": relay, "arbiter_at": at})
    await ticket.wait()


def name_for_owner(session: Session, status: LinkStatus, relay: str) -> None:
    """Name a relay that became live, if the owner would: in the owner's window only.

    The first one is named. So is the one that came in the place of the named one,
    under the same address: a relay that was emptied or restored is another one.
    """
    meta = session.view.meta
    if not relay or meta.created_by != session.me.id:
        return
    replaces = meta.arbiter_at == status.name and meta.arbiter != relay
    unnamed = not meta.arbiter and meta.arbiter_at != NOBODY
    if not (unnamed or replaces):
        return
    claims = [turn.claim for turn in session.view.turns.values()]
    granted = any(claim.grant == "relay" for claim in claims if claim is not None)
    status.first = not meta.arbiter and not granted
    with session.replica.edit() as (edit, _):
        edit.set_meta({"arbiter": relay, "arbiter_at": status.name})
