"""The command demo: two people and an agent in one terminal, in a temporary folder."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import anyio
import typer

from crdtsync.errors import OperationFailed
from crdtsync_cli.calling import Call
from crdtsync_cli.play import PLAY_S_MAX, Play

__all__ = ["demo_command"]

COLUMNS_MIN = 60
COLUMNS_MAX = 150

INTRODUCTION = """\
Two windows of one session, each with its own replica, on real files in a temporary
folder. No server. ana's window (left) runs the built-in demo agent.
"""

FAREWELL = """\
Now you, in this terminal:      crdtsync first-steps --agent demo
and in a second one:            crdtsync first-steps --name bob
Agents that are installed here: crdtsync agents
"""


def demo_command(
    ctx: typer.Context,
    speed: Annotated[
        float,
        typer.Option(metavar="X", min=0.1, max=100, help="2 is twice as fast."),
    ] = 1.0,
) -> None:
    """Show two windows of one session at work; leaves nothing behind."""
    call = ctx.ensure_object(Call)
    columns = shutil.get_terminal_size((100, 30)).columns
    columns = max(COLUMNS_MIN, min(COLUMNS_MAX, columns))
    play = Play((columns - 4) // 2, speed=speed, colors=call.colors, out=call.out)

    async def main() -> str:
        with anyio.fail_after(PLAY_S_MAX):
            return await play.run()

    for line in INTRODUCTION.splitlines():
        call.out(line)
    try:
        outcome = anyio.run(main)
    except TimeoutError as error:
        raise OperationFailed(
            f"the demo did not end within {PLAY_S_MAX:.0f} s",
            hint="`crdtsync doctor` checks this machine.",
        ) from error
    call.out("")
    call.out(outcome)
    call.out("")
    for line in FAREWELL.splitlines():
        call.out(line)
    sys.stdout.flush()
