"""An answer that streams in is cut where nothing that follows can change it."""

from __future__ import annotations

import re
from itertools import cycle

from crdtsync_cli.terminal.block import Answer, Code
from crdtsync_cli.terminal.drawing import Canvas
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.pieces import pieces_of
from crdtsync_cli.terminal.stream import (
    BLOCK_CHARS_MAX,
    FENCE_LINES_LIVE,
    Stream,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from .story import plain


def fed(text: str) -> tuple[list[Answer | Code], str]:
    """What is finished if the text comes character by character, and what is left."""
    stream, found = Stream(), []
    for char in text:
        stream.feed(char)
        found += stream.take()
    return found, stream.tail


def test_a_paragraph_is_finished_by_a_blank_line() -> None:
    assert fed("one\ntwo\n") == ([], "one\ntwo\n")
    assert fed("one\ntwo\n\nthr") == ([Answer("one\ntwo\n\n")], "thr")


def test_a_heading_is_finished_by_its_line() -> None:
    assert fed("# one\ntwo") == ([Answer("# one\n")], "two")


def test_an_item_is_finished_by_what_follows_it() -> None:
    one = Answer("- one\n", goes_on=True)
    assert fed("- one\n- two\n\n") == ([one], "- two\n\n")
    assert fed("1. one\n\n2")[0] == []
    assert fed("- one\n  - in it\n\n  also\n")[0] == []
    assert fed("- one\n\ntwo\n\n")[0] == [Answer("- one\n\n"), Answer("two\n\n")]


def test_a_list_goes_on_with_its_numbers() -> None:
    found, tail = fed("7. a\n7. b\n\n7. c\nend\n\n- other\n- list\n")
    assert found == [
        Answer("7. a\n", goes_on=True),
        Answer("7. b\n\n", 8, goes_on=True),
        Answer("7. c\nend\n\n", 9),
        Answer("- other\n", goes_on=True),
    ]
    assert tail == "- list\n"


def test_a_table_stays_whole() -> None:
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 30
    assert fed(table) == ([], table)
    assert fed(f"{table}\n")[0] == [Answer(f"{table}\n")]


def test_a_short_fence_is_finished_by_its_end() -> None:
    fence = "```python\nx = 1\n```\n"
    assert fed(fence[:-4])[0] == []
    assert fed(fence) == ([Answer(fence)], "")


def test_a_blank_line_does_not_end_a_fence() -> None:
    assert fed("```\none\n\ntwo\n")[0] == []


def test_a_long_fence_comes_line_by_line() -> None:
    lines = [f"x{number}" for number in range(40)]
    found, tail = fed("```python\n" + "\n".join(lines) + "\n")
    assert all(isinstance(block, Code) for block in found)
    assert [b.first for b in found if isinstance(b, Code)][:2] == [True, False]
    assert {b.language for b in found if isinstance(b, Code)} == {"python"}
    shown = "\n".join(block.text for block in found).split("\n")
    assert shown == lines[:-FENCE_LINES_LIVE]
    assert tail.split() == lines[-FENCE_LINES_LIVE:]


def test_text_goes_on_after_a_long_fence() -> None:
    fence = "```\n" + "x\n" * 40 + "```\n"
    found, tail = fed(f"{fence}after\n\n# more")
    assert found[-1] == Answer("after\n\n")
    assert "".join(b.text for b in found if isinstance(b, Code)).count("x") == 40
    assert tail == "# more"


def test_a_paragraph_without_end_is_cut_between_words() -> None:
    found, tail = fed("word " * (BLOCK_CHARS_MAX // 5 + 10))
    assert len(found) == 1
    assert found[0].text.endswith("word ")
    assert "".join(block.text for block in found) + tail == "word " * 1648


def test_the_end_hands_out_the_rest_and_nothing_twice() -> None:
    stream = Stream()
    stream.feed("one\n\ntw")
    assert stream.take() == [Answer("one\n\n")]
    assert stream.finish("one\n\ntwo") == [Answer("two\n")]
    assert stream.finish("one\n\ntwo") == []


def test_an_open_fence_ends_with_the_message() -> None:
    stream = Stream()
    stream.feed("```\n" + "x\n" * 40)
    shown = stream.take()
    shown += stream.finish("```\n" + "x\n" * 40 + "y")
    assert all(isinstance(block, Code) for block in shown)
    assert "\n".join(block.text for block in shown).split("\n") == ["x"] * 40 + ["y"]


_PIECES = st.lists(
    st.sampled_from(
        [
            *("word ", "\n", "\n\n", "```\n", "```py\n", "- item\n", "# head\n"),
            *("| a |\n", "|---|\n", "> quote\n", "x = 1\n" * 20, "1. one\n"),
            *("    code\n", "~~~\n"),
        ]
    ),
    max_size=40,
)


@given(_PIECES, st.integers(1, 9))
def test_nothing_is_lost_whatever_comes(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    stream, found = Stream(), []
    for start in range(0, len(text), size):
        stream.feed(text[start : start + size])
        found += stream.take()
    found += stream.finish(text)
    assert _words("".join(f"{block.text}\n" for block in found)) == _words(text)


_LINES = st.sampled_from(
    [
        *("word\n", "  word\n", "    word\n", "\n", "\n", "> quote\n", "---\n"),
        *("- item\n", "- \n", "  - below\n", "* other\n", "- [x] **bold** done\n"),
        *("1. one\n", "1. one\n", "9) nine\n", "   2. below\n", "     more\n"),
        *("# head\n", "===\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n"),
        *("- | a | b |\n", "  |---|---|\n", "  | 1 | 2 |\n", "- ```\n"),
        *("[r]: http://x\n", "see [r]\n", "<b>\n", "  \n", "a\rb\n", "end"),
        *("```py\n", "```\n", "~~~\n", "x = 1\n", "'''\n", "y\n" * 14, "a " * 5000),
    ]
)
_CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=20)


def rows(text: str, cuts: list[int]) -> str:
    """What is printed of an answer that comes in pieces of these lengths."""
    stream, canvas = Stream(), Canvas(Ink(colors=True))
    blocks: list[Answer | Code] = []
    begin, sizes = 0, cycle(cuts)
    while begin < len(text):
        end = begin + next(sizes)
        stream.feed(text[begin:end])
        blocks += stream.take()
        begin = end
    return canvas.drawn([*blocks, *stream.finish(text)], 40)


@given(st.lists(_LINES, max_size=40), _CUTS)
@example(["| a | b |\n", "|---|---|\n", "a " * 5000, "\n", "| 1 | 2 |\n"], [60])
@settings(max_examples=300)
def test_the_pieces_in_which_it_comes_are_not_to_be_seen(
    lines: list[str], cuts: list[int]
) -> None:
    text = "".join(lines)
    shown, whole = rows(text, cuts), rows(text, [len(text)])
    if "```" in text or "~~~" in text:
        # The colours of a long code fence are those of its pieces.
        assert plain(shown.splitlines()) == plain(whole.splitlines())
    else:
        assert shown == whole


_ITEMS = st.sampled_from(
    [
        *("1. one\n", "1. **two** words\n", "1.\n", "1. a\n\n   para\n", "\n"),
        *("   - below\n", "   1. below\n      more\n", "1. " + "long " * 20 + "\n"),
        *("1. ```py\n   x = 1\n\n   y\n   ```\n", "   | a |\n   |---|\n   | 1 |\n"),
    ]
)


@given(st.lists(_ITEMS, max_size=30), st.sampled_from(["1.", "-", "98)"]), _CUTS)
def test_a_list_looks_as_if_it_had_come_whole(
    items: list[str], marker: str, cuts: list[int]
) -> None:
    text = "1. first\n" + "".join(items)
    if marker == "-":
        text = re.sub(r"(?m)^1\.( ?)", r"-\1\1", text)
    elif marker == "98)":
        below = re.sub(r"(?m)^   ", "    ", "".join(items))
        text = "98) first\n" + re.sub(r"(?m)^1\.", "1)", below)
    # What follows a blank item is no part of it.
    assume(sum(not piece.goes_on for piece in pieces_of(text)) == 1)
    ink = Ink(colors=True)
    assert rows(text, cuts) == ink.ansi(ink.markdown(text, 40))


def test_a_line_without_end_in_a_fence_is_code() -> None:
    text = "```py\n" + "x " * 6000 + "\ny\n```\n"
    assert plain(rows(text, [50]).splitlines()) == plain(
        rows(text, [20000]).splitlines()
    )


def _words(text: str) -> list[str]:
    """The words but for the fences, which code that is shown does not have."""
    return [word for word in text.split() if not word.startswith(("```", "~~~"))]
