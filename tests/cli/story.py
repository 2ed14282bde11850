"""A story told with a small cast, and drawn; for the tests of the screen's blocks."""

from __future__ import annotations

import re
from datetime import UTC, timedelta

from crdtsync_cli.terminal.block import Block
from crdtsync_cli.terminal.drawing import Canvas
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.story import Story

from crdtsync.entities import Message, Participant, ToolCall
from crdtsync.events import (
    AssistantDelta,
    AssistantMessage,
    Body,
    MessageAdded,
    PlanChanged,
    ThoughtDelta,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from tests.cli.scene import NAMES, START, Cast, event

_SGR = re.compile(r"\x1b\[[0-9;]*m")


class ScreenCast(Cast):
    """The cast, as a screen asks about it; ana looks on."""

    agents = True

    @property
    def me(self) -> Participant:
        return Participant("p1", "ana", slot=0)

    def participant(self, participant: str) -> Participant | None:
        if participant not in NAMES:
            return None
        kind = "agent" if participant.startswith("a") else "person"
        slot = int(participant[1:]) - 1
        return Participant(participant, NAMES[participant], kind, slot=slot)  # type: ignore[arg-type]

    def role_of(self, participant: str) -> str:
        return "viewer" if participant == "p2" else "owner"

    def has_agent(self) -> bool:
        return self.agents


class Told:
    """A story as it is told, event by event, with its blocks so far."""

    def __init__(self) -> None:
        self.cast = ScreenCast()
        self.story = Story(self.cast, zone=UTC)
        self.story.now(START)
        self.blocks: list[Block] = []

    def tell(self, body: Body, *, after_s: float = 0, actor: str = "") -> list[Block]:
        found = self.story.take(event(body, after_s=after_s, actor=actor))
        self.blocks += found
        return found

    def say(self, author: str, text: str, role: str = "user") -> None:
        number = len(self.cast.messages)
        at = str(START + timedelta(seconds=number))
        message = Message(f"m{number}", role, author, at, text)
        self.cast.add(message)
        self.tell(MessageAdded(message, role == "user"), after_s=number, actor=author)

    def write(self, key: str, *pieces: str, role: str = "assistant") -> None:
        """Stream a message of the agent's, and commit after every piece."""
        if key not in self.cast.messages:
            self.cast.add(Message(key, role, "a1", str(START), turn="t1"))
        kind = ThoughtDelta if role == "thought" else AssistantDelta
        for piece in pieces:
            self.tell(kind(key, "t1", piece))
            self.blocks += self.story.commit()

    def finish(self, key: str, text: str, after_s: float = 0) -> None:
        self.tell(AssistantMessage(self.cast.messages[key], text), after_s=after_s)

    def drawn(self, width: int, *, colors: bool = False) -> list[str]:
        """The rows as they were printed."""
        canvas = Canvas(Ink(colors=colors))
        return canvas.drawn(self.blocks, width).splitlines()


def a_turn() -> Told:
    """A turn with all that can happen in one."""
    told = Told()
    told.say("p2", "also the lexer, @ana: it drops the last token of every second line")
    told.tell(TurnStarted("t1", ("m0",), "agent", 1, ""))
    told.say("p2", "and this one has to wait")
    told.say("p1", "I see", "note")
    told.write("h", "hm, ", "which file?", role="thought")
    told.finish("h", "hm, which file?", after_s=3)
    told.write(
        "w", "The loop keeps **both** replicas", ".\n\nAnd:\n\n- `one`\n", "- two"
    )
    tool = ToolCall("t1/1", "w", "pytest -q tests/parser", "execute", "in_progress")
    told.tell(ToolChanged(tool))
    done = ToolCall(
        "t1/1",
        "w",
        "pytest -q tests/parser",
        "execute",
        "completed",
        started_at="2026-11-20T14:02:11Z",
        ended_at="2026-11-20T14:02:23.4Z",
        exit_code=0,
    )
    told.tell(ToolChanged(done))
    told.tell(PlanChanged("t1", ({"text": "Fix it", "status": "in_progress"},)))
    told.tell(TurnEnded("t1", "ended", "main", "end_turn", ""), after_s=29)
    return told


def plain(rows: list[str]) -> list[str]:
    """Rows without colours."""
    return [_SGR.sub("", row) for row in rows]
