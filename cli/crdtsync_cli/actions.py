"""Does what a typed line asks for, in any window; it reads and prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync_cli import facts
from crdtsync_cli.plain import Plain
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.searching import found_lines
from crdtsync_cli.slash import Command, Line, Say, help_lines, whole

if TYPE_CHECKING:
    from crdtsync.session import Sent, Session

__all__ = ["HISTORY", "Reply", "act", "history_lines"]

HISTORY: Final = 20
"""Messages that /history shows, and that a window shows when it opens."""

FOUND_MAX: Final = 50
"""The last hits that /search shows."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a line.

    Attributes:
        lines: To be shown to who typed it, and to nobody else.
        sent: The message, if it was one.
        leave: Whether the window is to be left.
    """

    lines: tuple[str, ...] = ()
    sent: Sent | None = None
    leave: bool = False


async def act(session: Session, line: Line) -> Reply:
    """Do what a line says; returns when it is on disk.

    Raises:
        CrdtSyncError: It cannot be done; nothing was.
    """
    if isinstance(line, Say):
        return Reply(sent=await session.send(line.text))
    match line.slash.name:
        case "leave":
            return Reply(leave=True)
        case "note":
            return Reply(sent=await session.send(line.rest, note=True))
        case "interrupt":
            return Reply(sent=await session.send(line.rest, steer="interrupt"))
        case "queue":
            lines = await _queue(session, line)
        case "cancel" | "allow" | "deny" | "title":
            lines = await _decide(session, line)
        case "export":
            lines = await _export(session, line.words)
        case _:
            lines = _look(session, line)
    return Reply(tuple(lines))


def history_lines(session: Session, count: int) -> list[str]:
    """The last messages as plain lines."""
    plain, view = Plain(SessionScene(session)), session.view
    return [
        line
        for message in view.tail(count)
        for line in plain.history(message, view.text(message.id))
    ]


def _look(session: Session, command: Command) -> list[str]:
    match command.slash.name:
        case "help":
            found = help_lines(command.rest)
        case "who":
            found = facts.who_lines(session)
        case "status":
            found = facts.status_lines(session)
        case "history":
            count = whole(command.words[0], "number") if command.words else HISTORY
            found = history_lines(session, count)
        case "agents":
            here = ", ".join(map(clean_line, session.agents()))
            found = [f"runs here: {here}" if here else facts.agent_hint(session)]
        case _:
            hits = list(found_lines(session, command.rest))
            found = hits[-FOUND_MAX:] or ["nothing found"]
    return found


async def _decide(session: Session, command: Command) -> list[str]:
    match command.slash.name:
        case "cancel":
            await session.cancel(command.rest)
            return ["asked to stop the turn"]
        case "title":
            await session.rename(command.rest)
            return []
        case answer:
            number = whole(command.words[0], "question")
            why = command.rest.partition(" ")[2]
            await session.vote(number, allow=answer == "allow", why=why)
            return []


async def _queue(session: Session, command: Command) -> list[str]:
    verb, *words = command.words or ["show"]
    match verb, words:
        case "show", []:
            return facts.queue_lines(session)
        case "run", []:
            released = await session.prompts.release()
            return [f"released {len(released)} of the waiting prompts"]
        case "drop", [number]:
            await session.prompts.drop(_prompt(session, number))
        case "move", [number, to]:
            position = whole(to, "position")
            await session.prompts.move(_prompt(session, number), position)
        case "edit", [number, _, *_]:
            text = command.rest.split(maxsplit=2)[2]
            await session.prompts.replace(_prompt(session, number), text)
        case _:
            raise UsageError(
                f"/queue cannot do {clean_line(command.rest)!r}",
                hint=f"It is {command.slash.usage}",
            )
    return facts.queue_lines(session)


def _prompt(session: Session, word: str) -> str:
    """The prompt at a position of the queue."""
    position = whole(word, "position")
    for waiting in session.view.pending:
        if waiting.position == position:
            return waiting.prompt
    raise UsageError(f"nothing waits at position {position}", hint="See /queue.")


async def _export(session: Session, words: list[str]) -> list[str]:
    from crdtsync_cli.transferring import export_bytes, write_file  # noqa: PLC0415 - slow

    form = words[0] if words else "md"
    path = Path(words[1] if len(words) > 1 else f"{session.name}.{form}")
    data = await export_bytes(session, form)
    await anyio.to_thread.run_sync(write_file, path, data)
    return [f"written to {path}"]
