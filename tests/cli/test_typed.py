"""Lines that were typed before, in a file of the data folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from crdtsync_cli.terminal.typed import FILE, LINES_MAX, TypedLines, is_secret


def typed(data: Path) -> TypedLines:
    return TypedLines(data, lambda line: line)


def loaded(data: Path) -> list[str]:
    return list(typed(data).load_history_strings())


def test_lines_come_back_the_last_first(tmp_path: Path) -> None:
    history = typed(tmp_path)
    for line in ("one", "two\nlines", "zwei — ü 😀"):
        history.append_string(line)
    assert loaded(tmp_path) == ["zwei — ü 😀", "two\nlines", "one"]


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    typed(tmp_path).append_string("one")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_the_same_line_twice_is_remembered_once(tmp_path: Path) -> None:
    history = typed(tmp_path)
    history.append_string("again")
    history.append_string("again")
    assert loaded(tmp_path) == ["again"]


@pytest.mark.parametrize(
    "line",
    [
        "/join https://relay.example/s/abc#cs1_0123456789abcdef",
        "/JOIN some-code",
        "look: crdtsync://10.0.0.1:8787/s/abc#fp=1&t=2",
        "https://relay.example/s/abc#secret",
        "my key is ghp_0123456789abcdefghij0123456789abcdef",
        "export API_KEY=hunter2hunter2",
        " a line that begins with a space",
    ],
)
def test_secrets_are_not_remembered(tmp_path: Path, line: str) -> None:
    assert is_secret(line)
    typed(tmp_path).append_string(line)
    assert loaded(tmp_path) == []


def test_an_ordinary_line_is_no_secret() -> None:
    for line in ("/joined up", "see https://example.com/s/abc", "fix the tokenizer"):
        assert not is_secret(line)


def test_folded_pastes_are_remembered_whole_unless_they_are_huge(
    tmp_path: Path,
) -> None:
    history = TypedLines(tmp_path, lambda line: line.replace("[paste]", "pasted\n" * 3))
    history.append_string("see [paste]")
    TypedLines(tmp_path, lambda line: line * 5000).append_string("too long")
    assert loaded(tmp_path) == ["see pasted\npasted\npasted\n"]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    history = typed(tmp_path)
    for number in range(2 * LINES_MAX + 1):
        history.store_string(f"line {number}")
    found = loaded(tmp_path)
    assert len(found) == LINES_MAX
    assert found[0] == f"line {2 * LINES_MAX}"
    assert len((tmp_path / FILE).read_text().splitlines()) == LINES_MAX
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_damaged_file_costs_only_the_damaged_lines(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'"good"\n{broken\n\xff\xfe\n12\n"too"\n')
    assert loaded(tmp_path) == ["too", "good"]


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    nowhere = typed(tmp_path / "missing")
    nowhere.append_string("one")
    assert nowhere.get_strings() == ["one"]
