"""A replica and its log: saving, following, and what a log that refuses does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from crdtsync.bell.memory import MemoryExchange
from crdtsync.clock import SystemClock
from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.errors import LogUnwritable
from crdtsync.events import Failure, Happening, MessageAdded
from crdtsync.log import Holding, LeaseRefused
from crdtsync.log.sqlite import SqliteLog, open_sqlite_log
from crdtsync.session.replica import Replica, Ticket
from crdtsync.turns.arbiter import Granted

DOC = "s"


class Window:
    """A replica whose saving task runs, and what it told."""

    def __init__(self, log: SqliteLog, exchange: MemoryExchange, name: str) -> None:
        self.log = log
        self.exchange = exchange
        self.name = name
        self.told: list[tuple[Happening, int]] = []
        self.replica: Replica

    def tell(self, happenings: list[Happening], seq: int) -> None:
        self.told += [(happening, seq) for happening in happenings]

    def write(self, text: str, holding: Holding | None = None) -> Ticket:
        message = Message(id=text, role="note", author=self.name, at="", text=text)
        with self.replica.edit(holding) as (edit, ticket):
            edit.add_message(message)
        return ticket

    async def saved(self) -> None:
        """Wait until nothing waits for the disk."""
        while self.replica.unsaved:  # noqa: ASYNC110 - there is no event for it
            await anyio.sleep(0.01)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.replica.view.messages]

    @property
    def failures(self) -> list[str]:
        return [h.body.text for h, _ in self.told if isinstance(h.body, Failure)]


@asynccontextmanager
async def window(
    path: Path, name: str, exchange: MemoryExchange | None = None
) -> AsyncIterator[Window]:
    async with (
        open_sqlite_log(path, clock=SystemClock()) as log,
        (exchange or MemoryExchange()).open(name) as bell,
        anyio.create_task_group() as tasks,
    ):
        await log.create(DOC)
        found = Window(log, exchange or MemoryExchange(), name)
        stored = await log.load(DOC)
        document = Document.load([u for u in (stored.snapshot, *stored.updates) if u])
        found.replica = Replica(
            DOC, document, log, bell, head=stored.head, tell=found.tell
        )
        tasks.start_soon(found.replica.save_forever)
        with anyio.fail_after(30):
            yield found
        tasks.cancel_scope.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


def take_away(path: Path) -> Path:
    """Make the log unwritable for a while."""
    return path.rename(path.with_name("away"))


def bring_back(path: Path, away: Path) -> None:
    away.rename(path)


async def test_tickets_tell_when_and_where_they_are_durable(path: Path) -> None:
    async with window(path, "w") as w:
        tickets = [w.write(text) for text in "abc"]
        assert [await t.wait() for t in tickets] == [1, 2, 3]
        assert [s for h, s in w.told if isinstance(h.body, MessageAdded)] == [1, 2, 3]
        assert w.replica.head == 3
        with w.replica.edit() as (_, ticket):
            pass
        assert await ticket.wait() == 0
    async with window(path, "v") as v:
        assert v.texts == ["a", "b", "c"]


async def test_an_edit_that_raises_is_logged_as_far_as_it_came(path: Path) -> None:
    async with window(path, "w") as w:
        message = Message(id="a", role="note", author="w", at="", text="a")
        with suppress(KeyError), w.replica.edit() as (edit, _):
            edit.add_message(message)
            raise KeyError
        await w.replica.save_now()
    async with window(path, "v") as v:
        assert v.texts == ["a"]


async def test_windows_see_each_others_rows_in_order(path: Path) -> None:
    async with window(path, "v") as v, window(path, "w") as w:
        for number in range(150):
            await w.write(f"{number}").wait()
            if number == 20:
                await v.replica.catch_up()
        await v.replica.catch_up()
        assert v.texts == [f"{n}" for n in range(150)]
        seqs = [s for h, s in v.told if isinstance(h.body, MessageAdded)]
        # Few rows are told one by one, many at once.
        assert seqs == [*range(1, 22), *[150] * 129]


async def test_what_others_wrote_is_applied_before_ones_own_is_told(
    path: Path,
) -> None:
    async with window(path, "v") as v, window(path, "w") as w:
        await w.write("theirs").wait()
        assert await v.write("mine").wait() == 2
        added = [
            (h.body.message.text, seq)
            for h, seq in v.told
            if isinstance(h.body, MessageAdded)
        ]
        assert added == [("theirs", 1), ("mine", 2)]
        await w.replica.catch_up()
        assert w.texts == v.texts


async def test_thousands_of_rows_are_read_in_portions(path: Path) -> None:
    async with window(path, "v") as v, window(path, "w") as w:
        for number in range(2500):
            w.write(f"{number}")
        await w.replica.save_now()
        await v.replica.catch_up()
        assert v.replica.head == 2500
        assert len(v.texts) == 2500


async def test_a_window_that_was_overtaken_by_a_snapshot_reads_it(path: Path) -> None:
    async with window(path, "v") as v, window(path, "w") as w:
        for number in range(300):
            w.write(f"{number}")
        await w.replica.save_now()
        assert await w.log.compact(DOC)
        await v.replica.catch_up()
        assert v.texts == w.texts
        assert v.replica.head == w.replica.head == 300


async def test_a_save_that_was_cut_off_is_made_good(path: Path) -> None:
    """Cancelling may leave an append done or not; doing it again is harmless."""
    async with window(path, "w") as w:
        for number in range(40):
            ticket = w.write(f"{number}")
            with anyio.move_on_after(0.0005 * (number % 8)):
                await w.replica.save_now()
            assert await ticket.wait() > 0
        assert w.replica.unsaved == 0
    async with window(path, "v") as v:
        assert v.texts == [f"{n}" for n in range(40)]
        assert v.replica.head == 40


async def test_a_holders_writes_pass_the_door(path: Path) -> None:
    async with window(path, "w") as w:
        granted = await w.log.acquire(DOC, "r", 1, 0, alone=True)
        assert isinstance(granted, Granted)
        holding = Holding(granted.epoch, 1)
        await w.write("before").wait()
        assert await w.write("in time", holding).wait() == 2
        await w.log.release(DOC, granted.epoch, 1)
        late = w.write("late", holding)
        with pytest.raises(LeaseRefused):
            await late.wait()
        # It stays in the replica, and goes with the next ordinary write, before it.
        assert w.replica.unsaved == 1
        await w.write("after").wait()
        assert w.texts == ["before", "in time", "late", "after"]
    async with window(path, "v") as v:
        assert v.texts == ["before", "in time", "late", "after"]


async def test_refused_and_ordinary_writes_keep_their_order(path: Path) -> None:
    async with window(path, "w") as w:
        gone = Holding(7, 1)
        tickets = [
            w.write("a", gone),
            w.write("b"),
            w.write("c", gone),
            w.write("d", Holding(8, 1)),
            w.write("e"),
        ]
        assert [await t.wait() for t in (tickets[1], tickets[4])] == [2, 5]
        for refused in (0, 2, 3):
            with pytest.raises(LeaseRefused):
                await tickets[refused].wait()
    async with window(path, "v") as v:
        assert v.texts == ["a", "b", "c", "d", "e"]


async def test_a_log_that_refuses_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.session.replica.RETRY_UNWRITABLE_S", 0.05)
    async with window(path, "w") as w:
        await w.write("a").wait()
        away = take_away(path)
        for text in ("b", "c"):
            with pytest.raises(LogUnwritable, match="moved"):
                await w.write(text).wait()
        with pytest.raises(LogUnwritable):
            await w.replica.save_now()
        assert len(w.failures) == 1
        assert w.replica.unsaved == 2
        bring_back(path, away)
        last = w.write("d")
        await w.saved()
        assert last.seq == 4
        assert w.texts == ["a", "b", "c", "d"]
        take_away(path)
        with pytest.raises(LogUnwritable):
            await w.write("e").wait()
        assert len(w.failures) == 2
        bring_back(path, away)
        await w.replica.save_now()
    async with window(path, "v") as v:
        assert v.texts == ["a", "b", "c", "d", "e"]


async def test_a_refused_write_that_the_disk_did_not_take_is_not_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the end of a turn on a full disk, whose lease is over when there is room."""
    monkeypatch.setattr("crdtsync.session.replica.RETRY_UNWRITABLE_S", 0.05)
    async with window(path, "w") as w:
        away = take_away(path)
        ticket = w.write("ended", Holding(7, 1))
        with pytest.raises(LogUnwritable):
            await ticket.wait()
        with pytest.raises(LogUnwritable):
            await w.replica.save_now()
        bring_back(path, away)
        await w.saved()
    async with window(path, "v") as v:
        assert v.texts == ["ended"]


async def test_a_log_that_refuses_for_long_fills_no_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.session.replica.UNSAVED_UPDATES_MAX", 3)
    async with window(path, "w") as w:
        away = take_away(path)
        tickets = [w.write(text) for text in "abc"]
        with pytest.raises(LogUnwritable, match="too much waits"):
            w.write("d")
        with pytest.raises(LogUnwritable):
            await tickets[0].wait()
        with pytest.raises(LogUnwritable, match="moved"):
            w.write("e")
        assert w.texts == ["a", "b", "c"]
        bring_back(path, away)
        await w.replica.save_now()
        await w.write("f").wait()
    async with window(path, "v") as v:
        assert v.texts == ["a", "b", "c", "f"]


async def test_a_short_row_comes_with_the_bell_and_a_gap_is_read(path: Path) -> None:
    exchange = MemoryExchange()
    async with (
        window(path, "w", exchange) as w,
        window(path, "v", exchange) as v,
        exchange.open("x") as bell,
    ):
        await w.write("a").wait()
        await w.write("b").wait()
        first, second = (p for p in await bell.wait() if p.startswith(b"g"))
        assert v.replica.hear(second)
        assert v.texts == []
        assert not v.replica.hear(first)
        assert v.texts == ["a"]
        assert not v.replica.hear(first)
        assert not v.replica.hear(second)
        assert v.texts == ["a", "b"]
        assert v.replica.head == 2
        told = [seq for h, seq in v.told if isinstance(h.body, MessageAdded)]
        assert told == [1, 2]
        await w.write("x" * 5000).wait()
        [long] = [p for p in await bell.wait() if p.startswith(b"g")]
        assert v.replica.hear(long)
        assert v.replica.hear(b"g")
        assert v.replica.hear(b"gone")
        await v.replica.catch_up()
        assert v.texts == ["a", "b", "x" * 5000]
