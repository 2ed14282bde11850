"""The commands share, join and leave: letting people in, coming in, and going."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import anyio
import typer

from crdtsync.errors import ConnectionFailed, CrdtSyncError, UsageError
from crdtsync.links.addresses import SessionLink, is_link, parse_link
from crdtsync.remotes import Remotes
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import SessionName
from crdtsync_cli.linking import join
from crdtsync_cli.nearby import choose_nearby
from crdtsync_cli.sharing import INVITE_TTL, Invitation, chosen_remote, share

__all__ = ["join_command", "leave_command", "share_command"]


class Role(StrEnum):
    """What people who are invited may do."""

    editor = "editor"
    viewer = "viewer"


def share_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    session: SessionName,
    role: Annotated[
        Role,
        typer.Option(metavar="ROLE", help="editor writes too, viewer only looks."),
    ] = Role.editor,
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="How long the link is good: 30m, 7d.")
    ] = INVITE_TTL,
    uses: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many people it lets in.")
    ] = 1,
    relay: Annotated[
        str, typer.Option(metavar="URL", help="Which relay, if it is on several.")
    ] = "",
    *,
    can_approve: Annotated[
        bool, typer.Option("--can-approve", help="They may answer the agent, too.")
    ] = False,
) -> None:
    """Make a link, and a short code, that lets somebody in.

    The link goes to stdout. The session has to be on a relay: crdtsync open SESSION
    --relay URL puts it there.
    """
    call = ctx.ensure_object(Call)
    invitation = Invitation(role.value, ttl, uses, can_approve)

    async def main() -> None:
        entry = call.find(_id_of(session))
        made = await share(call.settings.data, entry.id, entry.name, relay, invitation)
        call.out(made.link)
        for line in made.lines:
            call.say(line)

    anyio.run(main)


def join_command(
    ctx: typer.Context,
    invite: Annotated[
        str, typer.Argument(metavar="LINK|CODE", help="What you were given.")
    ] = "",
    relay: Annotated[
        str, typer.Option(metavar="URL", help="For a code: the relay it is for.")
    ] = "",
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What to call it here.")
    ] = "",
    *,
    nearby: Annotated[
        bool,
        typer.Option("--nearby", help="Choose a window that listens in this network."),
    ] = False,
) -> None:
    """Join a session by a link or a code.

    Its history is fetched, the relay is remembered, and its name here goes to stdout.
    """
    call = ctx.ensure_object(Call)
    if nearby and relay:
        raise UsageError("--nearby and --relay exclude each other")
    if nearby and not is_link(invite):
        link, code = choose_nearby(call, invite)
    else:
        link, code = _place(invite, relay)

    async def main() -> None:
        joined = await join(call, link, code=code, called=name)
        call.say(f"open it: crdtsync open {joined.name}")
        call.out(joined.name)

    anyio.run(main)


def leave_command(
    ctx: typer.Context,
    session: SessionName,
    relay: Annotated[
        str, typer.Option(metavar="URL", help="Which relay, if it is on several.")
    ] = "",
) -> None:
    """Take a session off a relay; it stays here, with all that was written.

    Your token there is given up, so that coming back takes a new invite.
    """
    call = ctx.ensure_object(Call)

    async def main() -> None:
        from crdtsync.links.entering import give_up  # noqa: PLC0415 - slow to import

        entry = call.find(_id_of(session))
        remotes = Remotes(call.settings.data)
        remote = chosen_remote(remotes.of(entry.id), relay, entry.name)
        if remote.token:
            try:
                await give_up(remote)
            except ConnectionFailed as error:
                call.say(f"your token stays good, as {error}")
            except CrdtSyncError:
                # It was good for nothing, or for all sessions.
                pass
        remotes.remove(entry.id, remote.name)
        call.say(f"{entry.name} is no longer linked to {remote.host}; it stays here")

    anyio.run(main)


def _id_of(session: str) -> str:
    """A session given by its link is looked up by its id; nothing is joined."""
    return parse_link(session).session if is_link(session) else session


def _place(invite: str, relay: str) -> tuple[SessionLink, str]:
    """Where to join, and the code if it is one.

    Raises:
        UsageError: It is a code, and nobody said of which relay.
    """
    if is_link(invite):
        return parse_link(invite), ""
    if not invite:
        raise UsageError(
            "join what?",
            hint="Give the link or the code that you were given; or --nearby, to look "
            "around in this network.",
        )
    if not relay:
        raise UsageError(
            "a code says nothing of where the session is",
            hint=f"Add the relay: crdtsync join {invite} --relay https://HOST",
        )
    return parse_link(relay), invite
