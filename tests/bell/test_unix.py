"""What only the Unix bell can meet: other processes, stale files, full buffers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import mkdtemp

import anyio
import pytest

from crdtsync.bell import Bell
from crdtsync.bell.unix import open_unix_bell
from crdtsync.errors import DataError
from tests.bell.processes import window


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(mkdtemp(prefix="bell-"))
    yield path
    shutil.rmtree(path)


async def answer(bell: Bell) -> bytes:
    with anyio.fail_after(5):
        return (await bell.wait())[0]


def stale(folder: Path, name: str) -> Path:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(folder / name))
    return folder / name


async def test_two_processes_hear_each_other(folder: Path) -> None:
    with window(folder, "bob"):
        async with open_unix_bell(folder, "ana") as ana:
            ana.ring(b"ping 1")

            assert (await answer(ana)).startswith(b"pong 1 ")


async def test_a_killed_process_is_reported_by_the_next_ring(folder: Path) -> None:
    with window(folder, "bob") as bob:
        async with open_unix_bell(folder, "ana") as ana:
            ana.ring(b"ping 1")
            await answer(ana)
            assert ana.others() == ("bob",)

            bob.send_signal(signal.SIGKILL)
            await anyio.to_thread.run_sync(bob.wait)

            assert ana.ring() == ("bob",)
            assert ana.others() == ()
            assert ana.ring() == ()
            assert not (folder / "bob.sock").exists()


async def test_every_window_learns_of_a_death_by_its_own_ring(folder: Path) -> None:
    with window(folder, "bob") as bob:
        async with (
            open_unix_bell(folder, "ana") as ana,
            open_unix_bell(folder, "cy") as cy,
        ):
            ana.ring()
            cy.ring()
            bob.send_signal(signal.SIGKILL)
            await anyio.to_thread.run_sync(bob.wait)

            assert ana.ring() == ("bob",)
            assert cy.ring() == ("bob",)


async def test_a_stopped_process_is_alive(folder: Path) -> None:
    with window(folder, "bob") as bob:
        async with open_unix_bell(folder, "ana") as ana:
            bob.send_signal(signal.SIGSTOP)
            for _ in range(20):
                assert ana.ring() == ()

            assert ana.others() == ("bob",)


async def test_windows_that_do_not_read_silence_nobody_else(folder: Path) -> None:
    async with AsyncExitStack() as windows:
        ana = await windows.enter_async_context(open_unix_bell(folder, "ana"))
        for number in range(8):
            await windows.enter_async_context(open_unix_bell(folder, f"deaf{number}"))
        bob = await windows.enter_async_context(open_unix_bell(folder, "bob"))
        for number in range(100):
            payload = b"%04d" % number * 1024
            assert ana.ring(payload) == ()

            assert await answer(bob) == payload


async def test_a_window_that_was_stopped_hears_that_something_was_lost(
    folder: Path,
) -> None:
    async with (
        open_unix_bell(folder, "ana") as ana,
        open_unix_bell(folder, "bob") as bob,
    ):
        for _ in range(500):
            ana.ring(b"x" * 4096)

        with anyio.fail_after(5):
            payloads = await bob.wait()

        assert payloads[-1] == b""
        assert payloads.count(b"x" * 4096) == len(payloads) - 1


async def test_a_few_unread_payloads_do_not_claim_a_loss(folder: Path) -> None:
    async with (
        open_unix_bell(folder, "ana") as ana,
        open_unix_bell(folder, "bob") as bob,
    ):
        for _ in range(7):
            ana.ring(b"x")

        with anyio.fail_after(5):
            assert await bob.wait() == [b"x"] * 7


async def test_a_window_that_comes_within_one_tick_of_the_kernel_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.bell.unix.LISTING_SETTLES_S", 60.0)
    async with open_unix_bell(folder, "ana") as ana:
        ana.ring()
        before = folder.stat().st_mtime_ns  # noqa: ASYNC240
        async with open_unix_bell(folder, "bob") as bob:
            os.utime(folder, ns=(before, before))

            ana.ring(b"found")

            assert await answer(bob) == b"found"


async def test_an_unchanged_folder_is_not_listed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.bell.unix.LISTING_SETTLES_S", -1.0)
    async with open_unix_bell(folder, "ana") as ana:
        ana.ring()
        before = folder.stat().st_mtime_ns  # noqa: ASYNC240
        stale(folder, "ghost.sock")
        os.utime(folder, ns=(before, before))

        assert ana.ring() == ()


async def test_remains_of_a_former_boot_are_swept_on_opening(folder: Path) -> None:
    for number in range(200):
        stale(folder, f"old{number}.sock")
    stale(folder, ".0123456789abcdef")
    async with open_unix_bell(folder, "ana") as ana:
        assert os.listdir(folder) == ["ana.sock"]  # noqa: PTH208
        assert ana.ring() == ()


async def test_what_is_no_socket_does_not_disturb(folder: Path) -> None:
    async with (
        open_unix_bell(folder, "ana") as ana,
        open_unix_bell(folder, "bob") as bob,
    ):
        (folder / "file.sock").write_text("no socket")
        (folder / "folder.sock").mkdir()
        (folder / "bad name.sock").touch()
        (folder / "notes.txt").touch()

        ana.ring(b"through")

        assert await answer(bob) == b"through"
        assert ana.others() == ("bob",)


async def test_a_window_whose_file_was_cleaned_away_still_hears(folder: Path) -> None:
    async with (
        open_unix_bell(folder, "ana") as ana,
        open_unix_bell(folder, "bob") as bob,
    ):
        ana.ring(b"before")
        await answer(bob)
        (folder / "bob.sock").unlink()

        assert ana.ring(b"after") == ()
        assert await answer(bob) == b"after"


async def test_too_long_a_datagram_counts_as_a_bare_ring(folder: Path) -> None:
    async with open_unix_bell(folder, "ana") as ana:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"x" * 5000, str(folder / "ana.sock"))

        assert await answer(ana) == b""


async def test_closing_removes_one_s_own_file_only(folder: Path) -> None:
    async with open_unix_bell(folder, "ana"):
        (folder / "ana.sock").unlink()
        stale(folder, "ana.sock")

    assert (folder / "ana.sock").exists()


async def test_closing_leaves_no_descriptor(folder: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(5):
        async with (
            open_unix_bell(folder, "ana") as ana,
            open_unix_bell(folder, "bob"),
        ):
            ana.ring()

    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


async def test_a_folder_that_vanished_is_silence(folder: Path) -> None:
    inner = folder / "meet"
    async with open_unix_bell(inner, "ana") as ana:
        shutil.rmtree(inner)

        assert ana.ring() == ()
        assert ana.others() == ()


async def test_a_path_too_long_for_a_socket_is_refused(folder: Path) -> None:
    deep = folder / ("d" * 90)
    with pytest.raises(DataError, match="too long for a socket") as raised:
        async with open_unix_bell(deep, "ana"):
            pass

    assert "XDG_RUNTIME_DIR" in raised.value.hint


async def test_a_folder_open_to_others_is_refused(folder: Path) -> None:
    folder.chmod(0o755)  # noqa: ASYNC240
    with pytest.raises(DataError, match="open to other users") as raised:
        async with open_unix_bell(folder, "ana"):
            pass

    assert raised.value.hint == f"Run: chmod 700 {folder}"
