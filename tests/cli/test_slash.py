"""What a typed line means."""

from __future__ import annotations

import pytest
from crdtsync_cli.slash import REGISTRY, Command, Say, help_lines, read_line, whole
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.errors import UsageError


def test_an_ordinary_line_is_a_message() -> None:
    assert read_line("let's fix the parser") == Say("let's fix the parser")


def test_an_empty_line_is_nothing() -> None:
    assert read_line("") is None
    assert read_line(" \t ") is None


def test_two_slashes_say_one() -> None:
    assert read_line("//usr/bin is a folder") == Say("/usr/bin is a folder")


def test_a_command_has_words_and_a_rest() -> None:
    found = read_line("/deny 7 not on a Friday")
    assert isinstance(found, Command)
    assert found.slash.name == "deny"
    assert found.words == ["7", "not", "on", "a", "Friday"]
    assert found.rest == "7 not on a Friday"


def test_an_alias_means_its_command() -> None:
    found = read_line("/quit")
    assert isinstance(found, Command)
    assert found.slash.name == "leave"


def test_an_unknown_command_names_the_nearest_and_sends_nothing() -> None:
    with pytest.raises(UsageError) as caught:
        read_line("/alow 7")
    assert str(caught.value) == "there is no command /alow; nothing was sent"
    assert caught.value.hint.startswith("Did you mean /allow?")


def test_a_command_without_its_argument_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match="/allow needs N"):
        read_line("/allow")


def test_help_lists_every_command() -> None:
    text = "\n".join(help_lines())
    for slash in REGISTRY:
        assert f"/{slash.name}" in text
        assert slash.help in text


def test_help_of_one_command_names_its_aliases() -> None:
    assert help_lines("/leave") == [
        "/leave",
        "  Leave the session; it stays. Also /quit, /exit, /q.",
    ]


@pytest.mark.parametrize("word", ["0", "-1", "x", "", "1.5", "²"])
def test_only_counting_numbers_count(word: str) -> None:
    with pytest.raises(UsageError):
        whole(word, "position")


@given(st.text(max_size=40))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        found = read_line(line)
    except UsageError:
        assert line.startswith("/")
        return
    assert found is None or isinstance(found, Say | Command)
