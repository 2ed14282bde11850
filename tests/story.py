"""A turn as a runner writes it, in transactions; and windows that pass updates on."""

from __future__ import annotations

from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.events import Body, Happening
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder
from tests.picture import Picture
from tests.strategies import Write, write

AT = "2026-11-21T09:00:00Z"
OPTIONS: list[JsonValue] = [
    {"id": "y", "label": "Yes", "kind": "allow_once"},
    {"id": "n", "label": "No", "kind": "reject_once"},
]


def claim(turn: str, epoch: int, *prompts: str, **more: JsonValue) -> JsonObject:
    """The claim of a turn at the local arbiter."""
    return {
        "epoch": epoch,
        "arb": "arb",
        "grant": "local",
        "runner": f"runner-{turn}",
        "machine": "m",
        "agent": "demo",
        "prompts": list(prompts),
        "after": {},
        "closes": {},
        **more,
    }


def said(message: str, text: str = "hello", author: str = "ana") -> Write:
    """A prompt or another message of a person."""
    return Write("add_message", (Message(message, "user", author, AT, text),))


def begun(message: str, turn: str, role: str = "assistant") -> Write:
    """The header of a streamed message."""
    return Write("add_message", (Message(message, role, "demo", AT, turn=turn),))


def turn_of(
    turn: str, prompt: str, epoch: int = 1, **more: JsonValue
) -> list[list[Write]]:
    """One whole turn: thoughts, a tool that asks, a plan, an answer in pieces."""
    thought, answer, tool = f"{turn}-thought", f"{turn}-answer", f"{turn}/call"
    question: JsonObject = {
        "number": epoch,
        "turn": turn,
        "tool": tool,
        "title": "run make",
        "options": OPTIONS,
    }

    made: JsonObject = {"message": thought, "title": "make"}

    def turns(**values: JsonValue) -> Write:
        return Write("set_turn", (turn, values))

    return [
        [said(prompt), Write("enqueue", (prompt, f"U000000{epoch}"))],
        [
            turns(claim=claim(turn, epoch, prompt, **more)),
            Write("set_lease", ({"holder": turn, "epoch": epoch, "turn": turn},)),
        ],
        [turns(started=True), Write("withdraw", (prompt,))],
        [begun(thought, turn, "thought"), Write("append_text", (thought, "Let me "))],
        [Write("append_text", (thought, "sée 𝄞"))],
        [
            Write("set_tool", (tool, {**made, "phase": "pending"})),
            Write("ask", (f"{turn}-ask", question)),
        ],
        [Write("vote", (f"{turn}-ask", "bob", "y"))],
        [
            Write("decide", (f"{turn}-ask", "y", "bob")),
            Write("set_tool", (tool, {"phase": "in_progress"})),
        ],
        [Write("append_output", (tool, "cc -c"))],
        [
            Write("append_output", (tool, " main.c\n")),
            turns(plan=[{"text": "build", "status": "in_progress"}]),
        ],
        [Write("set_tool", (tool, {"phase": "completed", "exit_code": 0}))],
        [begun(answer, turn), Write("append_text", (answer, "It "))],
        [Write("append_text", (answer, "builds.")), turns(usage={"used": 12})],
        [turns(ended=True, stop_reason="end_turn")],
    ]


class Window:
    """A replica that tells its events to a picture, if it looked when it opened."""

    def __init__(self, document: Document, *, looked: bool = True) -> None:
        self.document = document
        self.view = SessionView(document)
        self.folder = Folder(document, self.view)
        self.told: list[Happening] = []
        self._picture = Picture(self.view) if looked else None

    @classmethod
    def joining(
        cls, updates: list[bytes], client_id: int | None = None, *, looked: bool = True
    ) -> Window:
        """A window that opens what there is."""
        return cls(Document.load(updates, client_id=client_id), looked=looked)

    @classmethod
    def fresh(cls, client_id: int | None = None) -> Window:
        """A window that is there from the start."""
        return cls(Document(client_id))

    @property
    def picture(self) -> Picture:
        assert self._picture is not None
        return self._picture

    def write(self, *writes: Write) -> bytes:
        change = write(self.document, list(writes))
        self._take(self.folder.fold(change))
        return change.update

    def receive(self, *updates: bytes) -> list[Body]:
        happenings = self.folder.fold(self.document.apply(updates))
        self._take(happenings)
        return [happening.body for happening in happenings]

    def _take(self, happenings: list[Happening]) -> None:
        self.told += happenings
        if self._picture is not None:
            self._picture.add(happenings)

    @property
    def bodies(self) -> list[Body]:
        return [happening.body for happening in self.told]

    def types(self) -> list[str]:
        return [body.type for body in self.bodies]

    def forget(self) -> None:
        self.told.clear()


def updates_of(script: list[list[Write]], client_id: int = 1) -> list[bytes]:
    """The updates of a script, written by one replica."""
    document = Document(client_id)
    return [write(document, step).update for step in script]
