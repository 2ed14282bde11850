"""Pastes: cleaned, folded in the line, whole when sent."""

from __future__ import annotations

from crdtsync_cli.terminal.pasting import KEPT_CHARS_MAX, KEPT_MAX, Pastes
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.sanitize import clean_text


def test_a_short_paste_is_inserted_as_it_is() -> None:
    assert Pastes().take("one\ntwo 漢字\n") == "one\ntwo 漢字\n"


def test_line_ends_of_other_systems_become_newlines() -> None:
    assert Pastes().take("one\r\ntwo\rthree") == "one\ntwo\nthree"


def test_controls_do_not_get_in() -> None:
    assert Pastes().take("a\x1b[31mb\x07\x00c\u202e") == "a[31mbc"


def test_a_long_paste_is_folded_and_sent_whole() -> None:
    pastes = Pastes()
    text = "".join(f"line {n}\n" for n in range(42))
    mark = pastes.take(text)
    assert mark == "[paste #1 +42 lines]"
    assert pastes.unfold(f"see {mark} please") == f"see {text} please"


def test_a_long_line_is_folded_too() -> None:
    pastes = Pastes()
    assert pastes.take("x" * 1000) == "x" * 1000
    assert pastes.take("x" * 1001) == "[paste #1 +1001 chars]"
    assert pastes.take("\n" * 14) == "\n" * 14
    assert pastes.take("\n".join("y" * 16)) == "[paste #2 +16 lines]"


def test_a_mark_that_somebody_typed_stays_what_it_is() -> None:
    assert Pastes().unfold("[paste #1 +42 lines]") == "[paste #1 +42 lines]"


def test_only_so_many_are_kept() -> None:
    pastes = Pastes()
    marks = [pastes.take("\n" * 20) for _ in range(KEPT_MAX + 1)]
    assert pastes.unfold(marks[0]) == marks[0]
    assert pastes.unfold(marks[1]) == "\n" * 20


def test_huge_pastes_do_not_pile_up() -> None:
    pastes = Pastes()
    huge = "x" * (KEPT_CHARS_MAX - 10)
    first, second = pastes.take(huge), pastes.take("\n" * 20)
    assert pastes.unfold(first) == first
    assert pastes.unfold(second) == "\n" * 20


def test_a_mark_at_the_end_is_known_as_one() -> None:
    pastes = Pastes()
    mark = pastes.take("\n" * 20)
    assert pastes.mark_before(f"see {mark}") == mark
    assert pastes.mark_before(f"see {mark} ") == ""
    assert pastes.mark_before("see [paste #9 +1 lines]") == ""


@given(st.lists(st.text(max_size=40).map(lambda text: text * 60), max_size=5))
def test_what_is_sent_is_what_was_pasted(pasted: list[str]) -> None:
    pastes = Pastes()
    line = "".join(pastes.take(text) for text in pasted)
    assert pastes.unfold(line) == "".join(map(clean_text, pasted))
