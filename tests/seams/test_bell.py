"""The acceptance suite that every bell passes; it names no implementation's inside."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from anyio import lowlevel

from crdtsync.bell import PAYLOAD_BYTES_MAX, Bell
from crdtsync.bell.choose import open_bell
from crdtsync.bell.folder import WINDOWS_MAX
from crdtsync.bell.memory import MemoryExchange
from crdtsync.bell.polling import open_polling_bell
from crdtsync.bell.unix import open_unix_bell
from crdtsync.errors import UsageError

Opener = Callable[[str], AbstractAsyncContextManager[Bell]]


class MemoryHouse:
    def __init__(self, folder: Path) -> None:
        self._exchange = MemoryExchange()

    def open(self, name: str) -> AbstractAsyncContextManager[Bell]:
        return self._exchange.open(name)

    @asynccontextmanager
    async def remains_of(self, name: str) -> AsyncIterator[None]:
        async with self._exchange.open(name):
            self._exchange.kill(name)
            yield


class UnixHouse:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> AbstractAsyncContextManager[Bell]:
        return open_unix_bell(self._folder, name)

    @asynccontextmanager
    async def remains_of(self, name: str) -> AsyncIterator[None]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(self._folder / f"{name}.sock"))
        yield


class PollingHouse:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> AbstractAsyncContextManager[Bell]:
        return open_polling_bell(self._folder, name)

    @asynccontextmanager
    async def remains_of(self, name: str) -> AsyncIterator[None]:
        (self._folder / f"{name}.here").touch()
        (self._folder / f"{name}.out").write_bytes(b"cut sho")
        yield


House = MemoryHouse | UnixHouse | PollingHouse


@pytest.fixture(params=[MemoryHouse, UnixHouse, PollingHouse])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with TemporaryDirectory(prefix="bell-") as folder:
        made: House = request.param(Path(folder))
        yield made


async def heard(bell: Bell, count: int) -> list[bytes]:
    """Wait until at least so many payloads arrived."""
    payloads: list[bytes] = []
    with anyio.fail_after(5):
        while len(payloads) < count:
            payloads += await bell.wait()
    return payloads


async def test_a_ring_reaches_every_other_window_but_not_itself(house: House) -> None:
    async with (
        house.open("ana") as ana,
        house.open("bob") as bob,
        house.open("cy") as cy,
    ):
        assert ana.ring(b"one") == ()
        assert bob.ring(b"two") == ()

        assert await heard(ana, 1) == [b"two"]
        assert await heard(bob, 1) == [b"one"]
        assert sorted(await heard(cy, 2)) == [b"one", b"two"]


async def let_others_run() -> None:
    """Give every other task its turns; a polling bell is never all blocked."""
    for _ in range(10):
        await lowlevel.checkpoint()


async def test_a_waiting_window_is_woken(house: House) -> None:
    got: list[bytes] = []

    async def wait(bell: Bell) -> None:
        got.extend(await bell.wait())

    async with house.open("ana") as ana, house.open("bob") as bob:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, bob)
                await let_others_run()
                ana.ring(b"wake")

    assert got == [b"wake"]


async def test_a_bare_ring_arrives_as_an_empty_payload(house: House) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        ana.ring()

        assert await heard(bob, 1) == [b""]


async def test_payloads_of_one_window_keep_their_order(house: House) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        for number in range(5):
            ana.ring(b"%d" % number)

        assert await heard(bob, 5) == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_largest_payload_arrives_whole(house: House) -> None:
    payload = bytes(range(256)) * (PAYLOAD_BYTES_MAX // 256)
    async with house.open("ana") as ana, house.open("bob") as bob:
        ana.ring(payload)

        assert await heard(bob, 1) == [payload]


async def test_a_larger_payload_is_refused(house: House) -> None:
    async with house.open("ana") as ana:
        with pytest.raises(ValueError, match="4097"):
            ana.ring(b"x" * (PAYLOAD_BYTES_MAX + 1))


async def test_ringing_alone_reaches_nobody(house: House) -> None:
    async with house.open("ana") as ana:
        assert ana.ring() == ()
        assert ana.others() == ()


async def test_a_new_window_is_found_by_the_next_ring(house: House) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        ana.ring(b"before")
        assert await heard(bob, 1) == [b"before"]

        async with house.open("cy") as cy:
            ana.ring(b"after")

            assert await heard(cy, 1) == [b"after"]


async def test_windows_that_come_one_after_the_other_are_all_found(
    house: House,
) -> None:
    async with house.open("ana") as ana:
        for number in range(20):
            ana.ring(b"who is there")
            async with house.open(f"w{number}") as window:
                ana.ring(b"%d" % number)

                assert await heard(window, 1) == [b"%d" % number]


async def test_what_was_rung_before_opening_is_not_heard(house: House) -> None:
    async with house.open("ana") as ana:
        ana.ring(b"before")
        async with house.open("bob") as bob:
            ana.ring(b"after")

            assert await heard(bob, 1) == [b"after"]


async def test_the_last_words_of_a_leaving_window_are_heard(house: House) -> None:
    async with house.open("bob") as bob:
        async with house.open("ana") as ana:
            ana.ring(b"bye")

        assert await heard(bob, 1) == [b"bye"]


async def test_others_are_the_living_windows_in_order(house: House) -> None:
    async with house.open("bob") as bob, house.open("cy"):
        async with house.open("ana"):
            assert bob.others() == ("ana", "cy")
        assert bob.others() == ("cy",)


async def test_a_dead_window_is_named_once_by_ring(house: House) -> None:
    async with house.open("ana") as ana, house.remains_of("ghost"):
        assert ana.ring(b"boo") == ("ghost",)
        assert ana.ring(b"boo") == ()


async def test_a_dead_window_is_not_among_the_others(house: House) -> None:
    async with house.open("ana") as ana, house.remains_of("ghost"):
        assert ana.others() == ()


async def test_a_new_window_may_take_a_dead_one_s_name(house: House) -> None:
    async with (
        house.open("ana") as ana,
        house.remains_of("bob"),
        house.open("bob") as bob,
    ):
        assert ana.ring(b"hi") == ()
        assert ana.others() == ("bob",)

        assert await heard(bob, 1) == [b"hi"]


async def test_a_window_that_came_back_is_reached_again(house: House) -> None:
    async with house.open("ana") as ana:
        for number in range(3):
            async with house.open("bob") as bob:
                ana.ring(b"%d" % number)

                assert await heard(bob, 1) == [b"%d" % number]


async def test_a_living_window_s_name_is_refused(house: House) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        with pytest.raises(UsageError, match="bob is open already"):
            async with house.open("bob"):
                pass

        ana.ring(b"still here")
        assert await heard(bob, 1) == [b"still here"]


@pytest.mark.parametrize("name", ["", "a b", "../up", "a.b", "x" * 65, "é", "a\n"])
async def test_a_name_that_is_no_window_id_is_refused(house: House, name: str) -> None:
    with pytest.raises(ValueError, match="not a window id"):
        async with house.open(name):
            pass


async def test_a_flood_is_bounded_and_says_that_something_was_lost(
    house: House,
) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        for number in range(1000):
            assert ana.ring(b"%d" % number) == ()

        payloads = await heard(bob, 1)

        assert len(payloads) < 1000
        assert b"" in payloads


async def test_a_window_hears_again_after_a_flood(house: House) -> None:
    async with house.open("ana") as ana, house.open("bob") as bob:
        for _ in range(1000):
            ana.ring(b"flood")
        await heard(bob, 1)

        ana.ring(b"again")

        payloads: list[bytes] = []
        while b"again" not in payloads:
            payloads = await heard(bob, 1)


async def test_a_cancelled_wait_loses_nothing(house: House) -> None:
    got: list[bytes] = []

    async def wait(bell: Bell) -> None:
        got.extend(await bell.wait())

    async with house.open("ana") as ana, house.open("bob") as bob:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, bob)
            await let_others_run()
            ana.ring(b"kept")
            tasks.cancel_scope.cancel()

        assert got or await heard(bob, 1) == [b"kept"]


async def test_windows_beyond_the_limit_are_refused(house: House) -> None:
    async with anyio.create_task_group() as tasks:

        async def stay(name: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with house.open(name):
                task_status.started()
                await anyio.sleep_forever()

        for number in range(WINDOWS_MAX):
            await tasks.start(stay, f"w{number}")

        with pytest.raises(UsageError, match="64 windows"):
            async with house.open("one-more"):
                pass
        tasks.cancel_scope.cancel()


async def test_a_bell_tells_its_name(house: House) -> None:
    async with house.open("ana_1-x") as ana:
        assert ana.name == "ana_1-x"


async def test_the_platform_s_bell_is_a_bell(tmp_path: Path) -> None:
    folder = tmp_path / "meet"
    async with open_bell(folder, "ana") as ana, open_bell(folder, "bob") as bob:
        ana.ring(b"hello")

        assert await heard(bob, 1) == [b"hello"]
