"""Sessions with real files and sockets: what people do in them, and what they see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from crdtsync.bell.choose import open_bell
from crdtsync.bell.folder import runtime_folder
from crdtsync.catalog import Catalog
from crdtsync.errors import (
    DataError,
    LogDamaged,
    LogUnwritable,
    OperationFailed,
    SessionNotFound,
    UsageError,
)
from crdtsync.events import MessageAdded, ParticipantJoined, ParticipantLeft
from crdtsync.identity import runner_id
from crdtsync.log import Stored
from crdtsync.log.sqlite import SqliteLog, open_sqlite_log
from crdtsync.session import Session
from crdtsync.session.opening import default_data_folder, login_name, open_session
from tests.host.stage import digest, read_until, texts, until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def tmp(data: Path) -> list[Path]:
    """What is where the data folder would be."""
    return list(data.parent.iterdir())


@asynccontextmanager
async def two(data: Path) -> AsyncIterator[tuple[Session, Session]]:
    async with (
        open_session("x", data=data, name="ana") as ana,
        open_session("x", data=data, name="bob") as bob,
    ):
        yield ana, bob


# Opening.


async def test_a_new_session_is_seeded_once(data: Path) -> None:
    async with two(data) as (ana, bob):
        await until(bob, lambda view: len(view.participants) == 2)

        assert ana.view.meta.title == "x"
        assert ana.view.meta.id == ana.id == bob.id
        assert ana.view.meta.created_by == ana.me.id
        assert bob.view.participants[ana.me.id].name == "ana"


async def test_what_was_sent_is_there_after_reopening(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        sent = await ana.send("hello")
        before = digest(ana)
    for _ in range(3):
        async with open_session("x", data=data, name="ana") as again:
            assert digest(again) == before
            assert again.view.text(sent.id) == "hello"


async def test_without_a_name_the_last_opened_one_is_opened(data: Path) -> None:
    async with open_session(data=data, name="ana") as first:
        assert first.name == "session"
    async with open_session("other", data=data, name="ana"):
        pass
    async with open_session(data=data, name="ana") as last:
        assert last.name == "other"
    async with open_session(first.id[:18], data=data, name="ana") as found:
        assert found.name == "session"


async def test_an_unknown_session_is_not_made_unless_wanted(data: Path) -> None:
    with pytest.raises(SessionNotFound, match="no session here yet"):
        async with open_session(data=data, create=False):
            pass
    with pytest.raises(SessionNotFound, match="no session 'x' here"):
        async with open_session("x", data=data, create=False):
            pass
    with pytest.raises(SessionNotFound):
        async with open_session("x", data=data, mode="reader"):
            pass
    assert not any(tmp(data))


@pytest.mark.parametrize("name", ["", "a\x07b", "x" * 65])
async def test_a_person_needs_a_name(data: Path, name: str) -> None:
    with pytest.raises(UsageError):
        async with open_session("x", data=data, name=name):
            pass
    assert not any(tmp(data))


async def test_a_name_that_cannot_be_leaves_nothing(data: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        async with open_session("a b", data=data, name="ana"):
            pass
    assert not any(tmp(data))


async def test_a_session_whose_file_is_gone_says_so(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        path = Catalog(data).path(ana.id)
    path.unlink()

    with pytest.raises(SessionNotFound, match="is gone"):
        async with open_session("x", data=data, name="ana"):
            pass


async def test_many_that_open_a_new_name_at_once_share_one_session(data: Path) -> None:
    for number in range(5):
        ids: set[str] = set()

        async def enter(name: str, found: set[str]) -> None:
            async with open_session(name, data=data, name="ana") as opened:
                await opened.send("I am here")
                found.add(opened.id)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(enter, f"s{number}", ids)
        assert len(ids) == 1
        async with open_session(f"s{number}", data=data, mode="reader") as opened:
            assert texts(opened.view, "user") == ["I am here"] * 6
            assert opened.view.meta.id == opened.id
    assert len(Catalog(data).entries()) == 5


async def test_windows_that_come_and_go_lose_nothing(data: Path) -> None:
    """A client id goes from window to window, and no clock is used twice (D-10)."""

    async def come_and_go(number: int) -> None:
        for visit in range(8):
            async with open_session("x", data=data, name="ana", mode="writer") as me:
                await me.send(f"{number}.{visit}")

    async with open_session("x", data=data, name="ana") as ana:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(come_and_go, number)
        await until(ana, lambda view: view.message_count == 32)
        async with open_session("x", data=data, mode="reader") as reader:
            assert digest(reader) == digest(ana)
    told = texts(ana.view, "user")
    for number in range(4):
        own = [text for text in told if text.startswith(f"{number}.")]
        assert own == [f"{number}.{visit}" for visit in range(8)]


async def test_the_last_words_of_a_window_that_leaves_while_one_opens_are_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client id must not go to a window that has not loaded those words (D-10)."""
    load, leaving = SqliteLog.load, AsyncExitStack()
    async with leaving:
        opening = open_session("x", data=data, name="ana", mode="writer")
        ana = await leaving.enter_async_context(opening)
        await ana.send("first")

        async def load_slowly(log: SqliteLog, doc: str) -> Stored:
            stored = await load(log, doc)
            monkeypatch.setattr(SqliteLog, "load", load)
            await ana.send("last words")
            await leaving.aclose()
            return stored

        monkeypatch.setattr(SqliteLog, "load", load_slowly)
        async with open_session("x", data=data, name="bob", mode="writer") as bob:
            await bob.send("mine")
            await bob.send("mine too")
    async with open_session("x", data=data, mode="reader") as late:
        told = texts(late.view, "user")
        assert sorted(told) == ["first", "last words", "mine", "mine too"]


async def test_a_session_that_was_never_seeded_is_seeded_later(data: Path) -> None:
    """As after a crash between the making of the file and its first row."""
    async with open_session("x", data=data, name="ana") as ana:
        other = ana.id[:-1] + ("0" if ana.id[-1] != "0" else "1")
    Catalog(data).add(other, "y", "2026-11-20T12:00:00Z")
    async with open_session("y", data=data, name="ana") as opened:
        assert opened.view.meta.id == other
        assert opened.view.meta.schema == 1


async def test_a_damaged_file_is_an_error_of_its_own_kind(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        path = Catalog(data).path(ana.id)
    content = path.read_bytes()
    path.write_bytes(content[:5000])

    with pytest.raises(LogDamaged) as caught:
        async with open_session("x", data=data, name="ana"):
            pass
    assert "crdtsync doctor" in caught.value.hint
    assert path.read_bytes() == content[:5000]


async def test_errors_of_the_block_come_out_as_they_are(data: Path) -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with open_session("x", data=data, name="ana"):
            raise error
    assert caught.value is error

    group = ExceptionGroup("mine", [KeyError("one")])
    with pytest.raises(ExceptionGroup) as several:
        async with open_session("x", data=data, name="ana"):
            raise group
    assert (several.value.message, several.value.exceptions) == (
        "mine",
        group.exceptions,
    )


async def test_damage_found_while_open_ends_the_session_with_its_name(
    data: Path,
) -> None:
    async def live() -> None:
        async with open_session("x", data=data, name="ana") as ana:
            async with open_sqlite_log(
                Catalog(data).path(ana.id), clock=ana.place.clock
            ) as log:
                await log.append(ana.id, [b"\xff\xff"], origin="evil", after=0)
            folder = runtime_folder(data, ana.id)
            async with open_bell(folder, "other") as other:
                other.ring()
                await anyio.sleep_forever()

    with pytest.raises(LogDamaged), anyio.fail_after(20):
        await live()


async def test_a_reader_writes_nothing(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        await ana.send("hello")
        async with open_session("x", data=data, name="bob", mode="reader") as bob:
            assert bob.read_only == "this window only reads"
            assert texts(bob.view, "user") == ["hello"]
            with pytest.raises(DataError, match="read-only here"):
                await bob.send("no")
            await ana.send("more")
            await until(bob, lambda view: view.message_count == 2)
            assert [p.name for p in ana.presence] == ["ana"]


async def test_a_writer_is_not_seen_but_named(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        async with open_session("x", data=data, name="bob", mode="writer") as bob:
            await bob.send("hello")
            await bob.wait_for(lambda _: [p.name for p in bob.presence] == ["ana"])
            assert [p.name for p in ana.presence] == ["ana"]
        await until(ana, lambda view: view.message_count == 1)
        assert ana.view.name_of(ana.view.messages[0].author) == "bob"


async def test_a_newer_document_can_be_read_only(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        with ana.replica.edit() as (edit, ticket):
            edit.set_meta({"schema": 2})
        await ticket.wait()
    async with open_session("x", data=data, name="bob") as bob:
        assert bob.read_only == "it was made by a newer version of crdtsync"
        with pytest.raises(DataError):
            await bob.send("no")


def test_the_defaults_are_the_users() -> None:
    assert default_data_folder().name == "crdtsync"
    assert login_name()


def test_somebody_without_a_login_is_someone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 123_456_789)
    assert login_name() == "someone"


# Sending.


async def test_a_message_is_durable_and_seen_by_the_other_window(data: Path) -> None:
    async with two(data) as (ana, bob):
        with bob.events() as events:
            sent = await ana.send("hello")
            seen = await read_until(events, "message")

        assert seen[0].type == "session.opened"
        body = seen[-1].body
        assert isinstance(body, MessageAdded)
        assert (body.message.text, body.queued) == ("hello", True)
        assert seen[-1].seq == sent.seq > 0
        assert seen[-1].actor is not None
        assert seen[-1].actor.name == "ana"
        assert (sent.position, sent.busy) == (1, False)


async def test_a_message_with_an_id_is_sent_once(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        first = await ana.send("hello", id="a-1")
        again = await ana.send("hello", id="a-1")

        assert first.seq > 0
        assert again.seq == 0
        assert (again.id, again.position) == ("a-1", 1)
        assert ana.view.message_count == 1


async def test_sending_again_is_no_acknowledgement_of_what_is_not_on_disk(
    data: Path,
) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        path = Catalog(data).path(ana.id)
        away = path.rename(path.with_name("away"))
        for _ in range(2):
            with pytest.raises(LogUnwritable):
                await ana.send("hello", id="a-1")
        away.rename(path)
        assert (await ana.send("hello", id="a-1")).id == "a-1"
        assert ana.replica.unsaved == 0
        assert ana.view.message_count == 1


async def test_only_prompts_wait_for_a_turn(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        prompt = await ana.send("do it")
        note = await ana.send("not for the agent", note=True, prompt=True)
        said = await ana.send("fyi", prompt=False)
        agent = await ana.send("I found it", as_agent="scout")
        asking = await ana.send("fix it", as_agent="scout", prompt=True)

        positions = [s.position for s in (prompt, note, said, agent, asking)]
        assert positions == [1, None, None, None, 2]
        roles = [m.role for m in ana.view.messages]
        assert roles == ["user", "note", "user", "agent", "agent"]
        scout = ana.view.participants[ana.view.messages[3].author]
        assert (scout.name, scout.kind) == ("scout", "agent")
        assert ana.actor(scout.id) is not None


@pytest.mark.parametrize("text", ["", " \n", "\ud800", "x" * (1024 * 1024 + 1)])
async def test_what_cannot_be_sent_is_refused(data: Path, text: str) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        with pytest.raises(UsageError):
            await ana.send(text)
        assert ana.view.message_count == 0


@pytest.mark.parametrize("field", ["id", "reply_to", "retry_of", "instead_of"])
async def test_an_id_is_no_path(data: Path, field: str) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        with pytest.raises(UsageError):
            await ana.send("x", **{field: "../x"})  # type: ignore[arg-type]


async def test_a_retry_names_what_it_retries(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        first = await ana.send("do it")
        second = await ana.send("do it", retry_of=first.id, reply_to=first.id)
        message = ana.view.message(second.id)
        assert message is not None
        assert (message.extra, message.reply_to) == ({"retry_of": first.id}, first.id)


async def test_the_largest_message_goes_through(data: Path) -> None:
    async with two(data) as (ana, bob):
        sent = await ana.send("é" * (512 * 1024))
        await until(bob, lambda view: view.message_count == 1)
        assert bob.view.text(sent.id) == "é" * (512 * 1024)


async def test_both_write_at_once_and_see_the_same(data: Path) -> None:
    async with two(data) as (ana, bob):

        async def write(session: Session) -> None:
            for number in range(50):
                await session.send(f"{session.me.name} {number}")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, ana)
            tasks.start_soon(write, bob)
        for session in (ana, bob):
            await until(session, lambda view: view.message_count == 100)
        assert digest(ana) == digest(bob)
        assert ana.view == bob.view


async def test_the_title_is_for_everybody(data: Path) -> None:
    async with two(data) as (ana, bob):
        await ana.rename("  A new\n title ")
        await until(bob, lambda view: view.meta.title == "A new title")
        for wrong in ("", " ", "x" * 201, "\ud800"):
            with pytest.raises(UsageError):
                await ana.rename(wrong)


# The queue.


async def waiting(session: Session, *prompts: str) -> list[str]:
    return [(await session.send(text)).id for text in prompts]


def order(session: Session) -> list[str]:
    return [session.view.text(p.prompt) for p in session.view.pending]


async def test_prompts_can_be_moved_dropped_and_replaced(data: Path) -> None:
    async with two(data) as (ana, bob):
        a, b, c, d = await waiting(ana, "a", "b", "c", "d")
        await until(bob, lambda view: len(view.pending) == 4)

        await bob.prompts.move(d, 1)
        assert order(bob) == ["d", "a", "b", "c"]
        await bob.prompts.move(a, 99)
        assert order(bob) == ["d", "b", "c", "a"]
        await bob.prompts.move(c, 2)
        assert order(bob) == ["d", "c", "b", "a"]
        replaced = await bob.prompts.replace(c, "C")
        assert order(bob) == ["d", "C", "b", "a"]
        assert replaced.position == 2
        await bob.prompts.drop(b)
        assert order(bob) == ["d", "C", "a"]
        await until(ana, lambda view: view == bob.view)
        for gone in (b, c):
            with pytest.raises(OperationFailed, match="does not wait"):
                await ana.prompts.drop(gone)
            with pytest.raises(OperationFailed):
                await ana.prompts.move(gone, 1)
            with pytest.raises(OperationFailed):
                await ana.prompts.replace(gone, "x")


async def test_prompts_of_one_rank_can_be_parted(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        ids = await waiting(ana, "a", "b", "c", "d")
        with ana.replica.edit() as (edit, _):
            for each in ids[:3]:
                edit.set_queue(each, {"rank": "V0000000"})
            edit.set_queue(ids[3], {"rank": "W0000000"})
        await ana.prompts.move(ids[3], 2)

        assert order(ana) == ["a", "d", "b", "c"]


async def test_held_prompts_are_released_by_a_person(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        a, b, c = await waiting(ana, "a", "b", "c")
        with ana.replica.edit() as (edit, _):
            for each in (a, b):
                edit.set_queue(each, {"held": True})

        assert [p.held for p in ana.view.pending] == [True, True, False]
        assert await ana.prompts.release([b, c]) == (b,)
        assert ana.view.queue[b].released_by == ana.me.id
        assert await ana.prompts.release() == (a,)
        assert await ana.prompts.release() == ()


async def test_waiting_for_a_withdrawn_prompt_ends(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        [prompt] = await waiting(ana, "a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ana.prompts.drop, prompt)
            with (
                anyio.fail_after(10),
                pytest.raises(OperationFailed, match="withdrawn"),
            ):
                await ana.wait_turn(prompt)


# Turns, as far as a session without an agent knows them.


def claim(session: Session, turn: str, epoch: int, prompts: list[str]) -> None:
    record = {
        "epoch": epoch,
        "arb": "a",
        "grant": "local",
        "runner": runner_id(session.me.id, session.place.window),
        "machine": session.place.identity.machine,
        "agent": "demo",
        "prompts": prompts,
        "after": {},
        "closes": {},
    }
    with session.replica.edit() as (edit, _):
        edit.set_turn(turn, {"claim": record})  # type: ignore[dict-item]


async def test_a_prompt_given_back_by_a_void_turn_is_waited_for_on(data: Path) -> None:
    async with two(data) as (ana, bob):
        [prompt] = await waiting(ana, "a")
        found: list[str] = []

        async def wait() -> None:
            found.append((await bob.wait_turn(prompt)).id)

        await until(bob, lambda view: prompt in view.queue)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                claim(ana, "t1", 1, [prompt])
                with ana.replica.edit() as (edit, _):
                    edit.set_turn("t1", {"void": True})
                await until(bob, lambda view: bool(view.pending))
                claim(ana, "t2", 2, [prompt])
                with ana.replica.edit() as (edit, _):
                    edit.set_turn("t2", {"started": True})
                    edit.set_turn("t2", {"ended": True, "stop_reason": "end_turn"})
        assert found == ["t2"]


async def test_only_the_running_turn_can_be_cancelled(data: Path) -> None:
    async with two(data) as (ana, bob):
        with pytest.raises(OperationFailed, match="no turn is running"):
            await bob.cancel()
        [prompt] = await waiting(ana, "a")
        claim(ana, "t1", 1, [prompt])
        with ana.replica.edit() as (edit, _):
            edit.set_turn("t1", {"started": True})
        await until(bob, lambda view: view.running is not None)

        with pytest.raises(OperationFailed, match="turn t2 is not running"):
            await bob.cancel("t2")
        assert await bob.cancel("t") == "t1"
        request = bob.view.messages[-1]
        assert (request.role, request.turn) == ("system", "t1")
        assert (request.author, request.extra) == (bob.me.id, {"action": "cancel"})


def question(session: Session, **changes: object) -> None:
    options = [
        {"id": "y!", "label": "Always", "kind": "allow_always"},
        {"id": "y", "label": "Yes", "kind": "allow_once"},
        {"id": "n", "label": "No", "kind": "reject_once"},
    ]
    values = {"number": 1, "turn": "t1", "title": "rm", "options": options, **changes}
    with session.replica.edit() as (edit, _):
        edit.ask("t1.p1", values)  # type: ignore[arg-type]


async def test_votes_choose_the_once_only_answer_and_tell_why(data: Path) -> None:
    async with (
        open_session("x", data=data, name="ana") as ana,
        open_session("x", data=data, name="bob", mode="writer") as bob,
    ):
        claim(ana, "t1", 1, [])
        with ana.replica.edit() as (edit, _):
            edit.set_turn("t1", {"started": True})
        question(ana)
        await until(bob, lambda view: bool(view.open_approvals()))

        await bob.vote(1, allow=True)
        assert bob.view.approvals["t1.p1"].votes == {bob.me.id: "y"}
        await bob.vote("t1.p1", allow=False, why="too risky")
        assert bob.view.approvals["t1.p1"].votes == {bob.me.id: "n"}
        await bob.vote(1, allow=True, option="y!")
        assert bob.view.approvals["t1.p1"].votes == {bob.me.id: "y!"}
        with pytest.raises(UsageError, match="has no such answer"):
            await bob.vote(1, allow=True, option="maybe")
        with pytest.raises(UsageError, match="no permission question 2"):
            await bob.vote(2, allow=True)
        with pytest.raises(UsageError, match="no permission question t9"):
            await bob.vote("t9", allow=True)
        await until(ana, lambda view: view == bob.view)
        assert texts(ana.view, "note") == ["No (1): too risky"]
        assert ana.view.name_of(bob.me.id) == "bob"

        with ana.replica.edit() as (edit, _):
            edit.decide("t1.p1", "y", bob.me.id)
        await until(bob, lambda view: not view.open_approvals())
        with pytest.raises(OperationFailed, match="is closed: y"):
            await bob.vote(1, allow=True)


async def test_a_question_of_a_turn_that_is_over_is_closed(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        claim(ana, "t1", 1, [])
        with ana.replica.edit() as (edit, _):
            edit.set_turn("t1", {"started": True})
            edit.set_turn("t1", {"ended": True})
        question(ana)
        with pytest.raises(OperationFailed, match="its turn is over"):
            await ana.vote(1, allow=True)


# Events and presence.


async def test_the_last_event_tells_why(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        reading = ana.events()
        events = reading.__enter__()
    types = [e.type async for e in events]
    reading.__exit__(None, None, None)

    assert types == ["session.opened", "session.closed"]
    assert ana.closed
    with pytest.raises(OperationFailed, match="was closed"), anyio.fail_after(5):
        await ana.wait_for(lambda _: False)
    with ana.events() as late:
        assert [e.type async for e in late] == ["session.opened"]


async def test_who_was_here_before_is_not_said_to_come(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        with ana.events() as anas:
            async with open_session("x", data=data, name="bob") as bob:
                with bob.events() as bobs:
                    await bob.wait_for(lambda _: len(bob.presence) == 2)
                    await bob.send("here", note=True)
                    types = [e.type for e in await read_until(bobs, "message")]
                    assert types[0] == "session.opened"
                    assert "participant.joined" not in types
                joined = (await read_until(anas, "participant.joined"))[-1]
                assert joined.actor is not None
                assert joined.actor.name == "bob"


async def test_a_reader_that_falls_behind_is_told_to_read_anew(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.session.broadcast.EVENTS_WAITING_MAX", 3)
    async with open_session("x", data=data, name="ana") as ana:
        with ana.events() as events:
            for number in range(9):
                await ana.send(f"{number}", note=True)
            types = [e.type for e in await read_until(events, "reset")]
        assert types == ["reset"]


async def test_a_payload_of_another_version_is_passed_over(data: Path) -> None:
    async with two(data) as (ana, bob):
        await ana.wait_for(lambda _: len(ana.presence) == 2)
        for payload in (b"p", b"p{", b"pnull", b"g", b"gx", b"??"):
            bob.bell.ring(payload)
        await bob.send("still here")
        await until(ana, lambda view: view.message_count == 1)
        assert len(ana.presence) == 2


async def test_the_last_window_folds_a_long_log(data: Path) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        for number in range(250):
            with ana.replica.edit() as (edit, _):
                edit.set_meta({"title": f"t{number}"})
        await ana.flush()
        path = Catalog(data).path(ana.id)
    async with open_sqlite_log(path, clock=ana.place.clock, must_exist=True) as log:
        stored = await log.load(ana.id)
        assert (stored.head > 250, len(stored.updates)) == (True, 0)
    async with open_session("x", data=data, mode="reader") as late:
        assert late.view.meta.title == "t249"


async def test_presence_events_count_people_and_not_windows(data: Path) -> None:
    joined: list[ParticipantJoined | ParticipantLeft] = []
    async with open_session("x", data=data, name="ana") as ana:
        with ana.events() as events:
            for _ in range(2):
                async with (
                    open_session("x", data=data, name="bob"),
                    open_session("x", data=data, name="bob"),
                ):
                    await ana.wait_for(
                        lambda _: sum(len(p.windows) for p in ana.presence) == 3
                    )
                await ana.wait_for(lambda _: len(ana.presence) == 1)
            ana.notify(ParticipantLeft("end", 0))
            with anyio.fail_after(10):
                async for event in events:
                    if isinstance(event.body, ParticipantJoined | ParticipantLeft):
                        if event.body.window == "end":
                            break
                        joined.append(event.body)
    assert [(type(j), j.here) for j in joined] == [
        (ParticipantJoined, 2),
        (ParticipantLeft, 1),
    ] * 2


async def test_two_windows_that_die_at_once_are_one_person_who_left(
    data: Path,
) -> None:
    async with (
        two(data) as (ana, bob),
        open_session("x", data=data, name="bob") as other,
    ):
        await ana.wait_for(lambda _: sum(len(p.windows) for p in ana.presence) == 3)
        with ana.events() as events:
            ana.company.dead([bob.place.window, other.place.window])
            ana.notify(ParticipantLeft("end", 0))
            seen = await read_until(events, "participant.left")
            assert [e.type for e in seen] == ["session.opened", "participant.left"]
            last = await anext(events)
        assert isinstance(last.body, ParticipantLeft)
        assert last.body.window == "end"


async def test_typing_shows_and_ends_with_the_message(data: Path) -> None:
    async with two(data) as (ana, bob):
        await ana.wait_for(lambda _: len(ana.presence) == 2)
        bob.company.note_input(typing=True)
        await ana.wait_for(lambda _: any(p.typing for p in ana.presence))
        await bob.send("done")
        await ana.wait_for(lambda _: not any(p.typing for p in ana.presence))


async def test_an_actor_is_known_by_participant_runner_and_presence(
    data: Path,
) -> None:
    async with open_session("x", data=data, name="ana") as ana:
        me = ana.actor(ana.me.id)
        assert me is not None
        assert (me.name, me.kind) == ("ana", "person")
        assert ana.actor(runner_id(ana.me.id, ana.place.window)) == me
        assert ana.actor("") is None
        stranger = ana.actor("zoe_b")
        assert stranger is not None
        assert (stranger.id, stranger.name) == ("zoe_b", "zoe_b")
