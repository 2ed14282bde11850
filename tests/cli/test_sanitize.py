"""Text from outside, made safe."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.sanitize import clean_line, clean_text, escape_json

ANYTHING = st.text(st.characters(), max_size=60)


def test_escape_sequences_lose_their_escape() -> None:
    assert clean_text("\x1b[31mred\x1b]0;title\x07") == "[31mred]0;title"


def test_bidi_overrides_are_removed() -> None:
    assert clean_text("rm \u202egpj.exe\u202c \u2066x\u2069") == "rm gpj.exe x"


def test_newlines_and_tabs_stay_in_a_text() -> None:
    assert clean_text("a\r\nb\rc\td\u2028e") == "a\nb\nc\td\ne"


def test_a_line_has_no_breaks() -> None:
    assert clean_line("  a\n\n\tb\r\nc ") == "a b c"


def test_eight_bit_controls_and_delete_are_removed() -> None:
    assert clean_text("a\x7fb\x9b2Jc\x00d\x85e") == "ab2Jcde"


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert clean_text("a\ud800b\udfff") == "a\ufffdb\ufffd"


def test_ordinary_text_of_all_scripts_is_untouched() -> None:
    text = "Zürich 東京 עברית عربى 👩‍💻 é"
    assert clean_text(text) == text
    assert clean_line(text) == text


@given(ANYTHING)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    cleaned = clean_text(text)
    for char in cleaned:
        assert char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"}
        assert not 0x202A <= ord(char) <= 0x202E
        assert not 0x2066 <= ord(char) <= 0x2069
    cleaned.encode()


@given(ANYTHING)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
    assert clean_line(clean_line(text)) == clean_line(text)


@given(ANYTHING)
def test_json_keeps_every_character_and_shows_no_control(text: str) -> None:
    encoded = escape_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(encoded) == text
    assert clean_text(encoded) == encoded
    encoded.encode()
