"""Does what a typed line asks for, in any window; it reads and prints nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from crdtsync.agents.presets import preset_names
from crdtsync.errors import OperationFailed
from crdtsync.sanitize import clean_line
from crdtsync_cli import facts, granting
from crdtsync_cli.attention import Attention
from crdtsync_cli.choosing import choose
from crdtsync_cli.plain import Plain
from crdtsync_cli.printed import turn_called
from crdtsync_cli.queueing import change_queue
from crdtsync_cli.reply import Reply
from crdtsync_cli.rights import check_role, role_here
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.searching import found_lines
from crdtsync_cli.slash import Command, Line, Say, help_lines, whole
from crdtsync_cli.words import plural

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync_cli.seat import Seat

__all__ = ["HISTORY", "Reply", "act", "history_lines"]

HISTORY: Final = 20
"""Messages that /history shows, and that a window shows when it opens."""

FOUND_MAX: Final = 50
"""The last hits that /search shows."""

_CHOICES: Final = frozenset({"activity", "clear", "copy", "follow", "mute", "theme"})
_SENT: Final = frozenset({"note", "interrupt"})
_LOOKS: Final = frozenset(
    {"agents", "help", "history", "leave", "role", "search", "status", "task", "who"}
)


async def act(
    session: Session, line: Line, attention: Attention, seat: Seat | None = None
) -> Reply:
    """Do what a line says; returns when it is on disk.

    Args:
        session: Open.
        line: As it was read.
        attention: Of the window it was typed into.
        seat: Where that runs an agent, if it can.

    Raises:
        CrdtSyncError: It cannot be done; nothing was.
    """
    if isinstance(line, Say):
        check_role(session, "editor", "writing")
        return Reply(sent=await session.send(line.text))
    slash = line.slash
    check_role(session, slash.role, f"/{slash.name}")
    if slash.name == "agent":
        return Reply(await _agent(session, line.rest, seat))
    return await _do(session, line, attention)


async def _do(session: Session, command: Command, attention: Attention) -> Reply:
    name = command.slash.name
    if name in _CHOICES:
        return choose(session, command, attention)
    if name in _SENT:
        return await _send(session, command)
    if name in _LOOKS:
        return _look(session, command)
    lines = await (_DOES.get(name) or _decide)(session, command)
    return Reply(tuple(lines))


def history_lines(session: Session, count: int) -> list[str]:
    """The last messages as plain lines."""
    plain, view = Plain(SessionScene(session)), session.view
    return [
        line
        for message in view.tail(count)
        for line in plain.history(message, view.text(message.id))
    ]


def _history(session: Session, rest: str) -> list[str]:
    """The last messages, or those that hold a text."""
    if not rest or rest.isdigit():
        count = whole(rest, "number") if rest else HISTORY
        return history_lines(session, count) or ["nothing was said yet"]
    plain, view, wanted = Plain(SessionScene(session)), session.view, rest.casefold()
    texts = ((message, view.text(message.id)) for message in view.messages)
    found = [
        line
        for message, text in texts
        if wanted in text.casefold()
        for line in plain.history(message, text)
    ]
    return found or ["nothing found"]


def _look(session: Session, command: Command) -> Reply:
    match command.slash.name:
        case "leave":
            return Reply(leave=True)
        case "history":
            return Reply(tuple(_history(session, command.rest)), long=True)
        case "help":
            return Reply(tuple(help_lines(command.rest)))
        case "search":
            hits = list(found_lines(session, command.rest))
            return Reply(tuple(hits[-FOUND_MAX:] or ["nothing found"]))
    return Reply(tuple(_facts(session, command.slash.name)))


def _facts(session: Session, name: str) -> list[str]:
    match name:
        case "who":
            return facts.who_lines(session)
        case "status":
            return facts.status_lines(session)
        case "role":
            role, why = role_here(session)
            return [f"you are {role}: {clean_line(why)}", _MAY[role]]
        case "agents":
            return _agents(session)
    return ["tasks are not there yet: they come with the workspace"]


_MAY: Final = {
    "viewer": "you may look; nothing that you type is sent",
    "editor": "you may write, ask, stop turns and answer questions",
    "owner": "you may do everything",
}


def _agents(session: Session) -> list[str]:
    """Which agents run here, and which could."""
    here = ", ".join(map(clean_line, session.agents()))
    return [
        f"runs here: {here}" if here else "no agent runs here",
        f"known: {', '.join(preset_names())}; acp:COMMAND and exec:COMMAND",
        "/agent NAME has one run the turns in this window",
        f"without a window: crdtsync host {session.name} --agent NAME",
    ]


async def _agent(session: Session, wanted: str, seat: Seat | None) -> tuple[str, ...]:
    """Tell which agent this window runs, or have it run another one."""
    if seat is None:
        raise OperationFailed("this window cannot run an agent")
    if wanted:
        await seat.change(wanted)
    if seat.name:
        return (f"{clean_line(seat.name)} runs the turns in this window",)
    others = ", ".join(map(clean_line, session.agents()))
    free = "no agent runs in this window"
    if others:
        return (f"{free}; elsewhere {others} does. /agent NAME starts one here",)
    return (f"{free}: /agent NAME starts one",)


async def _send(session: Session, command: Command) -> Reply:
    if command.slash.name == "note":
        return Reply(sent=await session.send(command.rest, note=True))
    return Reply(sent=await session.send(command.rest, steer="interrupt"))


async def _decide(session: Session, command: Command) -> list[str]:
    match command.slash.name:
        case "cancel":
            # The session tells everybody that it was asked for.
            await session.cancel(turn_called(session, command.rest) or command.rest)
        case "title":
            await session.rename(command.rest)
        case "nick":
            from crdtsync.session.naming import take_name  # noqa: PLC0415 - rarely used

            await take_name(session, command.rest)
        case answer:
            number = whole(command.words[0], "question")
            why = command.rest.partition(" ")[2]
            await session.vote(number, allow=answer == "allow", why=why)
    return []


async def _fork(session: Session, command: Command) -> list[str]:
    from crdtsync.forking import fork_session  # noqa: PLC0415 - slow to import

    name = command.words[0] if command.words else None
    forked = await fork_session(session, name=name)
    found = [f"{forked.name} goes on from here: crdtsync {forked.name}"]
    if forked.held:
        found.append(f"{plural(forked.held, 'prompt')} wait there: /queue run")
    return found


async def _export(session: Session, command: Command) -> list[str]:
    from crdtsync_cli.transferring import export_bytes, write_file  # noqa: PLC0415 - slow

    form, _, wanted = (command.rest or "md").partition(" ")
    path = Path(wanted.strip() or f"{session.name}.{form}")
    data = await export_bytes(session, form)
    await anyio.to_thread.run_sync(write_file, path, data)
    return [f"written to {path}"]


async def _share(session: Session, command: Command) -> list[str]:
    from crdtsync_cli.inviting import share_this  # noqa: PLC0415 - rarely used

    return await share_this(session, command)


async def _join(session: Session, command: Command) -> list[str]:
    from crdtsync_cli.inviting import join_other  # noqa: PLC0415 - rarely used

    return await join_other(session, command)


_DOES: Final = {
    "queue": change_queue,
    "fork": _fork,
    "export": _export,
    "share": _share,
    "join": _join,
    "apart": granting.run_apart,
    "take": granting.take_over,
    "arbiter": granting.arbiter,
}
