"""Slash commands about who runs turns: /apart, /take, /arbiter; it prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.links.naming import arbiter_link, name_arbiter
from crdtsync.sanitize import clean_line
from crdtsync_cli.slash import Command

if TYPE_CHECKING:
    from crdtsync.host import Host
    from crdtsync.session import Session

__all__ = ["arbiter", "run_apart", "take_over"]


async def run_apart(session: Session, command: Command) -> list[str]:
    """Let waiting prompts run although the relay is out of reach, or not after all."""
    host = _host(session)
    if not host.relay_away:
        raise OperationFailed("nothing has to run apart: whoever grants turns is here")
    match command.rest.lower():
        case "" | "yes":
            host.run_apart()
            return [
                "turns run apart here until the relay is back; what others run "
                "meanwhile is shown beside them"
            ]
        case "no":
            host.run_apart(yes=False)
            return ["turns wait for the relay"]
    raise UsageError(f"/apart cannot be {clean_line(command.rest)!r}", hint="/apart no")


async def take_over(session: Session, _: Command) -> list[str]:
    """Run the next prompt here, whoever has the lease."""
    host = _host(session)
    if not any(not prompt.held for prompt in session.view.pending):
        raise OperationFailed(
            "no prompt waits that could run here",
            hint="Send one first, or release the held ones with /queue run.",
        )
    host.take_over()
    return [
        "taking over; what the other turn still writes is marked late. Over a relay, "
        "only an owner of the session overrules: others wait as before"
    ]


async def arbiter(session: Session, command: Command) -> list[str]:
    """Tell who grants turns, or have another relay do it from now on."""
    wanted = command.rest
    if not wanted:
        return [_who_grants(session)]
    if wanted == "none":
        await name_arbiter(session, None, for_good=True)
        return [_who_grants(session)]
    found = [link for link in session.links if wanted in link.name]
    if len(found) != 1:
        names = ", ".join(clean_line(link.name) for link in session.links)
        raise UsageError(
            f"{clean_line(wanted)!r} names {'no' if not found else 'more than one'} "
            "link of this window",
            hint=f"Its links: {names or 'none'}; none: each machine by itself.",
        )
    await name_arbiter(session, found[0])
    return [_who_grants(session)]


def _who_grants(session: Session) -> str:
    meta = session.view.meta
    if not meta.arbiter:
        return "each machine grants its own turns: no relay is named"
    at = clean_line(meta.arbiter_at)
    here = "in reach" if arbiter_link(session) is not None else "out of reach"
    return f"turns are granted by the relay at {at or 'an unknown address'}, {here}"


def _host(session: Session) -> Host:
    if session.host is None:
        raise OperationFailed(
            "no agent runs in this window",
            hint="/agent NAME runs one here.",
        )
    return session.host
