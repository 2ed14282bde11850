"""The command fork: a new session that starts from a point of another one."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from crdtsync.forking import Forked, fork_session
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import SessionName
from crdtsync_cli.words import plural

__all__ = ["fork_command"]


def fork_command(
    ctx: typer.Context,
    session: SessionName,
    at: Annotated[
        str,
        typer.Option(metavar="MESSAGE", help="The id of the last message to take."),
    ] = "",
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What to call it here.")
    ] = "",
) -> None:
    """Make a new session that goes on from a point of this one.

    Prompts without an answer at that point wait there until you release them. `show
    --json` tells the ids of messages.
    """
    call = ctx.ensure_object(Call)

    async def main() -> Forked:
        async with call.open(session) as opened:
            return await fork_session(opened, at=at, name=name or None)

    forked = anyio.run(main)
    call.say(f"took over {plural(forked.messages, 'message')} of {session}")
    if forked.held:
        held = plural(forked.held, "prompt")
        call.say(f"{held} held until you release them: /queue run")
    call.out(forked.name)
