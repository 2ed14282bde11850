"""What is to be said of a session at one moment, as lines and as JSON; pure reading.

Shared by the commands who, status, queue and show, and by the slash commands.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio

from crdtsync.entities import Message
from crdtsync.policies import policy_in_words
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.turns.claim import TurnRecord
from crdtsync_cli.link_facts import link_facts
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.words import answer_hint, columns, excerpt

if TYPE_CHECKING:
    from crdtsync.presence import Person
    from crdtsync.session import Session

__all__ = [
    "NO_AGENT",
    "agent_hint",
    "answered",
    "message_json",
    "now_lines",
    "queue_json",
    "queue_lines",
    "status_json",
    "status_lines",
    "who_json",
    "who_lines",
]


NO_AGENT: Final = "no window or host of this session runs an agent"

ANSWERS_S: Final = 0.5
"""How long other windows get to say that they are there and run an agent."""


async def answered(session: Session, prompt: str) -> bool:
    """Whether somebody takes, or took, a prompt; waits a moment before saying no."""
    if not session.agents():
        await anyio.sleep(ANSWERS_S)
    return session.view.takers.get(prompt) is not None or bool(session.agents())


def agent_hint(session: Session) -> str:
    """How to start an agent in a session."""
    return (
        f"Start one: crdtsync open {session.name} --agent NAME, "
        f"or without a window: crdtsync host {session.name} --agent NAME. "
        "`crdtsync agents` lists them; `demo` always works."
    )


def who_lines(session: Session) -> list[str]:
    """Who is here, one line each."""
    rows = []
    for person in session.presence:
        notes = []
        if person.participant == session.me.id:
            notes.append("you")
        if person.role != "owner":
            notes.append(person.role)
        if person.typing:
            notes.append("typing")
        if agents := _agents(person):
            notes.append(f"runs {', '.join(agents)}")
        count = len(person.windows)
        windows = f"{count} window{'s' if count > 1 else ''}"
        rows.append((clean_line(person.name), person.status, windows, ", ".join(notes)))
    return columns(rows) or ["nobody is here"]


def who_json(session: Session) -> list[JsonObject]:
    """Who is here, one object each."""
    return [
        {
            "id": person.participant,
            "name": person.name,
            "kind": person.kind,
            "role": person.role,
            "status": person.status,
            "typing": person.typing,
            "windows": [window.window for window in person.windows],
            "agents": list[JsonValue](_agents(person)),
        }
        for person in session.presence
    ]


def queue_lines(session: Session) -> list[str]:
    """The prompts that wait, first to run first."""
    scene = SessionScene(session)
    rows = []
    for waiting in session.view.pending:
        message = session.view.message(waiting.prompt)
        author = clean_line(scene.name_of(message.author)) if message else "?"
        text = excerpt(message.text) if message else ""
        held = "held: /queue run releases it" if waiting.held else ""
        rows.append((str(waiting.position), author, text, held))
    return columns(rows) or ["nothing waits"]


def queue_json(session: Session) -> list[JsonObject]:
    """The prompts that wait, one object each."""
    found: list[JsonObject] = []
    for waiting in session.view.pending:
        message = session.view.message(waiting.prompt)
        found.append(
            {
                "position": waiting.position,
                "prompt": waiting.prompt,
                "author": message.author if message else "",
                "text": message.text if message else "",
                "held": waiting.held,
            }
        )
    return found


def status_lines(session: Session) -> list[str]:
    """The session, who is here, the turn, and what waits for somebody."""
    view = session.view
    named = view.meta.title not in {"", session.name}
    title = f" {excerpt(view.meta.title)}" if named else ""
    people = ", ".join(clean_line(p.name) for p in session.presence)
    rows = [
        ("session", f"{session.name}{title}  {session.id}"),
        ("here", people or "nobody"),
        ("agents", ", ".join(map(clean_line, session.agents())) or "none"),
        ("turn", _turn_line(session, view.running)),
    ]
    rows += [("policy", line) for line in _policies(session)]
    rows += [("waiting", line) for line in queue_lines(session) if view.pending]
    rows += [
        ("question", f"{a.number} {clean_line(a.title)} ({answer_hint(a)})")
        for a in view.open_approvals()
    ]
    rows += [("link", fact.line) for fact in link_facts(session)]
    rows.append(("history", f"{view.message_count} messages, log {session.head}"))
    return columns(rows)


def now_lines(session: Session) -> list[str]:
    """What somebody who comes in now has to know; empty if nothing goes on."""
    view = session.view
    found = _policies(session)
    if view.running is not None:
        found.append(f"turn {_turn_line(session, view.running)}")
    if view.pending:
        found += [f"waiting: {line}" for line in queue_lines(session)]
    found += [
        f"permission {a.number}: {clean_line(a.title)} (answer: {answer_hint(a)})"
        for a in view.open_approvals()
    ]
    return found


def status_json(session: Session) -> JsonObject:
    """The same as one object."""
    view = session.view
    running = view.running
    return {
        "session": session.id,
        "name": session.name,
        "title": view.meta.title,
        "seq": session.head,
        "messages": view.message_count,
        "people": [person.name for person in session.presence],
        "agents": list[JsonValue](session.agents()),
        "links": [fact.json for fact in link_facts(session)],
        "policies": list[JsonValue](_policies(session)),
        "turn": _turn_json(running) if running else None,
        "queue": list[JsonValue](queue_json(session)),
        "approvals": [
            {"number": a.number, "id": a.id, "title": a.title, "turn": a.turn}
            for a in view.open_approvals()
        ],
    }


def message_json(session: Session, message: Message) -> JsonObject:
    """A message with its whole body, its author's name and its standing."""
    scene, text = SessionScene(session), session.view.text(message.id)
    name, standing = scene.name_of(message.author), scene.standing(message)
    return {**message.to_json(), "name": name, "text": text, "standing": standing}


def _agents(person: Person) -> list[str]:
    infos = (window.info.get("agent") for window in person.windows)
    return sorted({clean_line(str(info)) for info in infos if info})


def _policies(session: Session) -> list[str]:
    """What the agents here may do without asking, one sentence each."""
    found = {
        policy_in_words(person.name, window.info)
        for person in session.presence
        for window in person.windows
    }
    return sorted(map(clean_line, found - {""}))


def _turn_line(session: Session, turn: TurnRecord | None) -> str:
    if turn is None:
        return "none is running"
    scene = SessionScene(session)
    asked = scene.message(turn.claim.prompts[0]) if turn.claim else None
    by = f" for {clean_line(scene.name_of(asked.author))}" if asked else ""
    since = ""
    if turn.started_at:
        at = datetime.fromisoformat(turn.started_at).astimezone()
        since = f" since {at:%H:%M:%S}"
    tools = [t for t in session.view.tools_of(turn.id) if t.open]
    doing = f", {clean_line(tools[-1].title or tools[-1].kind)}" if tools else ""
    return f"{scene.turn_number(turn.id)} runs{by}{since}{doing}"


def _turn_json(turn: TurnRecord) -> JsonObject:
    claim = turn.claim
    return {
        "id": turn.id,
        "agent": claim.agent if claim else "",
        "prompts": list(claim.prompts) if claim else [],
        "epoch": claim.epoch if claim else 0,
        "started_at": turn.started_at or "",
    }
