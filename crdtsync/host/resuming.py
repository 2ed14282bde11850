"""Which session of an agent to go on with, as the document tells; it starts nothing.

An agent's own session is of use only on the machine, and in the folder, where it was
made, and only while no other window uses it.
"""

from __future__ import annotations

from crdtsync import schema
from crdtsync.agents import Agent, AgentSpec
from crdtsync.document import Edit
from crdtsync.schema import JsonObject, as_object, as_text
from crdtsync.session import Session

__all__ = ["introduce", "note_session", "resumable", "turns_of"]


def resumable(session: Session, spec: AgentSpec, cwd: str) -> str | None:
    """The agent's session to load, or None."""
    told, place = session.view.meta.agent, session.place
    wanted = {"name": spec.name, "machine": place.identity.machine, "cwd": cwd}
    if any(told.get(key) != value for key, value in wanted.items()):
        return None
    here = {w.window for person in session.presence for w in person.windows}
    if told.get("window") in here - {place.window}:
        return None
    return as_text(told.get("session")) or None


def turns_of(session: Session, agent_session: str) -> frozenset[str]:
    """The turns on this machine that a session of the agent has run."""
    machine = session.place.identity.machine
    stored = session.replica.document.json(schema.TURNS)
    found = []
    for turn, record in session.view.turns.items():
        ran = as_object(stored.get(turn)).get("agent_session") == agent_session
        if ran and record.claim is not None and record.claim.machine == machine:
            found.append(turn)
    return frozenset(found)


def introduce(
    edit: Edit, session: Session, spec: AgentSpec, agent: Agent, cwd: str
) -> None:
    """Tell everybody which agent this is, where it works, and how to go on with it."""
    told: JsonObject = {
        "name": spec.name,
        "program": agent.name,
        "version": agent.version,
        "cwd": cwd,
        "session": agent.session_id,
        "machine": session.place.identity.machine,
        "window": session.place.window,
    }
    edit.set_meta({"agent": told})


def note_session(edit: Edit, turn: str, agent: Agent) -> None:
    """Note which session of the agent runs a turn."""
    if agent.session_id:
        edit.set_turn(turn, {"agent_session": agent.session_id})
