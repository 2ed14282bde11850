"""Being called otherwise in one session."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from crdtsync.errors import UsageError
from crdtsync.session.naming import take_name
from crdtsync.session.opening import open_session


async def test_everybody_sees_the_new_name_and_who_had_it(tmp_path: Path) -> None:
    async with (
        open_session("talk", data=tmp_path, name="ana") as ana,
        open_session("talk", data=tmp_path, name="bob") as bob,
    ):
        await ana.send("hello", note=True)
        key = ana.me.id
        await take_name(ana, "Anna Maria")
        assert ana.me.id == key
        with anyio.fail_after(20):
            await bob.wait_for(lambda view: view.name_of(key) == "Anna Maria")
            await bob.wait_for(
                lambda view: view.tail(1)[0].text == "was called ana until now"
            )
            await bob.wait_for(
                lambda _: "Anna Maria" in {person.name for person in bob.presence}
            )


async def test_the_session_remembers_the_name(tmp_path: Path) -> None:
    async with open_session("talk", data=tmp_path, name="ana") as ana:
        await take_name(ana, "anna")
    async with open_session("talk", data=tmp_path, name="ana") as again:
        assert again.me.name == "anna"
        assert [person.name for person in again.presence] == ["anna"]
    async with open_session("other", data=tmp_path, name="ana") as other:
        assert other.me.name == "ana"


async def test_nobody_takes_a_name_that_somebody_has(tmp_path: Path) -> None:
    async with open_session("talk", data=tmp_path, name="bob") as bob:
        await bob.send("mine", note=True)
    async with open_session("talk", data=tmp_path, name="ana") as ana:
        with pytest.raises(UsageError, match="somebody here is called 'Bob' already"):
            await take_name(ana, "Bob")
        assert ana.view.message_count == 1
