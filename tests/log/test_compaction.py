"""Folding updates into a snapshot: here and in a child, beside other windows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from pycrdt import Doc, Map, Text

from crdtsync.clock import SimulatedClock, SystemClock
from crdtsync.log import Stored
from crdtsync.log.apart import (
    FOLD_HERE_ROWS_MAX,
    FoldFailed,
    decodes,
    first_undecodable,
    fold_apart,
)
from crdtsync.log.compaction import LogSize, fold, should_compact
from crdtsync.log.sqlite import open_sqlite_log
from tests.log.documents import text_of, typed


def test_it_is_done_by_count_by_bytes_and_when_idle() -> None:
    assert not should_compact(LogSize(rows=1_999, bytes=100_000), idle=False)
    assert should_compact(LogSize(rows=2_000, bytes=100_000), idle=False)
    assert should_compact(LogSize(rows=3, bytes=8 * 1024 * 1024), idle=False)
    assert not should_compact(LogSize(rows=199, bytes=100_000), idle=True)
    assert should_compact(LogSize(rows=200, bytes=100_000), idle=True)


def test_a_big_document_is_folded_in_a_child_to_the_same_result() -> None:
    updates = typed(*(f"{index} " for index in range(FOLD_HERE_ROWS_MAX + 1)))
    apart = fold_apart(Stored(b"", 0, updates, len(updates), "arb"))
    assert apart == fold(b"", updates)
    assert apart is not None
    assert apart.kept == ()


def test_only_what_waits_is_kept() -> None:
    one, two, three = typed("one ", "two ", "three")
    folded = fold(b"", [three, one])
    assert folded is not None
    assert folded.kept == (0,)
    assert fold(folded.snapshot, [three]) is None
    again = fold(folded.snapshot, [three, two])
    assert again is not None
    assert again.kept == ()
    stored = Stored(again.snapshot, 3, [], 3, "arb")
    assert text_of(stored) == "one two three"


def test_maps_deletions_and_many_clients_survive() -> None:
    origin: Doc[Any] = Doc()
    updates: list[bytes] = []
    for client_id in range(1, 40):
        document: Doc[Any] = Doc(client_id=client_id)
        document.apply_update(origin.get_update())
        document.observe(lambda event: updates.append(event.update))
        text = document.get("text", type=Text)
        text += f"window {client_id} "
        del text[0:2]
        keys = document.get("map", type=Map)
        keys["latest"] = client_id
        origin.apply_update(document.get_update())
    folded = fold(b"", updates)
    assert folded is not None
    assert folded.kept == ()
    loaded: Doc[Any] = Doc()
    loaded.apply_update(folded.snapshot)
    assert str(loaded.get("text", type=Text)) == str(origin.get("text", type=Text))
    assert loaded.get("map", type=Map).to_py() == {"latest": 39}


def test_updates_that_are_none_fail_and_change_nothing() -> None:
    with pytest.raises(FoldFailed):
        fold_apart(Stored(b"", 0, [b"not an update"], 1, "arb"))


def test_a_bad_update_among_good_ones_is_found_in_a_child() -> None:
    updates = typed("one ", "two ", "three")
    assert decodes(b"", updates) == ""
    assert first_undecodable(b"", updates) is None
    broken = [*updates[:2], b"\xff\xff", *updates[2:]]
    assert decodes(b"", broken)
    assert first_undecodable(b"", broken) == 2


def test_a_child_that_takes_too_long_is_ended() -> None:
    assert "0.01 s" in decodes(b"", typed("one"), deadline_s=0.01)


async def test_windows_that_write_meanwhile_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    words = [f"{index} " for index in range(400)]
    updates = typed(*words)
    async with (
        open_sqlite_log(path, clock=SystemClock()) as one,
        open_sqlite_log(path, clock=SystemClock()) as two,
        anyio.create_task_group() as tasks,
    ):
        await one.create("doc")
        await one.append("doc", updates[:100], origin="one", after=0)

        async def compact() -> None:
            for _ in range(8):
                await one.compact("doc")

        tasks.start_soon(compact)
        head = 100
        for update in updates[100:]:
            answer = await two.append("doc", [update], origin="two", after=head)
            assert answer.first == head + 1
            head = answer.last
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        stored = await log.load("doc")
        assert stored.snapshot_seq >= 100
        assert text_of(stored) == "".join(words)


async def test_two_windows_that_compact_at_once_make_one_snapshot(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    done: list[bool] = []
    async with (
        open_sqlite_log(path, clock=SystemClock()) as one,
        open_sqlite_log(path, clock=SystemClock()) as two,
    ):
        await one.create("doc")
        await one.append("doc", typed("one ", "two"), origin="one", after=0)

        async def compact(index: int) -> None:
            done.append(await (one, two)[index].compact("doc"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compact, 0)
            tasks.start_soon(compact, 1)
        assert sorted(done) == [False, True]
        assert text_of(await two.load("doc")) == "one two"


async def test_the_former_snapshot_is_kept_for_seven_days(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    clock = SimulatedClock()
    updates = typed("a", "b", "c", "d")

    def snapshots() -> list[int]:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute(
                "SELECT upto_seq FROM snapshots ORDER BY upto_seq"
            )
            return [row[0] for row in found]

    async with open_sqlite_log(path, clock=clock) as log:
        await log.create("doc")
        for index, update in enumerate(updates[:3]):
            await log.append("doc", [update], origin="w", after=index)
            await log.compact("doc")
        assert snapshots() == [2, 3]
        clock.advance(8 * 24 * 3600)
        await log.append("doc", updates[3:], origin="w", after=3)
        await log.compact("doc")
        assert snapshots() == [4]
        assert text_of(await log.load("doc")) == "abcd"


async def test_a_log_that_cannot_be_folded_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("doc")
        await log.append("doc", [b"no update"], origin="w", after=0)
        assert await log.compact("doc") is False
        assert list((await log.load("doc")).updates) == [b"no update"]
    assert "was not compacted" in caplog.text
