"""The commands show and search: the history of sessions; they change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import anyio
import typer

from crdtsync.entities import Message
from crdtsync.errors import CrdtSyncError, UsageError
from crdtsync.sanitize import clean_text
from crdtsync.session import Session
from crdtsync_cli import facts
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson, SessionName
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.plain import Plain
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.searching import found_lines

__all__ = ["search_command", "show_command"]

LAST = 20
"""Messages shown unless more are asked for."""


def show_command(
    ctx: typer.Context,
    session: SessionName,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, help="How many messages.")
    ] = LAST,
    before: Annotated[
        str,
        typer.Option(metavar="ID", help="Those before the message with this id."),
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show the last messages of a session."""
    call = ctx.ensure_object(Call)

    async def main() -> None:
        async with call.open(session) as opened:
            messages = _range(opened, last, before)
            plain = Plain(SessionScene(opened))
            for message in messages:
                if as_json:
                    call.out(json_line(facts.message_json(opened, message)))
                    continue
                for line in plain.history(message, opened.view.text(message.id)):
                    call.out(line)

    anyio.run(main)


def search_command(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="SESSION TEXT...", help="Where, and what to find."),
    ],
    *,
    every: Annotated[
        bool, typer.Option("--all", help="In all sessions: give only the text.")
    ] = False,
) -> None:
    """Find messages that hold a text, in any case."""
    call = ctx.ensure_object(Call)
    if not every and len(words) == 1:
        raise UsageError(
            "search needs a session and a text",
            hint=f"In all of them: crdtsync search --all {clean_text(words[0])}",
        )
    text = " ".join(words if every else words[1:])
    names = (
        [e.name for e in call.catalog.entries() if not e.missing]
        if every
        else [words[0]]
    )
    if not anyio.run(_search, call, names, text, every):
        call.say("nothing found")


async def _search(call: Call, names: list[str], text: str, many: bool) -> int:
    count = 0
    for name in names:
        try:
            async with call.open(name) as session:
                for line in found_lines(session, text):
                    call.out(f"{session.name}: {line}" if many else line)
                    count += 1
        except CrdtSyncError as error:
            if not many:
                raise
            call.say(f"warning: {name} was not searched: {error}")
    return count


def _range(session: Session, last: int, before: str) -> Iterator[Message]:
    view = session.view
    if not before:
        yield from view.tail(last)
        return
    at = view.position(before)
    if at is None:
        raise UsageError(
            f"session {session.name} has no message {clean_text(before)}",
            hint=f"`crdtsync show {session.name} --json` shows the ids.",
        )
    yield from view.messages[max(0, at - last) : at]
