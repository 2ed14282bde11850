"""What events say adds up to what the view shows, for whoever joins whenever."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync import events
from crdtsync.entities import Message
from crdtsync.events import (
    Actor,
    ApprovalRequested,
    ApprovalResolved,
    ApprovalVoted,
    AssistantMessage,
    MessageAdded,
    Notice,
    QueueChanged,
    QueuedPrompt,
    Reset,
    SessionEvent,
    TurnEnded,
    TurnStarted,
)
from crdtsync.schema import JsonObject
from tests.picture import assert_same
from tests.story import Window, begun, claim, said, turn_of, updates_of
from tests.strategies import Write

SCRIPT = turn_of("t1", "p1")


def test_a_whole_turn_tells_its_events_in_order() -> None:
    window = Window.fresh()
    for step in SCRIPT:
        window.write(*step)
    assert window.types() == [
        "message",
        "queue",
        "lease",
        "queue",
        "turn.started",
        "thought.delta",
        "thought.delta",
        "tool",
        "approval.requested",
        "approval.voted",
        "tool",
        "approval.resolved",
        "tool",
        "plan",
        "tool",
        "tool",
        "assistant.message",
        "assistant.delta",
        "assistant.delta",
        "usage",
        "assistant.message",
        "turn.ended",
    ]
    window.picture.check()
    ended = window.bodies[-1]
    assert ended == TurnEnded("t1", "ended", "main", "end_turn", "")


@pytest.mark.parametrize("joined", range(len(SCRIPT) + 1))
@pytest.mark.parametrize("looked", [True, False], ids=["looked", "did not look"])
def test_who_joins_at_any_update_sees_the_same(joined: int, looked: bool) -> None:
    updates = updates_of(SCRIPT)
    first = Window.fresh()
    for update in updates[:joined]:
        first.receive(update)
    late = Window.joining(updates[:joined], looked=looked)
    late_types: list[str] = []
    for update in updates[joined:]:
        at = len(first.told)
        first.receive(update)
        told = late.receive(update)
        assert told == first.bodies[at:]
        late_types += [body.type for body in told]
        if looked:
            late.picture.check()
            assert_same(late.view, first.view)
    assert_same(late.view, first.view)
    assert late_types.count("turn.ended") == (joined < len(SCRIPT))


@pytest.mark.parametrize("joined", range(len(SCRIPT)))
def test_what_was_missed_comes_at_once_and_adds_up(joined: int) -> None:
    updates = updates_of(SCRIPT)
    window = Window.joining(updates[:joined])
    window.receive(*updates[joined:])
    window.picture.check()
    assert window.picture.running == set()
    assert "reset" not in window.types()


CLOSES: JsonObject = {"t1": [1, 3]}
STORIES = [
    turn_of("t1", "p1", 1),
    turn_of("t2", "p2", 2, after={"t1": "open"}, closes=CLOSES),
    turn_of("t3", "p3", 3, arb="other", after={"t1": "final"}),
]


class Apart:
    """Windows that each write a story of their own and hear of the others' late."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.windows = [Window.fresh(number + 1) for number in range(count)]
        # What each window has, in the order in which it came.
        self._logs: list[list[bytes]] = [[] for _ in range(count)]
        self._written = [0] * count

    def step(self, number: int) -> None:
        one, other = number % self.count, number // 3 % self.count
        if number < 7:
            self.write(one)
        elif number == 7:
            self.reopen(one)
        else:
            self.pass_on(one, other, 1 + number % 4)
            self.windows[other].picture.check()

    def write(self, writer: int) -> None:
        at = self._written[writer]
        if at < len(STORIES[writer]):
            self._written[writer] += 1
            update = self.windows[writer].write(*STORIES[writer][at])
            self._logs[writer].append(update)

    def reopen(self, number: int) -> None:
        state = self.windows[number].document.state()
        self.windows[number] = Window.joining([state], number + 1)

    def pass_on(self, source: int, target: int, limit: int) -> None:
        known = set(self._logs[target])
        some = [u for u in self._logs[source] if u not in known][:limit]
        if some:
            self._logs[target] += some
            self.windows[target].receive(*some, some[0])

    def finish(self, order: Random) -> None:
        for writer in range(self.count):
            for _ in STORIES[writer]:
                self.write(writer)
        pairs = [(s, t) for s in range(self.count) for t in range(self.count)]
        for source, target in order.sample(pairs, len(pairs)) * 2:
            self.pass_on(source, target, 99)


@given(
    st.integers(2, 3),
    st.lists(st.integers(0, 14), min_size=10, max_size=70),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_turns_written_apart_add_up_in_every_window(
    count: int, schedule: list[int], order: Random
) -> None:
    apart = Apart(count)
    for number in schedule:
        apart.step(number)
    apart.finish(order)
    for window in apart.windows:
        window.picture.check()
        assert "reset" not in window.types()
        assert window.picture.running == set()
        assert_same(window.view, apart.windows[0].view)


# Each start has one end.


def _running(window: Window, turn: str = "t1", **more: object) -> None:
    window.write(
        Write("set_turn", (turn, {"claim": claim(turn, 1, "p1"), "started": True})),
        begun(f"{turn}-a", turn),
        Write("append_text", (f"{turn}-a", "half")),
    )


def _take_over(window: Window) -> None:
    over = claim("t2", 2, after={"t1": "open"}, closes={"t1": [1, 4]})
    window.write(Write("set_turn", ("t2", {"claim": over})))


def test_a_turn_that_was_taken_over_ends_abandoned() -> None:
    window = Window.fresh()
    _running(window)
    window.forget()
    _take_over(window)
    message = Message("t1-a", "assistant", "demo", "2026-11-21T09:00:00Z", turn="t1")
    assert window.bodies == [
        AssistantMessage(message, "half"),
        TurnEnded("t1", "abandoned", "main", "", ""),
    ]
    window.picture.check()


def test_an_end_after_a_takeover_is_a_notice_and_no_second_end() -> None:
    window = Window.fresh()
    _running(window)
    _take_over(window)
    late = Window.joining([window.document.state()])
    window.forget()
    update = window.write(
        Write("append_text", ("t1-a", " more")),
        Write("set_turn", ("t1", {"ended": True, "stop_reason": "lost_lease"})),
    )
    late.receive(update)
    text = "demo finished a turn after another took over"
    for one in (window, late):
        assert one.types() == ["assistant.delta", "notice"]
        assert one.bodies[-1] == Notice("turn.finished_late", text)
        one.picture.check()


def test_a_late_end_without_a_readable_claim_is_of_an_agent() -> None:
    window = Window.fresh()
    window.write(Write("set_turn", ("t1", {"claim": "?", "started": True})))
    _take_over(window)
    window.forget()
    window.write(Write("set_turn", ("t1", {"ended": True})))
    text = "an agent finished a turn after another took over"
    assert window.bodies == [Notice("turn.finished_late", text)]


def test_a_turn_that_comes_after_the_claim_that_closes_it_starts_and_ends() -> None:
    window = Window.fresh()
    _take_over(window)
    window.forget()
    _running(window)
    assert [t for t in window.types() if t.startswith("turn")] == [
        "turn.started",
        "turn.ended",
    ]
    ended = window.bodies[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.state == "abandoned"
    window.picture.check()


def test_a_takeover_and_a_late_end_in_one_change_are_one_end() -> None:
    writer = Window.fresh(1)
    _running(writer)
    reader = Window.joining([writer.document.state()])
    before = writer.document.state_vector()
    _take_over(writer)
    writer.write(Write("set_turn", ("t1", {"ended": True})))
    reader.receive(writer.document.diff(before))
    ends = [body for body in reader.bodies if isinstance(body, TurnEnded)]
    assert [end.state for end in ends] == ["finished_after_takeover"]


def test_a_turn_that_never_started_has_neither_start_nor_end() -> None:
    window = Window.fresh()
    window.write(said("p1"), Write("enqueue", ("p1", "U0000001")))
    window.write(Write("set_turn", ("t1", {"claim": claim("t1", 1, "p1")})))
    window.forget()
    window.write(Write("set_turn", ("t1", {"void": True})))
    assert window.bodies == [QueueChanged((QueuedPrompt("p1", 1, held=False),))]


def test_a_history_of_turns_that_comes_at_once_starts_and_ends_them_in_order() -> None:
    writer = Window.fresh(1)
    for number in range(30):
        after: JsonObject = {f"t{number - 1:02}": "final"} if number else {}
        for step in turn_of(f"t{number:02}", f"p{number}", number + 1, after=after):
            writer.write(*step)
    reader = Window.fresh()
    reader.view.reading  # noqa: B018 - read before
    bodies = reader.receive(writer.document.state())
    ended = [body.turn for body in bodies if isinstance(body, TurnEnded)]
    started = [body.turn for body in bodies if isinstance(body, TurnStarted)]
    assert ended == started == [f"t{number:02}" for number in range(30)]
    reader.picture.check()
    assert_same(reader.view, writer.view)


# Questions.


def _asking(window: Window, question: str = "a1", turn: str = "t1") -> None:
    window.write(Write("ask", (question, {"number": 1, "turn": turn})))


def test_a_question_of_a_turn_that_died_is_told_as_cancelled() -> None:
    window = Window.fresh()
    _running(window)
    _asking(window)
    late = Window.joining([window.document.state()])
    window.forget()
    before = window.document.state_vector()
    _take_over(window)
    late.receive(window.document.diff(before))
    for one in (window, late):
        told = [body for body in one.bodies if isinstance(body, ApprovalResolved)]
        assert [(t.approval.id, t.approval.decision) for t in told] == [
            ("a1", "cancelled")
        ]
        one.picture.check()
    assert window.view.approvals["a1"].decision == ""


def test_a_question_of_a_turn_that_is_over_is_not_asked() -> None:
    window = Window.fresh()
    _running(window)
    _take_over(window)
    window.forget()
    _asking(window)
    assert window.bodies == []
    window.picture.check()


def test_a_question_that_comes_before_its_turn_is_asked_with_it() -> None:
    window = Window.fresh()
    _asking(window)
    assert window.bodies == []
    late = Window.joining([window.document.state()])
    before = window.document.state_vector()
    _running(window)
    late.receive(window.document.diff(before))
    for one in (window, late):
        assert one.types().count("approval.requested") == 1
        one.picture.check()


def test_a_vote_and_a_decision_are_told() -> None:
    window = Window.fresh()
    _running(window)
    _asking(window)
    late = Window.joining([window.document.state()])
    for step in (
        Write("vote", ("a1", "bob", "y")),
        Write("decide", ("a1", "y", "bob")),
        Write("vote", ("a1", "ana", "n")),
    ):
        late.receive(window.write(step))
    voted, resolved = late.bodies
    assert isinstance(voted, ApprovalVoted)
    assert voted.approval.votes == {"bob": "y"}
    assert isinstance(resolved, ApprovalResolved)
    assert late.told[1].actor == "bob"
    late.picture.check()


def test_who_joins_after_a_decision_is_not_told_of_it_again() -> None:
    window = Window.fresh()
    _running(window)
    _asking(window)
    window.write(Write("decide", ("a1", "y", "bob")))
    late = Window.joining([window.document.state()])
    late.receive(window.write(Write("vote", ("a1", "ana", "n"))))
    late.receive(window.write(Write("set_turn", ("t1", {"ended": True}))))
    assert "approval.resolved" not in late.types()
    late.picture.check()


def test_one_question_is_asked_once_while_others_change() -> None:
    window = Window.fresh()
    _running(window)
    _asking(window)
    window.write(Write("set_turn", ("t2", {"claim": claim("t2", 2)})))
    _asking(window, "a2", "t2")
    asked = [b.approval.id for b in window.bodies if isinstance(b, ApprovalRequested)]
    assert asked == ["a1", "a2"]


# JSON lines.


def test_an_event_is_one_json_object() -> None:
    at = datetime(2026, 11, 21, 9, 0, 0, 123456, UTC)
    message = Message("p1", "user", "ana", "2026", "hi", extra={"later": [1, None]})
    event = SessionEvent(
        7, at, "s", Actor("ana", "Ana", "person"), MessageAdded(message, queued=True)
    )
    assert event.type == "message"
    assert event.to_json() == {
        "v": 1,
        "seq": 7,
        "ts": "2026-11-21T09:00:00.123Z",
        "session": "s",
        "type": "message",
        "actor": {"id": "ana", "name": "Ana", "kind": "person"},
        "data": {
            "message": {
                "id": "p1",
                "role": "user",
                "author": "ana",
                "at": "2026",
                "text": "hi",
                "later": [1, None],
            },
            "queued": True,
        },
    }


def test_an_event_of_nobody_has_no_actor() -> None:
    event = SessionEvent(
        1, datetime(2026, 1, 1, tzinfo=UTC), "s", None, Reset("slow", 3)
    )
    assert event.to_json()["data"] == {"reason": "slow", "messages": 3}
    assert "actor" not in event.to_json()


def test_what_is_no_json_becomes_text() -> None:
    assert events.to_json({1: {2}, "a": (1.5, None)}) == {
        "1": "{2}",
        "a": [1.5, None],
    }


def test_every_event_has_a_name_of_its_own() -> None:
    names = [body.type for body in events.Body.__args__]
    assert len(set(names)) == len(names)
    assert set(names) >= events.DELTA_TYPES
