"""Whose the running turn and the waiting prompts are; pure reading of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.entities import Message
from crdtsync.identity import runner_id
from crdtsync_cli.scene import SessionScene

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync.turns.claim import TurnRecord

__all__ = ["is_out_of_reach", "others_turn", "own_turn", "own_waiting"]


def own_turn(session: Session) -> str:
    """The running turn, if it answers a prompt of one's own; else ""."""
    running = session.view.running
    if running is None:
        return ""
    mine = any(message.author == session.me.id for message in _asked(session, running))
    return running.id if mine else ""


def others_turn(session: Session) -> str:
    """Who asked for the running turn, if it is not one's own; "" if none runs."""
    running = session.view.running
    if running is None or own_turn(session):
        return ""
    authors = [message.author for message in _asked(session, running)]
    scene = SessionScene(session)
    return scene.name_of(authors[0]) if authors else "somebody"


def is_out_of_reach(session: Session) -> bool:
    """Whether the window that runs the turn is not here: gone, or cut off."""
    running = session.view.running
    if running is None or running.claim is None:
        return False
    here = (
        runner_id(person.participant, window.window)
        for person in session.presence
        for window in person.windows
    )
    return running.claim.runner not in here


def own_waiting(session: Session) -> Message | None:
    """The last of one's own prompts that wait."""
    view = session.view
    for waiting in reversed(view.pending):
        message = view.message(waiting.prompt)
        if message is not None and message.author == session.me.id:
            return message
    return None


def _asked(session: Session, turn: TurnRecord) -> list[Message]:
    claim = turn.claim
    found = [session.view.message(p) for p in claim.prompts] if claim else []
    return [message for message in found if message is not None]
