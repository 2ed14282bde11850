"""The command watch: the events of a session as they happen; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import anyio
import typer

from crdtsync.errors import OperationFailed
from crdtsync.events import SessionEvent, SessionOpened, TurnEnded
from crdtsync.session import Session
from crdtsync_cli import facts
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson, SessionName
from crdtsync_cli.jsonl import json_lines
from crdtsync_cli.past import past_events
from crdtsync_cli.plain import Plain
from crdtsync_cli.printer import Printer
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.signals import call_when_told_to_stop

__all__ = ["watch_command"]


class Until(StrEnum):
    """When to stop watching."""

    idle = "idle"
    turn = "turn"


def watch_command(
    ctx: typer.Context,
    session: SessionName,
    since: Annotated[
        int | None,
        typer.Option(metavar="SEQ", min=0, help="Resume after this sequence number."),
    ] = None,
    until: Annotated[
        Until | None,
        typer.Option(
            metavar="idle|turn",
            help="Stop when nothing runs or waits, or when a turn ends.",
        ),
    ] = None,
    *,
    as_json: AsJson = False,
    deltas: Annotated[
        bool, typer.Option("--deltas", help="With --json: presence and deltas too.")
    ] = False,
) -> None:
    """Print what happens in a session, until it is stopped.

    With --until turn the exit code is 1 if the turn failed.
    """
    call = ctx.ensure_object(Call)

    async def main() -> int:
        async with call.open(session) as opened:
            plain = Plain(SessionScene(opened))

            def lines(event: SessionEvent) -> list[str]:
                if as_json:
                    return json_lines([event], deltas=deltas)
                return plain.lines(event)

            async with anyio.create_task_group() as group:
                await group.start(call_when_told_to_stop, group.cancel_scope.cancel)
                code = await _watch(opened, lines, since, until)
                group.cancel_scope.cancel()
                return code
        return 0

    raise typer.Exit(anyio.run(main))


async def _watch(
    session: Session,
    lines: Callable[[SessionEvent], list[str]],
    since: int | None,
    until: Until | None,
) -> int:
    printer = Printer()
    with session.events() as events:
        upto = session.head
        if until is Until.idle:
            await _check_idle_can_come(session)
        async for event in events:
            await printer.print(lines(event))
            if since is not None and isinstance(event.body, SessionOpened):
                for past in await past_events(session, since, upto):
                    await printer.print(lines(past))
            code = _over(session, event, until)
            if code is not None:
                return code
    return 0


def _over(session: Session, event: SessionEvent, until: Until | None) -> int | None:
    """The exit code if this event was the last to be watched."""
    view, body = session.view, event.body
    match until:
        case Until.turn if isinstance(body, TurnEnded):
            return 0 if (body.state, body.stop_reason) == ("ended", "end_turn") else 1
        case Until.idle if view.running is None:
            return 0 if all(waiting.held for waiting in view.pending) else None
    return None


async def _check_idle_can_come(session: Session) -> None:
    """Refuse to wait for prompts that nobody will run.

    Raises:
        OperationFailed: Prompts wait, and no window runs an agent.
    """
    free = [waiting for waiting in session.view.pending if not waiting.held]
    if free and not await facts.answered(session, free[0].prompt):
        raise OperationFailed(
            f"{len(free)} prompts wait, but {facts.NO_AGENT}",
            hint=facts.agent_hint(session),
        )
