"""However edits are mixed, late or repeated, views converge and match the document."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map

from crdtsync.document import Change, Document
from crdtsync.entities import Participant
from crdtsync.events import LeaseChanged, QueuedPrompt
from crdtsync.schema import JsonObject
from crdtsync.turns.claim import Cut
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder
from tests.picture import Picture, assert_same
from tests.story import claim, said, turn_of, updates_of
from tests.strategies import (
    Deliver,
    Foreign,
    Write,
    deliveries,
    foreign_edits,
    write,
    writes,
)

PEEKS = [
    "meta",
    "messages",
    "turns",
    "reading",
    "running",
    "tools",
    "pending",
    "takers",
    "participants",
    "drafts",
    "position",
    "text",
    *["picture"] * 6,
]


@dataclass(frozen=True)
class Sent:
    """An update, and the updates that it may build on."""

    number: tuple[int, int]
    update: bytes
    after: frozenset[tuple[int, int]]


class Mailbox:
    """Keeps what comes too early, as admission does; hands the rest out in order."""

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.sent: list[Sent] = []
        self._seen: set[tuple[int, int]] = set()
        self._early: list[Sent] = []

    def send(self, update: bytes) -> None:
        number = (self.client_id, len(self.sent))
        self.sent.append(Sent(number, update, frozenset(self._seen)))
        self._seen.add(number)

    def take(self, arrived: Sequence[Sent]) -> list[bytes]:
        """What can be applied now; also what was applied before, if it came again."""
        ready: list[bytes] = []
        waiting = [*self._early, *arrived]
        while able := [sent for sent in waiting if sent.after <= self._seen]:
            waiting = [sent for sent in waiting if sent not in able]
            ready += [sent.update for sent in able]
            self._seen.update(sent.number for sent in able)
        self._early = waiting
        return ready


class Window:
    """A replica with its view; a picture is made of it when a step asks for one."""

    def __init__(self, client_id: int) -> None:
        self.mailbox = Mailbox(client_id)
        self.document = Document(client_id)
        self.view = SessionView(self.document)
        self.folder = Folder(self.document, self.view)
        # Every other window is watched from the start; that reads all tables at once.
        watched = client_id % 2 == 1
        self.pictures = [Picture(self.view)] if watched else []

    def write(self, some: list[Write]) -> None:
        change = write(self.document, some)
        if change.update:
            self.mailbox.send(change.update)
        self._fold(change)

    def receive(self, arrived: Sequence[Sent], *, together: bool) -> None:
        ready = self.mailbox.take(arrived)
        if together:
            self._fold(self.document.apply(ready))
        else:
            for update in ready:
                self._fold(self.document.apply([update]))

    def _fold(self, change: Change) -> None:
        told = self.folder.fold(change)
        for picture in self.pictures:
            picture.add(told)

    def peek(self, name: str) -> None:
        match name:
            case "position":
                self.view.position("p0")
            case "text":
                self.view.text("s0")
            case "picture":
                self.pictures.append(Picture(self.view))
            case _:
                getattr(self.view, name)

    def check(self) -> None:
        for picture in self.pictures:
            picture.check()
        assert_same(self.view, SessionView(Document.load([self.document.state()])))


class Stranger:
    """A raw document of another program."""

    def __init__(self, client_id: int) -> None:
        self.mailbox = Mailbox(client_id)
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self._mine = False
        self.doc.observe(self._note)

    def _note(self, event: Any) -> None:
        if self._mine:
            self.mailbox.send(event.update)

    def edit(self, foreign: Foreign) -> None:
        self._mine = True
        foreign(self.doc)
        self._mine = False

    def receive(self, arrived: Sequence[Sent], *, together: bool) -> None:
        with self.doc.transaction() if together else nullcontext():
            for update in self.mailbox.take(arrived):
                self.doc.apply_update(update)


def deliver(replicas: list[Window | Stranger], step: Deliver) -> None:
    sent = replicas[step.source % len(replicas)].mailbox.sent
    chosen = [sent[number] for number in step.which if number < len(sent)]
    target = replicas[step.target % len(replicas)]
    target.receive(chosen, together=step.together)


Move: TypeAlias = "list[Write] | Foreign | Deliver | str | None"
Step: TypeAlias = tuple[int, Move]


def steps(*, strangers: bool) -> st.SearchStrategy[list[Step]]:
    who = st.integers(0, 3)
    kinds: list[st.SearchStrategy[Any]] = [
        st.tuples(who, st.lists(writes(), min_size=1, max_size=3)),
        st.tuples(who, st.lists(writes(), min_size=1, max_size=3)),
        st.tuples(who, deliveries(5 if strangers else 4)),
        st.tuples(who, st.sampled_from(PEEKS)),
        st.tuples(who, st.none()),
    ]
    if strangers:
        kinds += [st.tuples(who, foreign_edits())] * 2
    return st.lists(st.one_of(kinds), min_size=6, max_size=24)


def run(windows: int, script: list[Step], order: Random, *, strangers: bool) -> None:
    mine = [Window(number + 1) for number in range(windows)]
    everybody: list[Window | Stranger] = [*mine]
    if strangers:
        everybody.append(Stranger(99))
    for who, step in script:
        play(mine[who % windows], everybody, step)
    everything = [sent for replica in everybody for sent in replica.mailbox.sent]
    for number, window in enumerate(mine):
        mixed = order.sample(everything, len(everything))
        window.receive(mixed, together=number % 2 == 1)
        window.check()
        assert_same(window.view, mine[0].view)


def play(window: Window, everybody: list[Window | Stranger], step: Move) -> None:
    match step:
        case list():
            window.write(step)
        case Foreign():
            stranger = everybody[-1]
            assert isinstance(stranger, Stranger)
            stranger.edit(step)
        case Deliver():
            deliver(everybody, step)
        case str():
            window.peek(step)
        case None:
            window.check()


WINDOWS = st.integers(2, 4)
# Explaining a failure traces every line, which takes minutes here.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
ORDER = st.randoms(use_true_random=False)


@given(WINDOWS, steps(strangers=False), ORDER)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_windows_converge_whatever_reaches_them_when(
    windows: int, script: list[Step], order: Random
) -> None:
    run(windows, script, order, strangers=False)


@given(WINDOWS, steps(strangers=True), ORDER)
@settings(max_examples=100, deadline=None, phases=PHASES)
def test_windows_converge_with_a_client_that_keeps_no_rules(
    windows: int, script: list[Step], order: Random
) -> None:
    run(windows, script, order, strangers=True)


# What the view answers, on one session that is easy to read.


def _story() -> SessionView:
    document = Document.load(updates_of(turn_of("t1", "p1")[:-4]))
    write(
        document,
        [
            Write("set_tool", ("t1/early", {"started_at": "0"})),
            Write("set_tool", ("t2/other", {})),
            Write("add_participant", (Participant("ana", "Ana Ünal"),)),
            Write("set_draft", ("ana", 1.0)),
            said("p2", "later", "bob"),
            Write("enqueue", ("p2", "U0000002")),
            Write("set_queue", ("p2", {"held": True})),
            Write("ask", ("again", {"number": 1, "turn": "t1", "asked_at": "1"})),
        ],
    )
    return SessionView(document)


def test_a_view_reads_only_what_it_is_asked_for() -> None:
    view = _story()
    assert view.message_count == 3
    assert [message.id for message in view.tail(2)] == ["t1-thought", "p2"]
    assert [message.id for message in view.tail(9)] == ["p1", "t1-thought", "p2"]
    assert (view.position("p2"), view.position("no")) == (2, None)
    assert (view.text("t1-thought"), view.text("p2")) == ("Let me sée 𝄞", "later")
    assert view.text("no") == ""
    assert view.message("no") is None


def test_a_view_knows_what_runs_and_what_it_asks() -> None:
    view = _story()
    assert view.running is not None
    assert view.running.id == "t1"
    assert [tool.key for tool in view.tools_of("t1")] == ["t1/call", "t1/early"]
    assert [approval.id for approval in view.open_approvals()] == ["again"]
    found = view.approval_by_number(1)
    assert found is not None
    assert found.id == "again"
    assert view.approval_by_number(2) is None
    assert view.cut("t1") == Cut(1, 16)
    assert view.cut("t2") == Cut(0, 0)
    assert SessionView(Document()).running is None


def test_a_view_knows_who_waits_and_who_is_called_what() -> None:
    view = _story()
    assert view.pending == (QueuedPrompt("p2", 1, held=True),)
    assert (view.waits("p1"), view.waits("p2")) == (False, True)
    assert (view.name_of("ana"), view.name_of("bob")) == ("Ana Ünal", "bob")
    assert view.drafts == {"ana": 1}
    assert view.lease == LeaseChanged("t1", 1, "t1", "")
    assert SessionView(Document()).lease is None


def test_a_view_is_equal_to_no_other_thing_and_has_no_hash() -> None:
    view = _story()
    assert view != 1
    assert view == SessionView(Document.load([_story()._document.state()]))  # noqa: SLF001
    assert view != SessionView(Document())
    with pytest.raises(TypeError, match="unhashable"):
        hash(view)


def test_a_turn_that_cannot_be_read_is_there_without_its_claim() -> None:
    document = Document()
    values: JsonObject = {"claim": {"epoch": -1}, "detached_at": [1], "usage": 1}
    write(document, [Write("set_turn", ("t1", values))])
    record = SessionView(document).turns["t1"]
    assert (record.claim, record.detached_at, record.usage) == (None, None, None)


def test_a_prompt_of_a_void_turn_waits_again_and_a_withdrawn_one_does_not() -> None:
    window = Window(1)
    claimed: JsonObject = {"claim": claim("t1", 1, "p1")}
    enqueue = Write("enqueue", ("p1", "U0000001"))
    window.write([said("p1"), enqueue, Write("set_turn", ("t1", claimed))])
    assert not window.view.pending
    window.write([Write("set_turn", ("t1", {"void": True}))])
    assert window.view.pending == (QueuedPrompt("p1", 1, held=False),)
    window.write([Write("withdraw", ("p1",))])
    assert not window.view.pending
    assert not window.view.queue


def test_what_is_gone_before_it_was_read_is_not_there() -> None:
    window = Window(2)
    window.write([Write("enqueue", ("p1", "U0000001"))])
    view = SessionView(window.document)
    folder = Folder(window.document, view)
    folder.fold(write(window.document, [Write("withdraw", ("p1",))]))
    folder.fold(write(window.document, [Write("set_draft", ("ana", 1))]))
    assert view.drafts == {"ana": 1}
    drafts = window.document
    raw: Doc[Any] = Doc()
    raw.apply_update(drafts.state())
    del raw.get("drafts", type=Map)["ana"]
    unread = SessionView(window.document)
    Folder(window.document, unread).fold(window.document.apply([raw.get_update()]))
    assert unread.drafts == {}


def test_many_entries_that_change_at_once_are_read_at_once() -> None:
    window = Window(2)
    prompts = [f"p{number}" for number in range(20)]
    window.view.queue  # noqa: B018 - read before
    window.write([Write("enqueue", (prompt, "U0000001")) for prompt in prompts])
    assert sorted(window.view.queue) == sorted(prompts)
    withdrawn = [Write("withdraw", (prompt,)) for prompt in prompts[1:]]
    window.write([*withdrawn, Write("set_queue", ("p0", {"held": True}))])
    assert window.view.pending == (QueuedPrompt("p0", 1, held=True),)
    window.check()


def test_the_turn_that_runs_need_not_be_the_last() -> None:
    window = Window(2)
    first: JsonObject = {"claim": claim("t1", 1), "started": True}
    second: JsonObject = {"claim": claim("t2", 2, arb="other"), "void": True}
    window.write([Write("set_turn", ("t1", first)), Write("set_turn", ("t2", second))])
    window.write([Write("set_turn", ("t3", {"claim": claim("t3", 3, arb="third")}))])
    assert window.view.running is not None
    assert window.view.running.id == "t1"
    late = SessionView(window.document)
    table = late.queue_table
    assert table.refresh("gone") is None
