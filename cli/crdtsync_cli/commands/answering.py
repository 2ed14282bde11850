"""The commands approve, deny and cancel; they return when it is on disk."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from crdtsync.sanitize import clean_line
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import SessionName

__all__ = ["approve_command", "cancel_command", "deny_command"]

Number = Annotated[
    int, typer.Argument(metavar="N", min=1, help="The question's number.")
]


def approve_command(ctx: typer.Context, session: SessionName, number: Number) -> None:
    """Answer the agent's permission question N with yes."""
    _vote(ctx.ensure_object(Call), session, number, "", allow=True)


def deny_command(
    ctx: typer.Context,
    session: SessionName,
    number: Number,
    why: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHY", help="Told to everybody as a note."),
    ] = None,
) -> None:
    """Answer the agent's permission question N with no."""
    _vote(ctx.ensure_object(Call), session, number, " ".join(why or []), allow=False)


def cancel_command(
    ctx: typer.Context,
    session: SessionName,
    turn: Annotated[
        str, typer.Argument(metavar="TURN", help="Its id; the running one if none.")
    ] = "",
) -> None:
    """Stop the running turn of a session."""
    call = ctx.ensure_object(Call)

    async def main() -> None:
        async with call.open(session, "writer") as opened:
            found = await opened.cancel(turn)
            call.say(f"asked to stop turn {found}")

    anyio.run(main)


def _vote(call: Call, session: str, number: int, why: str, *, allow: bool) -> None:
    async def main() -> None:
        async with call.open(session, "writer") as opened:
            found = await opened.vote(number, allow=allow, why=why)
            word = "yes" if allow else "no"
            call.say(f"answered {found.number} with {word}: {clean_line(found.title)}")

    anyio.run(main)
