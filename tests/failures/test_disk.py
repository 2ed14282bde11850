"""Disks that are full and folders that are read-only: story 16."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.catalog import Catalog
from crdtsync.errors import DataError, LogUnwritable, SessionNotFound
from crdtsync.session.opening import open_session
from tests.folders import let_in
from tests.host.stage import ROOT, texts


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("size", [4096, 200_000])
async def test_a_full_disk_loses_nothing_and_ends_nothing(
    data: Path, size: int
) -> None:
    command = [sys.executable, "-m", "tests.failures.full_disk", str(data), str(size)]
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    refused = [line for line in lines if "refused" in line]
    assert len(refused) == 4
    for line in refused:
        assert ".db" in line["refused"]
        assert line["hint"]
    assert lines[-1]["unsaved"] == 0

    async with open_session("x", data=data, mode="reader") as late:
        there = {message.id for message in late.view.messages}
        told = [line["acknowledged"] for line in lines if "acknowledged" in line]
        assert set(told) <= there
        # What was refused was kept, and came when there was room again.
        assert len(texts(late.view, "note")) == len(told) - 2 + 3
        assert texts(late.view, "user") == ["before", "asked on a full disk", "after"]
        assert late.view.pending == ()
        assert all(turn.final for turn in late.view.turns.values())


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    os.setegid(0)


def lock(tmp_path: Path) -> None:
    for path in tmp_path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o555)
    let_in(tmp_path)


async def test_a_read_only_folder_can_be_read_and_says_why_no_more(
    data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        await ana.send("hello")
    lock(tmp_path)
    request.getfixturevalue("nobody")
    async with open_session("x", data=data, name="bob") as bob:
        assert texts(bob.view, "user") == ["hello"]
        assert "sessions" in bob.read_only
        with pytest.raises(DataError, match="read-only here"):
            await bob.send("no")
        assert [p.name for p in bob.presence] == []
    with pytest.raises(LogUnwritable, match="cannot be written"):
        async with open_session("y", data=data, name="bob"):
            pass
    with pytest.raises(SessionNotFound):
        async with open_session("y", data=data, name="bob", create=False):
            pass
    assert [e.name for e in Catalog(data).entries()] == ["x"]


async def test_a_foreign_folder_without_an_identity_can_be_read(
    data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        await ana.send("hello")
    (data / "identity.json").unlink()
    lock(tmp_path)
    request.getfixturevalue("nobody")
    async with open_session("x", data=data, mode="reader") as reader:
        assert texts(reader.view, "user") == ["hello"]


async def test_when_the_folder_is_writable_again_everything_works(data: Path) -> None:
    sessions = data / "sessions"
    sessions.parent.mkdir()
    sessions.write_text("in the way")
    with pytest.raises(DataError, match="Not a directory"):
        async with open_session("x", data=data, name="ana"):
            pass
    sessions.unlink()
    async with open_session("x", data=data, name="ana") as ana:
        await ana.send("hello")
    assert [e.name for e in Catalog(data).entries()] == ["x"]
