"""Names and ids: who and what may be called how, and that ids never collide."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdtsync.errors import DataError, LogUnwritable, UsageError
from crdtsync.identity import (
    check_person_name,
    check_session_name,
    load_identity,
    new_id,
    new_window,
    owner_of,
    runner_id,
)
from crdtsync.palette import SLOTS, free_slot

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_ids_are_version_7_and_carry_their_time() -> None:
    late = datetime(2300, 1, 1, tzinfo=UTC)
    made = uuid.UUID(new_id(late))

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(late.timestamp() * 1000)


def test_ids_ascend_even_if_the_clock_goes_back() -> None:
    later = datetime(2301, 1, 1, tzinfo=UTC)
    ids = [new_id(later) for _ in range(10_000)]
    ids += [new_id(later - timedelta(hours=1)) for _ in range(10_000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 20_000


@pytest.mark.parametrize("name", ["fix-parser", "a", "A_1", "x" * 64])
def test_these_name_a_session(name: str) -> None:
    assert check_session_name(name) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("fix parser", "such as fix-parser."),
        ("../etc/passwd", "such as etc-passwd."),
        ("Größe", "such as groe."),
        ("-x", "such as x."),
        ("", "such as fix-parser."),
        ("x" * 65, "such as " + "x" * 32 + "."),
        ("a\x1b[31m", "such as a-31m."),
    ],
)
def test_these_do_not_and_the_hint_offers_another(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_session_name(name)

    assert caught.value.hint.endswith(near)
    assert "\x1b" not in str(caught.value)


def test_a_persons_name_is_trimmed() -> None:
    assert check_person_name("  José Ñ ") == "José Ñ"


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 65, "a\x1b[31m", "a\nb", "\u202eevil", "\ud800"]
)
def test_these_name_no_person(name: str) -> None:
    with pytest.raises(UsageError):
        check_person_name(name)


def test_a_runner_id_tells_its_owner_even_with_underscores() -> None:
    assert owner_of(runner_id("ana_b_c-1f", new_window())) == "ana_b_c-1f"


@pytest.mark.parametrize("other", ["ana", "ana_b", "a_0123456789aG", ""])
def test_another_id_names_no_owner(other: str) -> None:
    assert owner_of(other) == ""


def test_one_name_is_one_participant_in_a_folder_and_another_elsewhere(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    first, again = load_identity(one), load_identity(one)

    assert first.participant("Ana Ø", "person") == again.participant("Ana Ø", "person")
    assert re.fullmatch(r"ana-[0-9a-f]{8}", first.participant("Ana Ø", "person"))
    assert first.participant("ana", "person") != first.participant("ana", "agent")
    assert re.fullmatch(r"person-[0-9a-f]{8}", first.participant("乙", "person"))
    assert first.participant("ana", "person") != load_identity(other).participant(
        "ana", "person"
    )


def test_a_copied_folder_keeps_its_people_but_is_another_machine(
    tmp_path: Path,
) -> None:
    (tmp_path / "one").mkdir()
    first = load_identity(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    copied = load_identity(tmp_path / "copy")

    assert copied.participant("ana", "person") == first.participant("ana", "person")
    assert copied.machine != first.machine


def test_many_that_come_at_once_get_one_identity(tmp_path: Path) -> None:
    found: list[str] = []
    gate = threading.Barrier(8)

    def load() -> None:
        gate.wait()
        found.append(load_identity(tmp_path).participant("ana", "person"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["identity.json"]
    assert (tmp_path / "identity.json").stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    first = load_identity(tmp_path).participant("ana", "person")

    assert load_identity(tmp_path).participant("ana", "person") == first
    assert [p.name for p in tmp_path.iterdir()] == ["identity.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3"])
def test_a_damaged_identity_is_said_to_be(tmp_path: Path, content: str) -> None:
    (tmp_path / "identity.json").write_text(content)

    with pytest.raises(DataError, match="is damaged"):
        load_identity(tmp_path)


def test_an_identity_that_is_no_text_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_bytes(b"\xff\xfe")

    with pytest.raises(DataError, match="cannot be read"):
        load_identity(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(LogUnwritable, match="gone cannot be written"):
        load_identity(Path("/proc/gone"))


def test_the_identity_says_nothing_about_the_person(tmp_path: Path) -> None:
    load_identity(tmp_path)

    assert set(json.loads((tmp_path / "identity.json").read_text())) == {"key"}


def test_participants_get_different_colours_while_there_are_some() -> None:
    taken: list[int] = []
    for number in range(SLOTS):
        taken.append(free_slot(f"p{number}", taken))

    assert sorted(taken) == list(range(SLOTS))
    assert free_slot("p99", taken) == free_slot("p99", [])
