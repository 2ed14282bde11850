from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import psutil
import pytest
from pycrdt import Array, Doc, Map, Text

from crdtsync.errors import OperationFailed, UpdateRefused
from crdtsync.schema import ROOTS
from crdtsync.sync.admission import Roots, scan
from crdtsync.sync.worker import try_apply
from tests.sync.corpus import AnyDoc
from tests.sync.encoder import (
    TRUE,
    nested_arrays,
    section,
    string,
    struct,
    update,
    values,
)

PLAIN: Roots = {"a": "array", "m": "map", "t": "text"}

DEEP = update(section(1, 0, struct(8, values(nested_arrays(16_000)), parent="a")))
HANG = update(section(1, 0, struct(4, string("😀"), parent="a")))


def deep_types(depth: int) -> bytes:
    maps = [struct(7, b"\x01", parent=(1, at), key="a") for at in range(depth - 1)]
    return update(section(1, 0, struct(7, b"\x01", parent="m", key="a"), *maps))


async def test_a_large_honest_update_survives() -> None:
    doc: AnyDoc = Doc()
    doc.get("messages", type=Array).append({"id": "1", "text": "é" * 300_000})
    state = doc.get_update()
    doc.get("texts", type=Map)["1"] = Text("😀" * 100_000)
    await try_apply(state, doc.get_update(), roots=ROOTS)


async def test_rules_of_the_first_tier_hold_there_too() -> None:
    with pytest.raises(UpdateRefused) as refused:
        await try_apply(b"", DEEP, roots=PLAIN)
    assert refused.value.rule == "T1-8"
    embed = update(section(1, 0, struct(5, string("{}"), parent="t")))
    with pytest.raises(UpdateRefused) as refused:
        await try_apply(b"", embed, roots=PLAIN)
    assert refused.value.rule == "T1-10"
    await try_apply(b"", embed, roots=PLAIN, session=False)


async def test_an_update_that_hangs_its_reader_is_refused_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(UpdateRefused) as refused:
        await try_apply(b"", HANG, 0.5, roots=PLAIN)
    assert refused.value.rule == "T3-1"
    assert time.monotonic() - started < 10


async def test_an_update_that_crashes_its_reader_is_refused() -> None:
    with pytest.raises(UpdateRefused) as refused:
        await try_apply(b"", deep_types(60_000), 20, roots=PLAIN)
    assert refused.value.rule == "T3-2"


async def test_an_update_that_cannot_be_applied_is_refused() -> None:
    into_a_value = update(
        section(
            1,
            0,
            struct(8, values(TRUE), parent="a"),
            struct(8, values(TRUE), parent=(1, 0)),
        )
    )
    scan(into_a_value)
    with pytest.raises(UpdateRefused) as refused:
        await try_apply(b"", into_a_value, roots=PLAIN)
    assert refused.value.rule == "T3-2"


async def test_a_document_that_does_not_load_is_not_the_updates_fault() -> None:
    with pytest.raises(OperationFailed):
        await try_apply(b"no document", update(), roots=PLAIN)


async def test_cancelling_leaves_no_process() -> None:
    before = set(psutil.Process(os.getpid()).children())
    with anyio.move_on_after(1.0) as scope:
        await try_apply(b"", HANG, 30, roots=PLAIN)
    assert scope.cancelled_caught
    assert set(psutil.Process(os.getpid()).children()) <= before


async def test_the_current_folder_is_not_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pycrdt.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    await try_apply(b"", update(), roots=PLAIN)
