"""Sessions brought in from files: as new ones, and into open ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

from crdtsync.catalog import Catalog
from crdtsync.errors import DataError, NotASession, UsageError
from crdtsync.export import export_session
from crdtsync.merging import import_file, merge_from
from crdtsync.session.opening import open_session
from crdtsync.turns.claim import Claim

HANG = bytes.fromhex("010101000401016104f09f988000")
"""A string in a root that is read as an array: pycrdt would spin for ever."""


async def _say(data: Path, name: str, *texts: str, note: bool = True) -> None:
    async with open_session("plan", data=data, name=name) as session:
        for text in texts:
            await session.send(text, note=note)


async def _export(data: Path, form: str, target: Path) -> Path:
    async with open_session("plan", data=data, mode="reader", name="eva") as session:
        document = session.replica.document
        content = export_session(session.view, document, form, redact=None)  # type: ignore[arg-type]
    await anyio.Path(target).write_bytes(content)
    return target


@pytest.mark.parametrize("form", ["json", "jsonl", "ydoc"])
async def test_an_export_becomes_an_equal_session_elsewhere(
    tmp_path: Path, form: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await _say(here, "ana", "first", "zweitens — ü 😀")
    file = await _export(here, form, tmp_path / f"plan.{form}")
    brought = await import_file(file, data=there)
    assert (brought.name, brought.format, brought.messages) == ("plan", form, 2)
    async with (
        open_session("plan", data=here, mode="reader", name="eva") as one,
        open_session("plan", data=there, mode="reader", name="eva") as two,
    ):
        assert list(one.view.messages) == list(two.view.messages)
        assert one.view.participants == two.view.participants
        assert one.view.meta.title == two.view.meta.title


async def test_a_ydoc_keeps_its_session_unless_it_is_here_already(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await _say(here, "ana", "hello")
    file = await _export(here, "ydoc", tmp_path / "plan.ydoc")
    original = Catalog(here).find("plan").id
    first = await import_file(file, data=there)
    second = await import_file(file, data=there)
    assert first.id == original
    assert second.id != original
    assert (first.name, second.name) == ("plan", "plan-2")


async def test_importing_under_a_taken_name_makes_nothing(tmp_path: Path) -> None:
    await _say(tmp_path / "here", "ana", "hello")
    file = await _export(tmp_path / "here", "json", tmp_path / "plan.json")
    with pytest.raises(UsageError, match="already"):
        await import_file(file, data=tmp_path / "here", name="plan")
    assert len(Catalog(tmp_path / "here").entries()) == 1


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotASession),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", NotASession),
        (b"SQLite format 3\0", NotASession),
        (HANG, DataError),
        (b"\x01\x02\x03", NotASession),
    ],
)
async def test_what_is_no_session_is_refused_and_makes_nothing(
    tmp_path: Path, content: bytes, error: type[DataError]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(error):
        await import_file(file, data=tmp_path / "data")
    assert Catalog(tmp_path / "data").entries() == []


async def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        await import_file(tmp_path / "nothing", data=tmp_path)


async def test_a_copied_folder_merges_both_ways_into_equal_sessions(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await _say(here, "ana", "together")
    shutil.copytree(here, there)
    await _say(here, "ana", "apart 1", "apart 2")
    await _say(there, "bob", "apart 3")
    async with open_session("plan", data=here, name="ana") as session:
        merge = await merge_from(session, there)
        assert merge.messages == 1
        again = await merge_from(session, there)
        assert again.messages == 0
    async with open_session("plan", data=there, name="bob") as session:
        file = await _export(here, "ydoc", tmp_path / "plan.ydoc")
        assert (await merge_from(session, file)).messages == 2
    async with (
        open_session("plan", data=here, mode="reader", name="eva") as one,
        open_session("plan", data=there, mode="reader", name="eva") as two,
    ):
        assert one.view == two.view
        assert {m.text for m in one.view.messages} == {
            "together",
            "apart 1",
            "apart 2",
            "apart 3",
        }


async def test_prompts_that_come_in_wait_for_a_person(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await _say(here, "ana", "together")
    shutil.copytree(here, there)
    await _say(there, "bob", *(f"old prompt {n}" for n in range(100)), note=False)
    async with open_session("plan", data=here, name="ana") as session:
        merge = await merge_from(session, there)
        assert len(merge.held) == 100
        assert all(prompt.held for prompt in session.view.pending)
        mine = await session.send("mine")
        assert not session.view.pending[-1].held
        assert session.view.pending[-1].prompt == mine.id
        released = await session.prompts.release(merge.held[:1])
        assert released == merge.held[:1]


async def test_turns_that_ran_apart_are_shown_beside_the_main_line(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await _say(here, "ana", "together")
    shutil.copytree(here, there)
    for data, name, turn in ((here, "ana", "t-a"), (there, "bob", "t-b")):
        async with open_session("plan", data=data, name=name) as session:
            machine = session.place.identity.machine
            claim = Claim(1, f"arb-{name}", "local", name, machine, "demo", ())
            with session.replica.edit() as (edit, ticket):
                edit.set_turn(turn, {"claim": claim.to_json(), "started": True})  # type: ignore[dict-item]
                edit.set_turn(turn, {"ended": True})
            await ticket.wait()
    async with open_session("plan", data=here, name="ana") as session:
        merge = await merge_from(session, there)
        assert merge.turns == 1
        assert len(merge.apart) == 1
        assert sorted(session.view.reading.classes.values()) == ["main", "parallel"]


async def test_another_session_is_not_merged(tmp_path: Path) -> None:
    await _say(tmp_path / "here", "ana", "one")
    await _say(tmp_path / "there", "bob", "another")
    file = await _export(tmp_path / "there", "ydoc", tmp_path / "plan.ydoc")
    async with open_session("plan", data=tmp_path / "here", name="ana") as session:
        with pytest.raises(UsageError, match="another session"):
            await merge_from(session, file)
        with pytest.raises(UsageError, match="does not hold"):
            await merge_from(session, tmp_path / "there")
        assert session.view.message_count == 1


async def test_a_json_export_cannot_be_merged(tmp_path: Path) -> None:
    await _say(tmp_path / "here", "ana", "one")
    file = await _export(tmp_path / "here", "json", tmp_path / "plan.json")
    async with open_session("plan", data=tmp_path / "here", name="ana") as session:
        with pytest.raises(NotASession, match="cannot be merged"):
            await merge_from(session, file)


async def test_a_poisoned_file_is_refused_before_it_is_applied(tmp_path: Path) -> None:
    await _say(tmp_path / "here", "ana", "one")
    poison = (
        bytes.fromhex("0101010004010108") + b"messages" + bytes.fromhex("04f09f988000")
    )
    (tmp_path / "poison").write_bytes(poison)
    async with open_session("plan", data=tmp_path / "here", name="ana") as session:
        with pytest.raises(DataError, match="is refused"):
            await merge_from(session, tmp_path / "poison")
        assert [m.text for m in session.view.messages] == ["one"]
