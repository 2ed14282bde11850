"""The command host: runs turns of a session without a window, for servers and CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from crdtsync.errors import UsageError
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.opening import (
    AGENT_HELP,
    COLLECT_HELP,
    CWD_HELP,
    PERMISSIONS_HELP,
)
from crdtsync_cli.commands.options import (
    Offline,
    Peers,
    Relays,
    SessionName,
)
from crdtsync_cli.linking import Linking, linked, reach
from crdtsync_cli.plain import Plain
from crdtsync_cli.printer import Printer
from crdtsync_cli.running import Ways, find_agent, find_offline, find_policy, running
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.signals import call_when_told_to_stop

__all__ = ["host_command"]

OFFLINE_TURNS_HELP = (
    "While the relay that grants turns is away: deny (they wait) or allow."
)


def host_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    session: SessionName,
    agent: Annotated[str, typer.Option(metavar="NAME", help=AGENT_HELP)] = "",
    permissions: Annotated[
        str, typer.Option(metavar="POLICY", help=PERMISSIONS_HELP)
    ] = "",
    cwd: Annotated[Path | None, typer.Option(metavar="DIR", help=CWD_HELP)] = None,
    *,
    relay: Relays = None,
    peer: Peers = None,
    offline: Offline = False,
    offline_turns: Annotated[
        str, typer.Option(metavar="WAY", help=OFFLINE_TURNS_HELP)
    ] = "",
    collect: Annotated[bool, typer.Option("--collect", help=COLLECT_HELP)] = False,
) -> None:
    """Run a session's turns without a window, until it is stopped.

    Prints what happens as plain lines. SIGTERM stops the running turn and leaves
    properly; the exit code is 0 then.
    """
    call = ctx.ensure_object(Call)
    spec = find_agent(agent, call.settings)
    policy = find_policy(permissions, call.settings)
    apart = find_offline(offline_turns, call.settings, somebody=False)
    ways = Ways(policy, cwd, collect, apart)
    if spec is None:
        raise UsageError(
            "host needs an agent",
            hint="Add --agent NAME; `crdtsync agents` lists them.",
        )

    linking = Linking((*(relay or ()), *(peer or ())), offline)

    async def main() -> None:
        found = await reach(call, session, linking)
        async with (
            open_session(
                found, data=call.settings.data, name=call.settings.name
            ) as opened,
            linked(opened, linking),
            running(opened, spec, ways),
        ):
            call.say(f"running turns of {opened.name} with {spec.name}; Ctrl-C ends it")
            async with anyio.create_task_group() as group:
                await group.start(call_when_told_to_stop, group.cancel_scope.cancel)
                await _tell(opened)

    anyio.run(main)


async def _tell(session: Session) -> None:
    plain, printer = Plain(SessionScene(session)), Printer()
    with session.events() as events:
        async for event in events:
            await printer.print(plain.lines(event))
