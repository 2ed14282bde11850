"""The command open: a window on a session, on a screen or in lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import anyio
import typer

from crdtsync.errors import UsageError
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import Offline, OfflineTurns, Peers, Relays
from crdtsync_cli.lines_window import LinesWindow, Shape
from crdtsync_cli.linking import LEAVE_S, Linking, linked, reach
from crdtsync_cli.listening import listening
from crdtsync_cli.running import Ways, find_agent, find_offline, find_policy
from crdtsync_cli.seat import Seat, seated
from crdtsync_cli.signals import call_when_told_to_stop

__all__ = ["AGENT_HELP", "COLLECT_HELP", "CWD_HELP", "PERMISSIONS_HELP", "open_command"]

AGENT_HELP = "The agent to run: a name of `agents`, acp:COMMAND, exec:COMMAND or none."
PERMISSIONS_HELP = "When it asks: ask, allow-reads, deny-all or yolo."
COLLECT_HELP = "Prompts that wait together become one turn."
CWD_HELP = "The folder it works in; by default this one."

LISTEN_HELP = "Let others join at this address; :0 is any free port of this machine."

STOPPED = 130

LEAVE_SCREEN_S = 2.0
"""Who leaves a screen waits less long for the relay to have everything."""


def open_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="Its name, its id, or its link."),
    ] = None,
    agent: Annotated[str, typer.Option(metavar="NAME", help=AGENT_HELP)] = "",
    permissions: Annotated[
        str, typer.Option(metavar="POLICY", help=PERMISSIONS_HELP)
    ] = "",
    cwd: Annotated[Path | None, typer.Option(metavar="DIR", help=CWD_HELP)] = None,
    *,
    relay: Relays = None,
    peer: Peers = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help=LISTEN_HELP)] = "",
    offline: Offline = False,
    offline_turns: OfflineTurns = "",
    collect: Annotated[bool, typer.Option("--collect", help=COLLECT_HELP)] = False,
    new: Annotated[bool, typer.Option("--new", help="Make a new session.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain lines, without a screen.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    json_in: Annotated[
        bool, typer.Option("--json-in", help="Read JSON lines; implies --json.")
    ] = False,
    deltas: Annotated[
        bool, typer.Option("--deltas", help="With --json: presence and deltas too.")
    ] = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="When stdin ends, do not wait for own turns."),
    ] = False,
    ascii_signs: Annotated[
        bool, typer.Option("--ascii", help="Draw the window with ASCII signs only.")
    ] = False,
    no_bell: Annotated[
        bool, typer.Option("--no-bell", help="Do not ring when somebody calls you.")
    ] = False,
    no_animation: Annotated[
        bool, typer.Option("--no-animation", help="Nothing moves by itself.")
    ] = False,
) -> None:
    """Open a session, making it if need be, and take part.

    Lines of stdin are messages or slash commands (/help). At the end of piped input it
    waits for the turns it asked for, and leaves. A session that is on a relay is
    linked to it each time; the link of somebody else's session joins that.
    """
    call = ctx.ensure_object(Call)
    if plain and (as_json or json_in):
        raise UsageError("--plain and --json exclude each other")
    spec = find_agent(agent, call.settings)
    policy = find_policy(permissions, call.settings)
    apart = find_offline(offline_turns, call.settings)
    ways = Ways(policy, cwd, collect, apart)
    linking = Linking((*(relay or ()), *(peer or ())), offline, listen)
    if new:
        session = _new_name(call, session)
    json = as_json or json_in
    look = {
        **({"ascii": "on"} if ascii_signs else {}),
        **({"bell": "off"} if no_bell else {}),
        **({"reduced_motion": "on"} if no_animation else {}),
    }
    shape = Shape(json=json, deltas=deltas, json_in=json_in, detach=detach)

    async def main() -> int:
        found = await reach(call, session, linking)
        lines = json or plain or not _has_screen()
        leave_s = LEAVE_S if lines else LEAVE_SCREEN_S
        async with (
            open_session(
                found, data=call.settings.data, name=call.settings.name
            ) as opened,
            listening(call, opened, linking.listen) as own,
            linked(opened, linking, own, leave_s=leave_s, typed=not lines),
            seated(opened, spec, ways, call.settings) as seat,
        ):
            if opened.read_only:
                call.say(f"warning: read-only here: {opened.read_only}")
            if lines:
                return await _until_stopped(LinesWindow(call, opened, shape, seat))
            return await _on_screen(call, opened, look, seat)

    raise typer.Exit(anyio.run(main))


async def _until_stopped(window: LinesWindow) -> int:
    code = STOPPED
    async with anyio.create_task_group() as group:
        await group.start(call_when_told_to_stop, group.cancel_scope.cancel)
        code = await window.run()
        group.cancel_scope.cancel()
    return code


async def _on_screen(
    call: Call, session: Session, flags: Mapping[str, str], seat: Seat
) -> int:
    from crdtsync_cli.terminal import look_from, run_screen  # noqa: PLC0415 - slow to import

    settings = {name: setting.value for name, setting in call.settings.values.items()}
    look = look_from(
        {**settings, **flags},
        os.environ,
        colors=call.colors,
        encoding=sys.stdout.encoding,
    )
    return await run_screen(session, look, seat)


def _has_screen() -> bool:
    terminal = os.environ.get("TERM", "")
    return sys.stdin.isatty() and sys.stdout.isatty() and terminal not in {"", "dumb"}


def _new_name(call: Call, session: str | None) -> str:
    """The name of a session that does not exist yet.

    Raises:
        UsageError: It does.
    """
    free = call.catalog.free_name(session or "session")
    if session and free != session:
        raise UsageError(
            f"there already is a session {session!r} here",
            hint=f"Open it without --new, or choose another name, such as {free}.",
        )
    return free
