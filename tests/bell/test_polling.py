"""What only the polling bell can meet: its two files, locks and last words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from crdtsync.bell.polling import open_polling_bell

HOLDER = """
import sys, anyio
from pathlib import Path
from crdtsync.bell.polling import open_polling_bell
async def main():
    async with open_polling_bell(Path(sys.argv[1]), "bob") as bell:
        bell.ring(b"hello")
        print("open", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "meet"


async def test_a_killed_process_is_reported_by_the_next_ring(folder: Path) -> None:
    async with open_polling_bell(folder, "ana") as ana:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as bob:  # noqa: ASYNC220
            assert bob.stdout is not None
            assert await anyio.to_thread.run_sync(bob.stdout.readline) == b"open\n"
            assert ana.others() == ("bob",)
            bob.kill()

        assert ana.others() == ()
        with anyio.fail_after(5):
            assert await ana.wait() == [b"hello"]


async def test_a_dead_window_swept_by_another_is_still_reported(folder: Path) -> None:
    async with (
        open_polling_bell(folder, "ana") as ana,
        open_polling_bell(folder, "cy") as cy,
    ):
        async with open_polling_bell(folder, "bob"):
            ana.ring()
        assert cy.others() == ("ana",)

        assert ana.ring() == ("bob",)


async def test_an_outbox_outlives_its_window_for_a_while_only(folder: Path) -> None:
    async with open_polling_bell(folder, "ana") as ana:
        async with open_polling_bell(folder, "bob") as bob:
            bob.ring(b"bye")
        ana.ring()
        assert (folder / "bob.out").exists()

        os.utime(folder / "bob.out", (0, 0))
        ana.ring()

        assert not (folder / "bob.out").exists()


@pytest.mark.parametrize("data", [b"", b"x" * 15, b"x" * 17, b"x" * 16 + b"\xff\xff"])
async def test_a_garbled_outbox_counts_as_a_bare_ring(
    folder: Path, data: bytes
) -> None:
    async with open_polling_bell(folder, "ana") as ana:
        (folder / "bob.out").write_bytes(data)

        with anyio.fail_after(5):
            assert await ana.wait() == [b""]


async def test_what_cannot_be_written_is_written_later(folder: Path) -> None:
    async with (
        open_polling_bell(folder, "ana") as ana,
        open_polling_bell(folder, "bob") as bob,
    ):
        (folder / "ana.tmp").mkdir()
        ana.ring(b"late")
        (folder / "ana.tmp").rmdir()
        with anyio.move_on_after(0.01):
            await ana.wait()

        with anyio.fail_after(5):
            assert await bob.wait() == [b"late"]
