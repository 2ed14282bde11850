"""The commands export, import and merge: sessions as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import typer

from crdtsync.errors import DataError, UpdateRefused
from crdtsync.export import FORMATS, Redaction
from crdtsync.merging import Brought, import_file, merge_from
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import SessionName
from crdtsync_cli.printer import write_out
from crdtsync_cli.transferring import export_bytes, write_file
from crdtsync_cli.words import plural

__all__ = ["export_command", "import_command", "merge_command"]


def export_command(
    ctx: typer.Context,
    session: SessionName,
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help=f"{', '.join(FORMATS)}.")
    ] = "md",
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")
    ] = "",
    *,
    redact: Annotated[
        bool, typer.Option("--redact", help="Take out keys, tokens and passwords.")
    ] = False,
) -> None:
    """Write a session as md, json, jsonl, html or ydoc.

    The forms json, jsonl and ydoc hold everything and can be imported; md and html are
    for people.
    """
    call = ctx.ensure_object(Call)

    async def main() -> None:
        async with call.open(session) as opened:
            removed = Redaction(call.settings.redact) if redact else None
            data = await export_bytes(opened, form, removed)
        if output not in {"", "-"}:
            await anyio.to_thread.run_sync(write_file, Path(output), data)
            call.say(f"written to {output}, {len(data):,} bytes")
        else:
            write_out(data)

    anyio.run(main)


def import_command(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to read.")],
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What to call it here.")
    ] = "",
) -> None:
    """Make a new session from an exported file."""
    call = ctx.ensure_object(Call)
    found = anyio.run(_import, file, call.settings.data, name or None)
    call.say(f"imported {found.messages} messages from {found.format}")
    if found.held:
        call.say(f"{found.held} prompts are held until you release them: /queue run")
    call.out(found.name)


async def _import(file: Path, data: Path, name: str | None) -> Brought:
    return await import_file(file, data=data, name=name)


def merge_command(
    ctx: typer.Context,
    session: SessionName,
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE|FOLDER", help="A ydoc export or a data folder."),
    ],
) -> None:
    """Join what a ydoc export or a data folder knows of a session."""
    call = ctx.ensure_object(Call)

    async def main() -> None:
        async with call.open(session, "writer") as opened:
            try:
                merged = await merge_from(opened, source)
            except UpdateRefused as error:
                raise DataError(
                    f"{source} is damaged, or no export of a session: {error}",
                    hint="Nothing was merged. Export the session again as ydoc.",
                ) from error
        messages, turns = (
            plural(merged.messages, "message"),
            plural(merged.turns, "turn"),
        )
        call.say(f"merged {messages} and {turns}")
        if merged.apart:
            apart = plural(len(merged.apart), "turn")
            call.say(f"{apart} ran apart; they are shown so")
        if merged.held:
            count = len(merged.held)
            call.say(f"{count} prompts are held until you release them: /queue run")

    anyio.run(main)
