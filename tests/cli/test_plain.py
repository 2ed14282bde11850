"""Plain lines of session events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from crdtsync_cli.blocks import Blocks
from crdtsync_cli.plain import Plain
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.entities import Approval, Message, Option, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    AssistantDelta,
    AssistantMessage,
    Body,
    ConnectionChanged,
    Failure,
    Merged,
    MessageAdded,
    Notice,
    ParticipantJoined,
    PlanChanged,
    QueueChanged,
    QueuedPrompt,
    SessionOpened,
    TitleChanged,
    ToolChanged,
    TurnEnded,
    TurnStarted,
    TypingChanged,
)

from .scene import Cast, event

ANA = Message("m1", "user", "p1", "2026-11-20T14:02:11Z", "let's fix the parser")
ANSWER = Message("m2", "assistant", "a1", "2026-11-20T14:02:20Z", turn="t1")
OPTIONS = (Option("yes", "Allow", "allow_once"), Option("no", "Reject", "reject_once"))
QUESTION = Approval("q7", 7, "t1", "t1/c1", "rm -r build/", None, "", OPTIONS, "", "")


def told(*bodies: Body, actor: str = "") -> list[str]:
    cast = Cast()
    cast.add(ANA)
    cast.add(ANSWER)
    plain = Plain(cast, zone=UTC)
    found = []
    for second, body in enumerate(bodies):
        found += plain.lines(event(body, after_s=second, actor=actor))
    return found


def test_a_message_has_time_and_name() -> None:
    assert told(MessageAdded(ANA, queued=True)) == [
        "[14:02:11] <ana> let's fix the parser"
    ]


def test_further_lines_of_a_message_are_marked() -> None:
    message = Message("m3", "user", "p2", "", "first\nsecond")
    assert told(MessageAdded(message, queued=False)) == [
        "[14:02:11] <bob> first",
        "[14:02:11] |     second",
    ]


def test_notes_and_unknown_roles_say_so() -> None:
    note = Message("m3", "note", "p2", "", "psst")
    other = Message("m4", "oracle", "p2", "", "42")
    assert told(
        MessageAdded(note, queued=False), MessageAdded(other, queued=False)
    ) == [
        "[14:02:11] <bob> (note) psst",
        "[14:02:12] <bob> [oracle] 42",
    ]


def test_what_a_window_writes_by_itself_says_for_whom() -> None:
    message = Message("m3", "system", "p2", "", "asked to stop the turn")
    assert told(MessageAdded(message, queued=False)) == [
        "[14:02:11] -- bob asked to stop the turn"
    ]


def test_an_answer_comes_by_completed_blocks() -> None:
    assert told(
        AssistantDelta("m2", "t1", "# Plan\n\nThe "),
        AssistantDelta("m2", "t1", "loop keeps\nboth"),
        AssistantDelta("m2", "t1", " replicas.\n\n```py\na\n"),
        AssistantDelta("m2", "t1", "\nb\n```\n\nEnd"),
        AssistantMessage(
            ANSWER,
            "# Plan\n\nThe loop keeps\nboth replicas.\n\n```py\na\n\nb\n```\n\nEnd",
        ),
    ) == [
        "[14:02:11] <agent> # Plan",
        "[14:02:13] <agent> The loop keeps",
        "[14:02:13] |       both replicas.",
        "[14:02:14] <agent> ```py",
        "[14:02:14] |       a",
        "[14:02:14] |",
        "[14:02:14] |       b",
        "[14:02:14] |       ```",
        "[14:02:15] <agent> End",
    ]


def test_an_answer_that_was_not_watched_comes_whole() -> None:
    assert told(AssistantMessage(ANSWER, "One.\n\nTwo.")) == [
        "[14:02:11] <agent> One.",
        "[14:02:11] |",
        "[14:02:11] |       Two.",
    ]


def test_a_tool_has_a_start_and_an_end() -> None:
    tool = ToolCall("t1/c1", title="pytest -q", kind="execute")
    done = ToolCall(
        "t1/c1",
        title="pytest -q",
        kind="execute",
        phase="completed",
        started_at="2026-11-20T14:02:13Z",
        ended_at="2026-11-20T14:02:25.400Z",
        exit_code=0,
    )
    assert told(ToolChanged(tool), ToolChanged(tool), ToolChanged(done)) == [
        "[14:02:11] [shell] start pytest -q",
        "[14:02:13] [shell] ok 12.4s exit 0",
    ]


def test_tools_side_by_side_are_told_apart() -> None:
    def at(key: str, phase: str) -> ToolChanged:
        return ToolChanged(ToolCall(f"t1/{key}", title=key, kind="read", phase=phase))

    assert told(
        at("a", "pending"),
        at("b", "in_progress"),
        at("a", "failed"),
        at("b", "cancelled"),
        at("c", "completed"),
    ) == [
        "[14:02:11] [read] start a",
        "[14:02:12] [read] start b",
        "[14:02:13] [read] FAILED a",
        "[14:02:14] [read] cancelled",
        "[14:02:15] [read] ok c",
    ]


def test_a_turn_has_a_number_a_start_and_an_end() -> None:
    assert told(
        TurnStarted("t1", ("m1",), "demo", 1, "local"),
        TurnEnded("t1", "ended", "main", "end_turn", ""),
    ) == [
        "[14:02:11] -- turn 1 started by ana",
        "[14:02:12] -- turn 1 done 1s",
    ]


def test_a_turn_that_comes_in_late_took_as_long_as_its_runner_says() -> None:
    began, over = "2026-11-20T14:00:00Z", "2026-11-20T14:00:29Z"
    ended = TurnEnded("t1", "ended", "main", "end_turn", "", began, over)
    started = TurnStarted("t1", ("m1",), "demo", 1, "local")
    assert told(started, ended)[-1] == "[14:02:12] -- turn 1 done 29s"


def test_a_turn_that_went_wrong_says_how() -> None:
    started = TurnStarted("t1", ("m1",), "demo", 1, "local")
    assert told(started, TurnEnded("t1", "ended", "main", "error", "exit 3\nboom"))[
        1:
    ] == [
        "[14:02:12] -- turn 1 failed 1s",
        "[14:02:12] -- error: exit 3",
        "[14:02:12] |         boom",
    ]
    assert told(started, TurnEnded("t1", "abandoned", "main", "", ""))[1:] == [
        "[14:02:12] -- turn 1 interrupted, outcome unknown"
    ]
    assert told(started, TurnEnded("t1", "ended", "parallel", "cancelled", ""))[1:] == [
        "[14:02:12] -- turn 1 cancelled 1s, ran apart"
    ]


def test_a_permission_question_says_how_to_answer() -> None:

    no = replace(QUESTION, decision="no", decided_by="p2")
    late = replace(QUESTION, decision="expired")
    assert told(
        ApprovalRequested(QUESTION), ApprovalResolved(no), ApprovalResolved(late)
    ) == [
        "[14:02:11] !! permission 7: rm -r build/ (answer: /allow 7 or /deny 7)",
        "[14:02:12] !! permission 7 denied by bob: rm -r build/",
        "[14:02:13] !! permission 7 expired: rm -r build/",
    ]


def test_the_queue_is_told_while_a_turn_runs() -> None:
    waiting = QueueChanged((QueuedPrompt("m1", 1, held=False),))
    assert told(waiting) == []
    assert told(TurnStarted("t1", (), "demo", 1, "local"), waiting, waiting)[1:] == [
        '[14:02:12] -- waiting: 1 ana "let\'s fix the parser"'
    ]


def test_a_held_prompt_is_always_told() -> None:
    held = QueueChanged((QueuedPrompt("m1", 1, held=True),))
    assert told(held) == ['[14:02:11] -- waiting: 1 (held) ana "let\'s fix the parser"']


def test_people_and_the_session_are_told() -> None:
    assert told(
        SessionOpened("fix-parser", "The parser", 3, read_only=False, window="w1"),
        ParticipantJoined("w2", 3),
        TitleChanged("Lexer"),
        Merged(("m1", "m2"), ("p1", "p2"), "", "", ""),
        Notice("no-agent", "No agent runs here."),
        Failure("disk-full", "The disk is full", "Make room."),
        TypingChanged("w2", typing=True),
        PlanChanged("t1", ({"text": "read", "status": "completed"}, {"text": "write"})),
        actor="p2",
    ) == [
        '[14:02:11] -- session fix-parser "The parser", 3 messages',
        "[14:02:12] -- bob joined, 3 here",
        "[14:02:13] -- title: Lexer",
        "[14:02:14] -- 2 messages written apart by ana, bob joined",
        "[14:02:15] -- No agent runs here.",
        "[14:02:16] -- error: The disk is full. Make room.",
        "[14:02:18] -- plan: [x] read",
        "[14:02:18] -- plan: [ ] write",
    ]


def test_a_relay_that_refuses_this_window_is_told_with_what_to_do() -> None:
    refused = ConnectionChanged("relay.example", "refused", "the token has expired")
    live = ConnectionChanged("relay.example", "live", "")
    first, hint, then = told(refused, live)
    assert first == "[14:02:11] -- link relay.example refused: the token has expired"
    assert "crdtsync join" in hint
    assert then == "[14:02:12] -- link relay.example live"


def test_what_ran_apart_or_late_says_so() -> None:
    cast = Cast()
    cast.standings[ANSWER.id] = "parallel"
    assert Plain(cast, zone=UTC).history(ANSWER, "done") == [
        "[14:02:20] <agent> (ran apart) done"
    ]
    cast.standings[ANSWER.id] = "late"
    assert Plain(cast, zone=UTC).history(ANSWER, "done") == [
        "[14:02:20] <agent> (late) done"
    ]


def test_history_has_its_own_times() -> None:
    plain = Plain(Cast(), zone=UTC)
    assert plain.history(ANA, ANA.text) == ["[14:02:11] <ana> let's fix the parser"]
    undated = Message("m9", "user", "p1", "yesterday", "x")
    assert plain.history(undated, "x") == ["[--:--:--] <ana> x"]


EVIL = st.text(st.characters(), max_size=20)


@given(EVIL, EVIL)
def test_no_line_ever_holds_a_control(text: str, title: str) -> None:
    message = Message("m9", "user", f"p{title}", "", text)
    tool = ToolCall("t1/x", title=title, kind=text)
    lines = told(
        MessageAdded(message, queued=False),
        AssistantDelta("m2", "t1", text + "\n\n"),
        ToolChanged(tool),
        TitleChanged(title),
        TurnEnded("t1", "ended", "main", text, title),
    )
    for line in lines:
        assert "\x1b" not in line
        assert "\n" not in line
        line.encode()


MARKDOWN = st.lists(st.sampled_from(["a", "b\n", "\n", "```\n", "~~~", " ", "\n\n"]))


@given(MARKDOWN)
def test_blocks_joined_are_the_text(pieces: list[str]) -> None:
    blocks, whole = Blocks(), "".join(pieces)
    found = [block for piece in pieces for block in blocks.feed(piece)]
    found.append(blocks.rest(whole))
    assert "".join("".join(found).split()) == "".join(whole.split())


@given(MARKDOWN, MARKDOWN)
def test_where_a_text_is_cut_into_deltas_does_not_matter(
    one: list[str], two: list[str]
) -> None:
    whole = "".join(one + two)
    bit_by_bit, at_once = Blocks(), Blocks()
    slowly = [block for char in whole for block in bit_by_bit.feed(char)]
    assert slowly == at_once.feed(whole)


def test_an_endless_block_is_cut() -> None:
    blocks = Blocks()
    assert sum(len(b) for b in blocks.feed("x" * 99 + "\n") for _ in [0]) == 0
    assert len(blocks.feed(("x" * 99 + "\n") * 200)) == 2
