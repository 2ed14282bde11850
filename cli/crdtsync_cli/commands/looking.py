"""The commands who, status and queue: a session at this moment; they change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import typer

from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync_cli import facts
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson, SessionName
from crdtsync_cli.jsonl import json_line

__all__ = ["queue_command", "status_command", "who_command"]

ANSWERS_S = 0.3
"""How long the other windows get to say that they are there."""


def who_command(
    ctx: typer.Context, session: SessionName, *, as_json: AsJson = False
) -> None:
    """Show who is in a session now."""
    lines = _json_lines(facts.who_json) if as_json else facts.who_lines
    _look(ctx.ensure_object(Call), session, lines, wait_s=ANSWERS_S)


def status_command(
    ctx: typer.Context, session: SessionName, *, as_json: AsJson = False
) -> None:
    """Show a session's people, turn, queue and questions."""
    lines = _json_lines(_status) if as_json else facts.status_lines
    _look(ctx.ensure_object(Call), session, lines, wait_s=ANSWERS_S)


def queue_command(
    ctx: typer.Context, session: SessionName, *, as_json: AsJson = False
) -> None:
    """Show the prompts that wait for a turn."""
    lines = _json_lines(facts.queue_json) if as_json else facts.queue_lines
    _look(ctx.ensure_object(Call), session, lines, wait_s=0)


def _look(
    call: Call, name: str, lines: Callable[[Session], list[str]], *, wait_s: float
) -> None:
    async def main() -> None:
        async with call.open(name) as session:
            await anyio.sleep(wait_s)
            for line in lines(session):
                call.out(line)

    anyio.run(main)


def _status(session: Session) -> list[JsonObject]:
    return [facts.status_json(session)]


def _json_lines(
    found: Callable[[Session], Sequence[JsonObject]],
) -> Callable[[Session], list[str]]:
    return lambda session: [json_line(each) for each in found(session)]
