"""What /queue does with the prompts that wait; how it is shown is in `facts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync_cli import facts
from crdtsync_cli.rights import check_role
from crdtsync_cli.slash import Command, whole
from crdtsync_cli.words import plural

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["change_queue"]


async def change_queue(session: Session, command: Command) -> list[str]:
    """Do what a /queue line says; returns what waits then.

    Raises:
        UsageError: It makes no sense.
        AccessDenied: The role does not allow to change it.
        OperationFailed: The prompt does not wait any more.
    """
    verb, *words = command.words or ["show"]
    if (verb, words) == ("show", []):
        return facts.queue_lines(session)
    check_role(session, "editor", f"/queue {verb}")
    match verb, words:
        case "run", []:
            released = await session.prompts.release()
            said = f"released {plural(len(released), 'prompt')}"
            return [said if released else "no prompt is held back"]
        case "clear", []:
            return await _clear(session)
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


async def _clear(session: Session) -> list[str]:
    """Drop one's own prompts; those of others are theirs."""
    view, me = session.view, session.me.id
    messages = (view.message(waiting.prompt) for waiting in view.pending)
    own = [m.id for m in messages if m is not None and m.author == me]
    for prompt in own:
        await session.prompts.drop(prompt)
    others = len(session.view.pending)
    found = [f"dropped {plural(len(own), 'prompt')} of yours"]
    if others:
        found += [f"{others} of others still wait:", *facts.queue_lines(session)]
    return found


def _prompt(session: Session, word: str) -> str:
    """The prompt at a position of the queue."""
    position = whole(word, "position")
    for waiting in session.view.pending:
        if waiting.position == position:
            return waiting.prompt
    raise UsageError(f"nothing waits at position {position}", hint="See /queue.")
