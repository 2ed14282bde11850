from __future__ import annotations

import re
from pathlib import Path

from crdtsync.sync.closing import WORDS, CloseCode, NackCode, is_final, words
from crdtsync.sync.conduct import FEATURES
from crdtsync.sync.wire import LAYER_2

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocol.md").read_text()
TESTS = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))

FORMS = {
    "number": "varUint",
    "flag": "varUint",
    "text": "varString",
    "bytes": "varBytes",
    "json": "json",
    "hello": "json",
}


def test_the_page_lists_exactly_the_messages_of_layer_2() -> None:
    rows = re.findall(r"^\| (\d+) ([A-Z]+) \|", PAGE, re.MULTILINE)
    code = [(str(n), kind.__name__.upper()) for n, (kind, _) in LAYER_2.items()]
    assert rows == code


def test_the_page_gives_each_message_the_fields_that_are_written() -> None:
    pattern = r"^    ([A-Z]+)\(.*\) +:= varUint\((\d+)\) • varBytes\((.+)\)$"
    found = {
        int(number): tuple(re.findall(r"(varUint|varBytes|varString|json)\(", body))
        for _, number, body in re.findall(pattern, PAGE, re.MULTILINE)
    }
    written = {
        number: tuple(FORMS[form] for form in layout)
        for number, (_, layout) in LAYER_2.items()
    }
    assert found == written


def test_the_page_lists_exactly_the_close_codes() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| .+ \| (yes|no) \|$", PAGE, re.MULTILINE)
    listed = {
        int(code): again == "no" for codes, again in rows for code in codes.split(",")
    }
    assert listed == {code.value: is_final(code) for code in CloseCode}


def test_every_close_code_has_words() -> None:
    assert set(WORDS) == set(CloseCode)
    assert words(4401) == "the token is missing, wrong, expired or revoked"
    assert words(4999) == "the connection was closed with code 4999"


def test_the_page_names_the_refusals_and_features() -> None:
    for name in [*NackCode, *FEATURES]:
        assert f"`{name}`" in PAGE


def test_every_rule_of_the_page_is_named_by_a_test() -> None:
    rules = re.findall(r"\*\*(W-\d+)\*\*", PAGE)
    assert sorted(rules, key=lambda rule: int(rule[2:])) == [
        f"W-{n}" for n in [*range(1, 13), *range(20, 29)]
    ]
    assert [rule for rule in rules if not re.search(rf"\b{rule}\b", TESTS)] == []
