"""What a session's events become on a screen, at every width, and without colours."""

from __future__ import annotations

import pytest
from crdtsync_cli.terminal.block import Day, Line, Said, Thought, ToolRow
from crdtsync_cli.terminal.drawing import Canvas, draw
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.widths import cell_len

from crdtsync.entities import Approval, Message, Option, ToolCall
from crdtsync.events import (
    ApprovalRequested,
    ApprovalResolved,
    ConnectionChanged,
    Merged,
    MessageAdded,
    ParticipantJoined,
    ToolChanged,
    TurnEnded,
    TurnStarted,
)
from tests.cli.scene import START
from tests.cli.story import Told, a_turn, plain

NARROW = [
    "14:02 bob  also the lexer, @ana: it",
    "           drops the last token of every",
    "           second line",
    "── turn 1 · agent ──",
    "14:02 bob*  and this one has to wait",
    "14:02 ana (note)  I see",
    '  thought 3.0s "hm, which file?"',
    "",
    "14:02 agent",
    "The loop keeps both replicas.",
    "",
    "And:",
    "",
    " • one",
    " • two",
    "",
    "  ✓ shell  pytest -q tes…  12.4s  exit 0",
    "  [>] Fix it",
    "── turn 1 done 29.0s ──",
]
WIDE = [
    "14:02 bob  also the lexer, @ana: it drops the last token of every second line",
    *NARROW[3:16],
    "  ✓ shell  pytest -q tests/parser  12.4s  exit 0",
    *NARROW[17:],
]


@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize(("width", "rows"), [(40, NARROW), (80, WIDE), (120, WIDE)])
def test_a_turn_is_drawn(width: int, rows: list[str], *, colors: bool) -> None:
    drawn = a_turn().drawn(width, colors=colors)
    assert plain(drawn) == rows
    assert not any(row.endswith(" ") for row in plain(drawn))
    assert any("\x1b[90m" in row for row in drawn) is colors


def test_a_name_has_its_slot_and_ones_own_is_bold() -> None:
    drawn = a_turn().drawn(80, colors=True)
    assert drawn[2].startswith("\x1b[90m14:02\x1b[0m \x1b[35mbob\x1b[0m")
    assert drawn[3].startswith("\x1b[90m14:02\x1b[0m \x1b[1;36mana\x1b[0m")
    assert drawn[0].startswith("\x1b[90m14:02\x1b[0m \x1b[7;35mbob\x1b[0m")


def test_the_blank_rows_do_not_depend_on_when_the_text_came() -> None:
    text = "# One\n\ntwo\n\n- a\n- b\n\n```\nx\n```\n\nend"
    shown = []
    for size in (1, 3, 1000):
        told = Told()
        told.tell(TurnStarted("t1", (), "agent", 1, ""))
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        told.write("w", *pieces)
        told.finish("w", text)
        shown.append(told.drawn(60))
    assert shown[0] == shown[1] == shown[2]
    assert shown[0].count("") == 5


def test_an_answer_gets_its_head_again_after_somebody_spoke() -> None:
    told = Told()
    told.tell(TurnStarted("t1", (), "agent", 1, ""))
    told.write("w", "one\n\n", "two\n\n")
    told.say("p2", "wait", "note")
    told.write("w", "three\n\n")
    rows = plain(told.drawn(60))
    assert [row for row in rows if "agent" in row or "wait" in row] == [
        "── turn 1 · agent ──",
        "14:02 agent",
        "14:02 bob (note)  wait",
        "14:02 agent",
    ]


def test_what_was_written_before_a_tool_stands_above_it() -> None:
    told = Told()
    told.tell(TurnStarted("t1", (), "agent", 1, ""))
    told.write("w", "I will look")
    told.tell(ToolChanged(ToolCall("t1/1", "w", "Read", "read", "pending")))
    told.tell(ToolChanged(ToolCall("t1/1", "w", "Read", "read", "failed")))
    told.finish("w", "I will look")
    rows = plain(told.drawn(60))
    assert rows[-3:] == ["I will look", "", "  ✗ read  Read"]


def test_a_tool_that_is_over_is_one_row_with_who_allowed_it() -> None:
    told = Told()
    told.tell(TurnStarted("t1", (), "agent", 1, ""))
    options = (Option("o1", "Yes", "allow_once"),)
    asked = Approval("q", 7, "t1", "t1/1", "rm -r build/", None, "", options, "", "")
    told.tell(ToolChanged(ToolCall("t1/1", "", "rm -r build/", "execute", "pending")))
    told.tell(ApprovalRequested(asked))
    assert told.story.asking == {"t1/1"}
    told.tell(
        ApprovalResolved(
            Approval(
                *("q", 7, "t1", "t1/1", "rm -r build/", None, "", options, "", ""),
                decision="o1",
                decided_by="p2",
            )
        )
    )
    done = ToolCall("t1/1", "", "rm -r build/ " * 9, "execute", "completed")
    (row,) = told.tell(ToolChanged(done))
    assert row == ToolRow(done, "allowed by bob")
    drawn = plain(Canvas(Ink(colors=False)).drawn([row], 60).splitlines())
    assert len(drawn) == 1
    assert drawn[0].startswith("  ✓ shell  rm -r build/ rm")
    assert drawn[0].endswith("…  allowed by bob")
    assert cell_len(drawn[0]) <= 60
    assert "!! permission 7 allowed by bob: rm -r build/" in plain(told.drawn(60))


def test_nothing_is_kept_of_a_turn_that_is_over() -> None:
    told = a_turn()
    story = told.story
    assert (story.running, story.answers.writing, story.tools) == (None, {}, {})
    assert story.by == {}
    assert (story.plan, story.asking) == ((), set())


def test_a_prompt_waits_if_a_turn_runs_or_no_agent_is_here() -> None:
    told = Told()
    told.say("p2", "at once")
    told.cast.agents = False
    told.say("p2", "when somebody comes")
    waits = [block.waits for block in told.blocks if isinstance(block, Said)]
    assert waits == [False, True]


def test_another_day_is_told_once() -> None:
    told = Told()
    told.say("p2", "today")
    message = Message("x", "note", "p2", "2026-11-21T09:00:00Z", "tomorrow")
    told.tell(MessageAdded(message, queued=False), after_s=86400)
    told.tell(MessageAdded(message, queued=False), after_s=86401)
    days = [block for block in told.blocks if isinstance(block, Day)]
    assert plain(Canvas(Ink(colors=False)).drawn(days, 60).splitlines()) == [
        "── Saturday 21 November 2026 ──"
    ]


def test_a_message_of_another_day_says_its_date() -> None:
    told = Told()
    told.say("p2", "today")
    message = Message("x", "note", "p2", "2026-11-18T09:00:00Z", "from the train")
    (said,) = told.tell(MessageAdded(message, queued=False))
    assert isinstance(said, Said)
    assert said.time == "2026-11-18 09:00"


def test_a_block_that_was_written_apart_is_told() -> None:
    told = Told()
    told.say("p1", "read long ago")
    merged = Merged(("a", "b"), ("p2",), str(START), str(START), "m0")
    assert told.tell(merged, after_s=1) == []
    (line,) = told.tell(merged, after_s=60)
    assert isinstance(line, Line)
    assert line.text.startswith("merged 2 messages from bob, written apart")
    assert line.text.endswith('; they stand before "read long ago"')


def test_a_relay_that_refuses_this_window_is_told_with_what_to_do() -> None:
    told = Told()
    refused = ConnectionChanged("relay.example", "refused", "the token has expired")
    line, hint = told.tell(refused)
    assert isinstance(line, Line)
    assert line.text == "✗ relay.example refuses this window: the token has expired"
    assert isinstance(hint, Line)
    assert "crdtsync join" in hint.text


def test_in_a_crowd_only_who_spoke_is_seen_to_come_and_go() -> None:
    told = Told()
    (line,) = told.tell(ParticipantJoined("w", 2), actor="p2")
    assert line == Line("bob joined (viewer), 2 here", ruled=True)
    assert told.tell(ParticipantJoined("w", 30), actor="p2") == []
    told.say("p2", "hello", "note")
    assert told.tell(ParticipantJoined("w", 30), actor="p2", after_s=60) != []
    assert told.tell(ParticipantJoined("w", 30), actor="p2", after_s=6000) == []


def test_a_call_by_name_is_one_whole_word_of_somebody_else() -> None:
    told = Told()
    for author, text in (
        ("p2", "look, @Ana!"),
        ("p2", "mail ana@analog.org"),
        ("p2", "@anabel"),
        ("p1", "@ana"),
    ):
        told.say(author, text, "note")
    called = [block.called for block in told.blocks if isinstance(block, Said)]
    assert called == ["@Ana", "", "", ""]


def test_an_abandoned_turn_says_so() -> None:
    told = Told()
    told.tell(TurnStarted("t1", (), "agent", 1, ""))
    ended = TurnEnded("t1", "abandoned", "main", "", "it \x1b[2Jfell over")
    told.tell(ended)
    assert plain(told.drawn(60))[-2:] == [
        "── turn 1 interrupted, outcome unknown ──",
        "✗ it [2Jfell over",
    ]


def test_nothing_that_a_terminal_obeys_gets_through() -> None:
    told = Told()
    told.say("p2", "\x1b]0;owned\x07 \u202eback", "note")
    told.tell(TurnStarted("t1", (), "\x1b[2J", 1, ""))
    told.write("w", "\x1b[3J **bold**\n\n```\x1b[1m\n\x9b2J\n```\n\n")
    told.blocks.append(Thought("\x1b[2J"))
    tool = ToolCall("t1/1", "", "\x1b[2J", "\x1b[2J", "completed")
    told.tell(ToolChanged(tool))
    for width in (20, 60):
        assert not any("\x1b" in row for row in plain(told.drawn(width)))
        assert not any("\x9b" in row or "\u202e" in row for row in told.drawn(width))


def test_signs_can_be_written_in_ascii() -> None:
    ink = Ink(colors=False, plain_signs=True)
    rows = [
        row
        for block in a_turn().blocks
        for row in ink.ansi(draw(block, ink, 80)).split("\n")
    ]
    assert all(row.isascii() for row in plain(rows))
    assert "  ok shell  pytest -q tests/parser  12.4s  exit 0" in plain(rows)


def test_a_turn_that_comes_in_late_took_as_long_as_its_runner_says() -> None:
    told = Told()
    told.tell(TurnStarted("t1", (), "demo", 1, ""))
    began, over = "2026-11-20T14:00:00Z", "2026-11-20T14:01:30Z"
    ended = TurnEnded("t1", "ended", "main", "end_turn", "", began, over)
    assert told.tell(ended) == [Line("turn 1 done 1m30s", ruled=True)]


def test_a_ruled_line_that_is_too_long_keeps_its_margin() -> None:
    drawn = Canvas(Ink(colors=False)).drawn([Line("stopped: no lease", ruled=True)], 23)
    assert drawn == "── stopped: no lease ──\n"
    drawn = Canvas(Ink(colors=False)).drawn(
        [Line("the lease was lost", ruled=True)], 22
    )
    assert drawn == "── the lease was lost\n"
    drawn = Canvas(Ink(colors=False)).drawn([Line("lost " * 5, ruled=True)], 23)
    assert drawn == "── lost lost lost lost\n   lost\n"


def test_where_no_room_is_a_tool_says_what_it_did_and_not_by_whom() -> None:
    told = Told()
    told.story.by["t1/1"] = "allowed by bob"
    tool = ToolCall(
        "t1/1",
        "",
        "Write NOTES.md",
        "edit",
        "completed",
        started_at="2026-11-20T14:00:00Z",
        ended_at="2026-11-20T14:00:14Z",
    )
    told.tell(ToolChanged(tool))
    assert told.drawn(60) == ["  ✓ edit  Write NOTES.md  14.0s  allowed by bob"]
    assert told.drawn(39) == ["  ✓ edit  Write NOTES.md  14.0s"]
