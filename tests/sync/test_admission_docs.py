from __future__ import annotations

import re
from pathlib import Path

from crdtsync.sync.admission import INLINE_BYTES_MAX, RULES
from crdtsync.sync.admission.rules import (
    PARKED_BYTES_MAX,
    PARKED_TRIES_MAX,
    PARKED_UPDATES_MAX,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-it-works/admission.md").read_text()
SOURCE = "".join(
    path.read_text()
    for path in sorted((ROOT / "crdtsync/sync").rglob("*.py"))
    if path.name != "rules.py"
)


def test_the_page_lists_exactly_the_rules_in_their_words() -> None:
    rows = re.findall(r"^\| (T\d-\d+) \| (.+?) \| .+ \|$", PAGE, re.MULTILINE)
    assert rows == list(RULES.items())


def test_every_rule_is_used_and_no_other() -> None:
    assert set(re.findall(r'"(T\d-\d+)"', SOURCE)) == set(RULES)


def test_every_rule_is_broken_by_a_test() -> None:
    tests = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
    assert set(re.findall(r'"(T\d-\d+)"', tests)) >= set(RULES)


def test_the_page_names_the_limits() -> None:
    assert INLINE_BYTES_MAX == 256 << 10
    assert "above 256 KiB" in PAGE
    assert (PARKED_BYTES_MAX, PARKED_UPDATES_MAX, PARKED_TRIES_MAX) == (
        4 << 20,
        1024,
        8,
    )
    assert "at most 4 MiB\nand 1,024 updates" in PAGE
    assert "at most eight times" in PAGE
