"""What every `Log` promises: one suite over memory and SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdtsync.clock import SimulatedClock
from crdtsync.errors import LogDamaged, SessionNotFound
from crdtsync.log import Append, Appended, Holding, LeaseRefused, Log, Row
from crdtsync.log.memory import MemoryLog
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.turns.arbiter import Denied, Granted


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture(params=["memory", "sqlite"])
async def log(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SimulatedClock
) -> AsyncGenerator[Log]:
    if request.param == "memory":
        yield MemoryLog(clock=clock)
    else:
        async with open_sqlite_log(tmp_path / "session.db", clock=clock) as opened:
            yield opened


def typed(*words: str, client_id: int = 7) -> list[bytes]:
    """The updates of a window that typed these words into one text."""
    document: Doc[Text] = Doc(client_id=client_id)
    updates: list[bytes] = []
    document.observe(lambda event: updates.append(event.update))
    text = document.get("text", type=Text)
    for word in words:
        text += word
    return updates


def text_of(*updates: bytes) -> str:
    document: Doc[Text] = Doc()
    for update in filter(None, updates):
        document.apply_update(update)
    return str(document.get("text", type=Text))


async def test_a_document_is_created_once(log: Log) -> None:
    assert await log.create("doc") is True
    assert await log.create("doc") is False
    stored = await log.load("doc")
    assert (stored.snapshot, stored.snapshot_seq, list(stored.updates)) == (b"", 0, [])
    assert stored.head == 0
    assert stored.arb


async def test_a_document_that_was_never_created_is_not_found(log: Log) -> None:
    await log.create("other")
    with pytest.raises(SessionNotFound):
        await log.load("doc")
    with pytest.raises(SessionNotFound):
        await log.read("doc", 0)
    with pytest.raises(SessionNotFound):
        await log.append("doc", [b"x"], origin="a", after=0)
    with pytest.raises(SessionNotFound):
        await log.acquire("doc", "runner", 1, 0, alone=True)
    with pytest.raises(SessionNotFound):
        await log.compact("doc")
    with pytest.raises(SessionNotFound):
        await log.lend_client_id("doc")


async def test_updates_are_numbered_from_one_in_their_order(log: Log) -> None:
    await log.create("doc")
    answer = await log.append("doc", [b"x", b"y"], origin="a", after=0)
    assert (answer.first, answer.last, list(answer.missed)) == (1, 2, [])
    answer = await log.append("doc", [b"z"], origin="a", after=2)
    assert (answer.first, answer.last) == (3, 3)
    assert await log.read("doc", 0) == [
        Row(1, "a", b"x"),
        Row(2, "a", b"y"),
        Row(3, "a", b"z"),
    ]
    assert list((await log.load("doc")).updates) == [b"x", b"y", b"z"]


async def test_a_reader_asks_after_what_it_has(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", [b"1", b"2", b"3", b"4"], origin="a", after=0)
    assert await log.read("doc", 2) == [Row(3, "a", b"3"), Row(4, "a", b"4")]
    assert await log.read("doc", 1, limit=2) == [Row(2, "a", b"2"), Row(3, "a", b"3")]
    assert await log.read("doc", 4) == []


async def test_an_append_tells_what_its_caller_missed(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", [b"ana 1"], origin="ana", after=0)
    await log.append("doc", [b"ben 1"], origin="ben", after=1)
    answer = await log.append("doc", [b"ana 2"], origin="ana", after=1)
    assert (answer.first, answer.last) == (3, 3)
    assert list(answer.missed) == [Row(2, "ben", b"ben 1")]


async def test_the_same_update_keeps_its_first_number(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", [b"x", b"y"], origin="ana", after=0)
    answer = await log.append("doc", [b"y", b"z"], origin="ana", after=2)
    assert (answer.first, answer.last) == (2, 3)
    answer = await log.append("doc", [b"x"], origin="ben", after=0)
    assert (answer.first, answer.last) == (1, 3)
    assert [row.update for row in answer.missed] == [b"x", b"y", b"z"]
    assert list((await log.load("doc")).updates) == [b"x", b"y", b"z"]


async def test_documents_do_not_see_each_other(log: Log) -> None:
    await log.create("one")
    await log.create("two")
    await log.append("one", [b"x"], origin="a", after=0)
    answer = await log.append("two", [b"x"], origin="a", after=0)
    assert (answer.first, answer.last) == (1, 1)
    assert await log.read("one", 0) == await log.read("two", 0) == [Row(1, "a", b"x")]


async def test_a_log_that_ends_before_what_was_read_from_it_is_damaged(
    log: Log,
) -> None:
    await log.create("doc")
    await log.append("doc", [b"x"], origin="a", after=0)
    with pytest.raises(LogDamaged):
        await log.read("doc", 2)
    with pytest.raises(LogDamaged):
        await log.append("doc", [b"y"], origin="a", after=2)


async def test_many_appends_at_once_all_get_numbers_of_their_own(log: Log) -> None:
    await log.create("doc")
    numbers: list[int] = []

    async def append(index: int) -> None:
        update = str(index).encode()
        answer = await log.append("doc", [update], origin=f"w{index % 3}", after=0)
        numbers.append(answer.first)

    async with anyio.create_task_group() as tasks:
        for index in range(200):
            tasks.start_soon(append, index)
    assert sorted(numbers) == list(range(1, 201))
    assert len((await log.load("doc")).updates) == 200


async def test_one_refused_append_does_not_fail_its_group(log: Log) -> None:
    await log.create("doc")
    refused: list[str] = []

    async def append(update: bytes, holding: Holding | None) -> None:
        try:
            await log.append("doc", [update], origin="a", after=0, holding=holding)
        except LeaseRefused as refusal:
            refused.append(str(refusal))

    async with anyio.create_task_group() as tasks:
        for index in range(20):
            holding = Holding(epoch=1, attempt=1) if index % 4 == 0 else None
            tasks.start_soon(append, b"%d" % index, holding)
    assert len(refused) == 5
    updates = set((await log.load("doc")).updates)
    assert updates == {b"%d" % index for index in range(20) if index % 4}


async def test_one_known_update_among_many_new_ones_keeps_its_number(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", [b"known"], origin="ana", after=0)
    new = [bytes([number]) for number in range(100)]
    answer = await log.append("doc", [*new, b"known"], origin="ana", after=1)
    assert (answer.first, answer.last) == (2, 101)
    assert list((await log.load("doc")).updates) == [b"known", *new]


async def test_several_documents_are_appended_to_at_once(log: Log) -> None:
    for doc in ("one", "two", "three"):
        await log.create(doc)
    await log.append("two", [b"0"], origin="ben", after=0)
    answers = await log.append_all(
        [
            Append("one", [b"a", b"b"], "ana", 0),
            Append("two", [b"c"], "ana", 0),
            Append("lost", [b"d"], "ana", 0),
            Append("three", [b"e"], "ana", 7),
            Append("one", [b"f"], "ana", 2),
        ]
    )
    first, second, lost, cut, last = answers
    assert first == Appended(1, 2, [])
    assert second == Appended(2, 2, [Row(1, "ben", b"0")])
    assert isinstance(lost, SessionNotFound)
    assert isinstance(cut, LogDamaged)
    assert last == Appended(3, 3, [])
    assert list((await log.load("one")).updates) == [b"a", b"b", b"f"]
    assert list((await log.load("two")).updates) == [b"0", b"c"]
    assert list((await log.load("three")).updates) == []


async def test_a_cancelled_append_is_done_or_not_done(log: Log) -> None:
    await log.create("doc")
    for index in range(30):
        with anyio.move_on_after(0.0001 * (index % 5)):
            await log.append(
                "doc", [b"%d-1" % index, b"%d-2" % index], origin="a", after=0
            )
    await log.append("doc", [b"last"], origin="a", after=0)
    updates = list((await log.load("doc")).updates)
    assert updates[-1] == b"last"
    for first, second in zip(updates[:-1:2], updates[1:-1:2], strict=True):
        assert first.replace(b"-1", b"-2") == second


async def test_compaction_keeps_what_the_document_says(log: Log) -> None:
    await log.create("doc")
    updates = typed("one ", "two ", "three")
    await log.append("doc", updates, origin="a", after=0)
    assert await log.compact("doc") is True
    stored = await log.load("doc")
    assert (stored.snapshot_seq, list(stored.updates), stored.head) == (3, [], 3)
    assert text_of(stored.snapshot) == "one two three"
    assert await log.compact("doc") is False


async def test_numbers_go_on_after_compaction(log: Log) -> None:
    await log.create("doc")
    updates = typed("one ", "two ", "three")
    await log.append("doc", updates[:2], origin="a", after=0)
    await log.compact("doc")
    answer = await log.append("doc", updates[2:], origin="a", after=2)
    assert (answer.first, answer.last, list(answer.missed)) == (3, 3, [])
    stored = await log.load("doc")
    assert (stored.snapshot_seq, stored.head) == (2, 3)
    assert text_of(stored.snapshot, *stored.updates) == "one two three"


async def test_a_reader_below_the_snapshot_must_load_again(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", typed("one ", "two "), origin="a", after=0)
    await log.compact("doc")
    assert await log.read("doc", 1) is None
    assert await log.read("doc", 2) == []


async def test_a_writer_below_the_snapshot_is_told_the_snapshot(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", typed("one ", "two "), origin="ana", after=0)
    await log.compact("doc")
    answer = await log.append("doc", typed("ben", client_id=8), origin="ben", after=1)
    (row,) = answer.missed
    assert row.seq == 2
    assert text_of(row.update) == "one two "


async def test_what_waits_for_a_missing_update_is_not_compacted_away(log: Log) -> None:
    await log.create("doc")
    one, two, three = typed("one ", "two ", "three")
    await log.append("doc", [one, three], origin="a", after=0)
    assert await log.compact("doc") is True
    stored = await log.load("doc")
    assert list(stored.updates) == [three]
    assert await log.compact("doc") is False
    await log.append("doc", [two], origin="a", after=2)
    assert await log.compact("doc") is True
    stored = await log.load("doc")
    assert (list(stored.updates), stored.snapshot_seq) == ([], 3)
    assert text_of(stored.snapshot) == "one two three"


async def test_a_deletion_of_what_is_missing_is_not_compacted_away(log: Log) -> None:
    document: Doc[Text] = Doc(client_id=7)
    updates: list[bytes] = []
    document.observe(lambda event: updates.append(event.update))
    text = document.get("text", type=Text)
    text += "secret"
    del text[0:6]
    await log.create("doc")
    await log.append("doc", typed("x", client_id=8), origin="a", after=0)
    await log.append("doc", updates[1:], origin="a", after=1)
    assert await log.compact("doc") is True
    await log.append("doc", updates[:1], origin="a", after=2)
    await log.compact("doc")
    stored = await log.load("doc")
    assert text_of(stored.snapshot, *stored.updates) == "x"


async def test_compacting_and_loading_twenty_times_changes_nothing(log: Log) -> None:
    await log.create("doc")
    await log.append("doc", typed("one ", "two "), origin="a", after=0)
    seen: set[str] = set()
    for index in range(20):
        more = typed(str(index), client_id=100 + index)
        await log.append("doc", more, origin="a", after=2 + index)
        before = await log.load("doc")
        await log.compact("doc")
        after = await log.load("doc")
        assert text_of(after.snapshot) == text_of(before.snapshot, *before.updates)
        await log.compact("doc")
        seen.add((await log.load("doc")).arb)
    assert len(seen) == 1


async def test_a_client_id_is_reused_only_after_it_came_back(log: Log) -> None:
    await log.create("doc")
    first = await log.lend_client_id("doc")
    second = await log.lend_client_id("doc")
    assert first.value != second.value
    assert (first.reused, second.reused) == (False, False)
    assert 0 < first.value < 2**32
    await log.return_client_id("doc", first.value)
    await log.return_client_id("doc", first.value)
    third = await log.lend_client_id("doc")
    assert (third.value, third.reused) == (first.value, True)
    fourth = await log.lend_client_id("doc")
    assert fourth.reused is False
    assert fourth.value not in {first.value, second.value}


async def test_a_client_id_that_was_not_lent_is_not_taken(log: Log) -> None:
    await log.create("doc")
    await log.return_client_id("doc", 5)
    assert (await log.lend_client_id("doc")).reused is False


async def test_one_runner_at_a_time_has_the_lease(log: Log) -> None:
    await log.create("doc")
    arb = (await log.load("doc")).arb
    granted = await log.acquire("doc", "ana", 1, 5, alone=False)
    assert granted == Granted(arb=arb, epoch=6, ttl_s=15.0, idle_s=0.0)
    assert await log.begin("doc", 6, 1, "turn-1") is True
    denied = await log.acquire("doc", "ben", 1, 0, alone=True)
    assert denied == Denied(holder="ana", turn="turn-1", remaining_s=15.0)


async def test_a_lease_ends_after_its_ttl_and_not_by_the_wall_clock(
    log: Log, clock: SimulatedClock
) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    clock.jump_wall(3600)
    clock.advance(14)
    assert isinstance(await log.acquire("doc", "ben", 1, 0, alone=False), Denied)
    assert await log.renew("doc", 1, 1) is True
    clock.jump_wall(-7200)
    clock.advance(14.9)
    assert isinstance(await log.acquire("doc", "ben", 2, 0, alone=False), Denied)
    clock.advance(0.2)
    granted = await log.acquire("doc", "ben", 3, 0, alone=False)
    assert isinstance(granted, Granted)
    assert granted.epoch == 2
    assert await log.renew("doc", 1, 1) is False
    assert await log.begin("doc", 1, 1, "late") is False


async def test_a_released_lease_is_free_at_once(
    log: Log, clock: SimulatedClock
) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    assert await log.release("doc", 1, 2) is False
    assert await log.release("doc", 1, 1) is True
    clock.advance(3)
    granted = await log.acquire("doc", "ben", 1, 0, alone=False)
    assert isinstance(granted, Granted)
    assert (granted.epoch, granted.idle_s) == (2, 3.0)


async def test_a_lease_goes_on_under_a_higher_epoch(log: Log) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    assert await log.raise_epoch("doc", 1, 2, 9) is False
    assert await log.raise_epoch("doc", 1, 1, 0) is False
    assert await log.raise_epoch("doc", 1, 1, 9) is True
    raised = Holding(epoch=9, attempt=1)
    await log.append("doc", [b"1"], origin="a", after=0, holding=raised)
    before = Holding(epoch=1, attempt=1)
    with pytest.raises(LeaseRefused):
        await log.append("doc", [b"2"], origin="a", after=1, holding=before)
    assert await log.release("doc", 9, 1) is True
    granted = await log.acquire("doc", "ben", 1, 0, alone=False)
    assert isinstance(granted, Granted)
    assert granted.epoch == 10


async def test_a_lease_can_be_taken_from_a_living_holder(log: Log) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    granted = await log.take("doc", "ben", 1, 0)
    assert isinstance(granted, Granted)
    assert granted.epoch == 2
    assert await log.renew("doc", 1, 1) is False
    mine = Holding(epoch=1, attempt=1)
    with pytest.raises(LeaseRefused):
        await log.append("doc", [b"1"], origin="a", after=0, holding=mine)


async def test_after_a_reboot_a_lease_lives_a_full_ttl(
    log: Log, clock: SimulatedClock
) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    clock.reboot()
    clock.advance(14)
    denied = await log.acquire("doc", "ben", 1, 0, alone=True)
    assert isinstance(denied, Denied)
    assert denied.holder == "ana"
    clock.advance(15.1)
    assert isinstance(await log.acquire("doc", "ben", 2, 0, alone=True), Granted)


async def test_the_door_lets_only_the_holder_write_as_holder(
    log: Log, clock: SimulatedClock
) -> None:
    await log.create("doc")
    await log.acquire("doc", "ana", 1, 0, alone=False)
    mine = Holding(epoch=1, attempt=1)
    await log.append("doc", [b"1"], origin="a", after=0, holding=mine)
    clock.advance(16)
    with pytest.raises(LeaseRefused):
        await log.append("doc", [b"2"], origin="a", after=1, holding=mine)
    await log.acquire("doc", "ben", 1, 0, alone=False)
    with pytest.raises(LeaseRefused):
        await log.append("doc", [b"3"], origin="a", after=1, holding=mine)
    his = Holding(epoch=2, attempt=1)
    answer = await log.append("doc", [b"4"], origin="b", after=0, holding=his)
    assert [row.update for row in answer.missed] == [b"1"]
    assert list((await log.load("doc")).updates) == [b"1", b"4"]


WORDS = typed(*(f"{index} " for index in range(12)))
DOCS = st.sampled_from(["one", "two"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("append"),
            DOCS,
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
            st.sampled_from(["ana", "ben"]),
        ),
        st.tuples(st.just("read"), DOCS, st.integers(0, 14), st.integers(1, 5)),
        st.tuples(st.just("compact"), DOCS),
        st.tuples(
            st.just("acquire"), DOCS, st.sampled_from(["r", "s"]), st.integers(1, 4)
        ),
        st.tuples(
            st.just("take"), DOCS, st.sampled_from(["r", "s"]), st.integers(1, 4)
        ),
        st.tuples(st.just("raise"), DOCS, st.integers(1, 4), st.integers(1, 4)),
        st.tuples(st.just("renew"), DOCS, st.integers(1, 4), st.integers(1, 4)),
        st.tuples(st.just("release"), DOCS, st.integers(1, 4), st.integers(1, 4)),
        st.tuples(st.just("advance"), st.sampled_from([1.0, 8.0, 20.0])),
    ),
    max_size=25,
)
Step = tuple[object, ...]


async def play(log: Log, clock: SimulatedClock, steps: list[Step]) -> list[object]:
    """Do the steps, and write down everything the log answers."""
    answers: list[object] = [await log.create("one"), await log.create("two")]
    after = {"one": 0, "two": 0}
    for step in steps:
        match step:
            case ("append", str(doc), list(updates), str(origin)):
                answer = await log.append(doc, updates, origin=origin, after=after[doc])
                missed = [(row.seq, row.origin) for row in answer.missed]
                answers.append((answer.first, answer.last, missed))
                after[doc] = answer.last if len(updates) > 1 else after[doc]
            case ("read", str(doc), int(start), int(limit)):
                try:
                    answers.append(await log.read(doc, start, limit))
                except LogDamaged:
                    answers.append("beyond the head")
            case ("compact", str(doc)):
                answers.append(await log.compact(doc))
            case ("advance", float(seconds)):
                clock.advance(seconds)
            case _:
                answers.append(await ask(log, step))
        answers += [await contents(log, "one"), await contents(log, "two")]
    return answers


async def ask(log: Log, step: Step) -> object:
    match step:
        case ("acquire", str(doc), str(runner), int(attempt)):
            got = await log.acquire(doc, runner, attempt, 0, alone=False)
            return got.epoch if isinstance(got, Granted) else got
        case ("take", str(doc), str(runner), int(attempt)):
            got = await log.take(doc, runner, attempt, 0)
            return got.epoch if isinstance(got, Granted) else got
        case ("raise", str(doc), int(epoch), int(attempt)):
            return await log.raise_epoch(doc, epoch, attempt, epoch + 1)
        case ("renew", str(doc), int(epoch), int(attempt)):
            return await log.renew(doc, epoch, attempt)
        case ("release", str(doc), int(epoch), int(attempt)):
            return await log.release(doc, epoch, attempt)
    raise AssertionError(step)


async def contents(log: Log, doc: str) -> object:
    stored = await log.load(doc)
    text = text_of(stored.snapshot, *stored.updates)
    return stored.snapshot_seq, list(stored.updates), stored.head, text


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_sqlite_answers_as_memory_does(
    steps: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def run() -> None:
        one, two = SimulatedClock(), SimulatedClock()
        path = tmp_path_factory.mktemp("log") / "s.db"
        async with open_sqlite_log(path, clock=two) as log:
            expected = await play(MemoryLog(clock=one), one, steps)
            assert await play(log, two, steps) == expected

    asyncio.run(run())
