"""The log is folded while windows are open, and nobody notices."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import anyio
import pytest

from crdtsync.log import Stored, sqlite
from crdtsync.log.apart import FoldFailed, fold_apart
from crdtsync.log.compaction import COMPACT_ROWS_MIN, Folded
from crdtsync.log.sqlite import SqliteLog
from crdtsync.session import Session, folding
from crdtsync.session.opening import open_session

pytestmark = pytest.mark.anyio

ROWS = COMPACT_ROWS_MIN + 100


async def test_a_long_log_is_folded_while_two_windows_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "CHECK_S", 0.05)
    async with (
        open_session("long", data=tmp_path, name="ana") as ana,
        open_session("long", data=tmp_path, name="bob") as bob,
    ):
        await _write(ana)
        await _until_folded(ana)
        with anyio.fail_after(40):
            await bob.wait_for(lambda view: view.meta.title == f"title {ROWS - 1}")
            sent = await bob.send("after it", note=True)
            await ana.wait_for(lambda view: view.message(sent.id) is not None)
        async with open_session("long", data=tmp_path, name="eve") as late:
            assert late.view.text(sent.id) == "after it"
            assert late.view.meta.title == f"title {ROWS - 1}"


async def test_a_fold_that_fails_loses_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    def fails_once(stored: Stored) -> Folded | None:
        nonlocal failures
        if not failures:
            failures += 1
            raise FoldFailed("the child was killed")
        return fold_apart(stored)

    monkeypatch.setattr(folding, "CHECK_S", 0.05)
    monkeypatch.setattr(folding, "REST_RATIO", 0.0)
    monkeypatch.setattr(sqlite, "fold_apart", fails_once)
    async with open_session("long", data=tmp_path, name="ana") as ana:
        await _write(ana)
        await _until_folded(ana)
        assert failures == 1
    async with open_session("long", data=tmp_path, name="ana") as again:
        assert again.view.meta.title == f"title {ROWS - 1}"


async def _write(session: Session) -> None:
    for number in range(ROWS):
        with session.replica.edit() as (edit, _):
            edit.set_meta({"title": f"title {number}"})
    await session.flush()


async def _until_folded(session: Session) -> None:
    log = cast("SqliteLog", session.log)
    with anyio.fail_after(40):
        while (await log.size(session.id)).rows >= COMPACT_ROWS_MIN:  # noqa: ASYNC110
            await anyio.sleep(0.05)
