"""Two replicas that wrote apart exchange what the other lacks, against bare Yjs.

The floor does with bare documents what every replica must: exchange state vectors,
encode the differences, apply them, and take the update that goes to the log.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median

from pycrdt import Array, Doc, Map

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.events import Reset
from crdtsync.schema import JsonObject
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder
from tests.bench.rows import Row

MESSAGES = 5000
"""Each side writes so many apart."""
PER_TURN = 10
"""Messages of one turn: a prompt, and thoughts and answers between the tools."""
ROUNDS = 5
AT = "2026-01-01T00:00:00.000Z"
TEXT = "the loop keeps both replicas in step, and nobody loses a line of it. " * 3


@dataclass(slots=True)
class Took:
    """One exchange in both directions."""

    seconds: float
    transferred: int


def _base() -> bytes:
    document = Document(1)
    with document.edit() as edit:
        edit.seed({"id": "bench", "title": "bench"})
        edit.add_message(Message("m0", "user", "ana", AT, "before they parted"))
    return document.state()


def _apart(base: bytes, client_id: int, who: str) -> bytes:
    """What one side has after turns of a prompt, thoughts, answers and tools."""
    document = Document.load([base], client_id=client_id)
    for number in range(MESSAGES // PER_TURN):
        turn, prompt = f"{who}t{number}", f"{who}p{number}"
        before: JsonObject = {f"{who}t{number - 1}": "final"} if number else {}
        with document.edit() as edit:
            edit.add_message(Message(prompt, "user", who, AT, TEXT))
            edit.enqueue(prompt, f"U{number:07}")
        with document.edit() as edit:
            edit.set_turn(turn, _turn(who, number + 1, prompt, before))
            edit.withdraw(prompt)
        for part in range(PER_TURN - 1):
            _say(document, turn, part)
        with document.edit() as edit:
            edit.set_turn(turn, {"ended": True, "stop_reason": "end_turn"})
    return document.state()


def _say(document: Document, turn: str, part: int) -> None:
    """A thought that calls a tool, or an answer, in two pieces."""
    message, tool = f"{turn}m{part}", f"{turn}/c{part}"
    thinks = part % 4 == 0
    role = "thought" if thinks else "assistant"
    with document.edit() as edit:
        edit.add_message(Message(message, role, "demo", AT, turn=turn))
        edit.append_text(message, TEXT[:100])
    with document.edit() as edit:
        edit.append_text(message, TEXT[100:])
        if thinks:
            edit.set_tool(tool, {"title": "make", "phase": "completed"})


def _turn(who: str, epoch: int, prompt: str, after: JsonObject) -> JsonObject:
    claim: JsonObject = {
        "epoch": epoch,
        "arb": f"arb-{who}",
        "grant": "local",
        "runner": f"runner-{who}",
        "machine": f"machine-{who}",
        "agent": "demo",
        "prompts": [prompt],
        "after": after,
        "closes": {},
    }
    return {"claim": claim, "started": True}


class _Window:
    def __init__(self, state: bytes) -> None:
        self.document = Document.load([state])
        self.view = SessionView(self.document)
        self.folder = Folder(self.document, self.view)
        self.shown: list[str] = []
        if self.view != self.view or self.view.message_count != MESSAGES + 1:
            raise AssertionError("the session is not what was made")

    def take(self, update: bytes) -> None:
        """Take in what the other wrote, and read what a window then shows."""
        told = [h.body for h in self.folder.fold(self.document.apply([update]))]
        if told != [Reset("merged", 2 * MESSAGES + 1)]:
            raise AssertionError("so much at once is to be told as one reset")
        self.shown = [self.view.text(m.id) for m in self.view.tail(20)]


def _settle() -> None:
    """Let no collection walk what was there before, as both ends are one process."""
    gc.collect()
    gc.freeze()


def _exchange(states: list[bytes]) -> Took:
    one, other = (_Window(state) for state in states)
    _settle()
    started = time.process_time()
    there = one.document.diff(other.document.state_vector())
    back = other.document.diff(one.document.state_vector())
    other.take(there)
    one.take(back)
    same = one.view.pending == other.view.pending
    took = time.process_time() - started
    if not same or one.view != other.view or not all(one.shown):
        raise AssertionError("they did not reconcile")
    vectors = len(one.document.state_vector()) + len(other.document.state_vector())
    return Took(took, len(there) + len(back) + vectors)


def _bare(states: list[bytes]) -> Took:
    docs: list[Doc[Array[object] | Map[object]]] = []
    logged: list[bytes] = []
    for state in states:
        doc: Doc[Array[object] | Map[object]] = Doc()
        for root, kind in schema.ROOTS.items():
            doc.get(root, type=Array if kind == "array" else Map)
        doc.apply_update(state)
        doc.observe(lambda event: logged.append(event.update))
        docs.append(doc)
    one, other = docs
    _settle()
    started = time.process_time()
    there = one.get_update(other.get_state())
    back = other.get_update(one.get_state())
    other.apply_update(there)
    one.apply_update(back)
    took = time.process_time() - started
    if len(logged) != 2:
        raise AssertionError("an update was not seen")
    return Took(took, len(there) + len(back))


def run() -> list[Row]:
    """Exchange in turn with the floor; the medians count."""
    base = _base()
    states = [_apart(base, 2, "ana"), _apart(base, 3, "bob")]
    took = [(_exchange(states), _bare(states)) for _ in range(ROUNDS)]
    ours = median(each.seconds for each, _ in took)
    bare = median(each.seconds for _, each in took)
    sent, least = took[0][0].transferred, took[0][1].transferred
    # Of neighbours in time: a busy machine slows both down.
    ratio = median(mine.seconds / floor.seconds for mine, floor in took)
    size = sent / least
    return [
        Row(
            "reconcile 2 x 5,000 messages",
            ours * 1e3,
            "ms",
            bare * 1e3,
            ratio,
            "<= 3x bare updates",
            ratio <= 3,
        ),
        Row(
            "transferred for it",
            sent / 1e3,
            "kB",
            least / 1e3,
            size,
            "<= 1.05x bare updates",
            size <= 1.05,
        ),
    ]
