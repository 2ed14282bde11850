"""What typed lines do, in any kind of window."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from crdtsync_cli.actions import act
from crdtsync_cli.attention import Attention
from crdtsync_cli.reply import Reply
from crdtsync_cli.rights import role_here
from crdtsync_cli.slash import REGISTRY, read_line

from crdtsync.catalog import Catalog
from crdtsync.errors import AccessDenied, CrdtSyncError, OperationFailed, UsageError
from crdtsync.session import Session
from crdtsync.session.opening import open_session

from .agentless import ask, end_turn, run_tool, start_turn


class Talk:
    """Two windows of a session, without an agent."""

    def __init__(self, ana: Session, bob: Session) -> None:
        self.ana = ana
        self.bob = bob
        self.attention = Attention()

    async def do(self, line: str, session: Session | None = None) -> Reply:
        typed = read_line(line)
        assert typed is not None
        return await act(session or self.ana, typed, self.attention)

    async def lines(self, line: str) -> list[str]:
        return list((await self.do(line)).lines)


@asynccontextmanager
async def talk(data: Path) -> AsyncGenerator[Talk]:
    async with (
        open_session("talk", data=data, name="ana") as ana,
        open_session("talk", data=data, name="bob") as bob,
    ):
        await ana.wait_for(lambda _: len(ana.presence) == 2)
        yield Talk(ana, bob)


async def test_every_command_does_something_or_says_why_not(tmp_path: Path) -> None:
    arguments = {
        "join": "nowhere",
        "export": f"md {tmp_path / 'talk.md'}",
        "note": "psst",
        "title": "Plan",
        "nick": "anna",
        "interrupt": "stop that",
        "search": "psst",
        "allow": "1",
        "deny": "1",
    }
    async with talk(tmp_path) as here:
        refused: list[str] = []
        for slash in REGISTRY:
            line = f"/{slash.name} {arguments.get(slash.name, '')}".strip()
            try:
                reply = await here.do(line)
            except CrdtSyncError:
                refused.append(slash.name)
                continue
            done = (reply.lines, reply.sent, reply.leave, reply.clear, reply.theme)
            assert any(done) or slash.name in {"title", "nick"}, slash.name
    # No turn runs, no question is open, nothing was answered, nowhere is no link.
    assert {"cancel", "allow", "deny", "copy", "join"} <= set(refused)


async def test_the_queue_is_moved_edited_dropped_and_cleared(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        for text in ("one", "two", "three"):
            await here.do(text)
        await here.bob.wait_for(lambda view: len(view.pending) == 3)
        await here.bob.send("four")
        await here.ana.wait_for(lambda view: len(view.pending) == 4)
        moved = await here.lines("/queue move 3 1")
        assert [line.split('"')[1] for line in moved] == ["three", "one", "two", "four"]
        edited = await here.lines("/queue edit 2 ONE, please")
        assert [line.split('"')[1] for line in edited] == [
            *("three", "ONE, please", "two", "four")
        ]
        dropped = await here.lines("/queue drop 1")
        assert len(dropped) == 3
        assert await here.lines("/queue run") == ["no prompt is held back"]
        assert await here.lines("/queue clear") == [
            "dropped 2 prompts of yours",
            "1 of others still wait:",
            '1  bob  "four"',
        ]
        with pytest.raises(UsageError, match="nothing waits at position 9"):
            await here.do("/queue drop 9")
        with pytest.raises(UsageError, match="/queue cannot do 'fly'"):
            await here.do("/queue fly")


async def test_a_viewer_is_told_why_and_nothing_is_written(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        place = here.ana.place
        here.ana.place = replace(place, viewer=True)
        assert role_here(here.ana) == ("viewer", "you may only look")
        for line in ("hello", "/note hello", "/title x", "/queue clear", "/nick anna"):
            with pytest.raises(AccessDenied, match="you are a viewer of this session"):
                await here.do(line)
        assert (await here.lines("/role"))[0] == "you are viewer: you may only look"
        assert await here.lines("/queue") == ["nothing waits"]
        assert here.ana.view.message_count == 0
        here.ana.place = place
        await here.do("hello")


async def test_a_relay_that_takes_nothing_makes_a_viewer(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        status = SimpleNamespace(reason="look only", role="viewer", features=None)
        link = SimpleNamespace(name="relay", state="read-only", status=status)
        here.ana.links.append(link)  # type: ignore[arg-type]
        with pytest.raises(AccessDenied, match="you are a viewer here: look only"):
            await here.do("hello")
        link.state, status.role = "live", "editor"
        assert role_here(here.ana) == ("editor", "you are linked to relay")
        status.role = "owner"
        assert role_here(here.ana)[0] == "owner"
        here.ana.links.clear()


async def test_activity_lists_what_was_done_and_by_whom(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        prompt = await here.bob.send("test it")
        start_turn(here.bob, prompt.id)
        run_tool(here.bob, "t1/c1", "pytest -q", "".join(f"{n}\n" for n in range(300)))
        ask(here.bob, 7)
        end_turn(here.bob)
        await here.ana.wait_for(lambda view: bool(view.turns) and view.running is None)
        shown = [line[10:] for line in await here.lines("/activity")]
        assert shown == [
            '1    turn        bob  demo started  "test it"',
            "1.1  shell       bob  pytest -q  ok  0.0s  exit 0",
            "     permission  bob  #7 rm -r build/  open",
            "1    turn        bob  done",
        ]
        assert len(await here.lines("/activity @bob shell")) == 1
        assert await here.lines("/activity @ana") == ["nothing was done yet"]
        whole = await here.lines("/activity 1.1")
        assert whole[0] == "1.1  shell  pytest -q  ok  0.0s  exit 0"
        assert [line.strip() for line in whole[1:]] == [str(n) for n in range(300)]
        assert await here.lines("/activity last") == whole
        assert await here.lines("/activity 1") == whole
        for wrong in ("1.2", "2", "9.9", "1.x"):
            with pytest.raises(UsageError, match=f"there is no tool {wrong}"):
                await here.do(f"/activity {wrong}")
        with pytest.raises(UsageError, match="nothing of the kind 'flying'"):
            await here.do("/activity flying")


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ('{"text": "one\\ntwo"}', ["  one", "  two"]),
        ('{"output": "one"}', ["  one"]),
        ('{"text": "one", "more": 2}', ['  {"text": "one", "more": 2}']),
        ('{"text": 1}', ['  {"text": 1}']),
        ('{"text":', ['  {"text":']),
    ],
)
async def test_what_a_tool_printed_is_shown_without_its_wrapping(
    tmp_path: Path, output: str, shown: list[str]
) -> None:
    async with talk(tmp_path) as here:
        prompt = await here.bob.send("read it")
        start_turn(here.bob, prompt.id)
        run_tool(here.bob, "t1/c1", "read", output)
        await here.ana.wait_for(lambda view: bool(view.tools))
        assert (await here.lines("/activity 1.1"))[1:] == shown


async def test_activity_remembers_who_came_and_went(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        with here.ana.events() as events:
            async with open_session("talk", data=tmp_path, name="cy"):
                async for event in events:
                    here.attention.note(event)
                    if event.type == "participant.joined":
                        break
            async for event in events:
                here.attention.note(event)
                if event.type == "participant.left":
                    break
        shown = [
            line.split(maxsplit=1)[1] for line in await here.lines("/activity people")
        ]
        assert shown == ["people  cy  joined", "people  cy  left"]


async def test_followed_tools_are_shown_and_the_others_see_it(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        assert await here.lines("/follow BOB") == [
            "you follow bob: what the tools print in their turns is shown here"
        ]
        prompt = await here.bob.send("test it")
        with here.ana.events() as events:
            start_turn(here.bob, prompt.id)
            run_tool(here.bob, "t1/c1", "make", "".join(f"{n}\n" for n in range(25)))
            printed: list[str] = []
            async for event in events:
                printed += here.attention.followed(here.ana, event)
                if printed:
                    break
        assert printed[:3] == [
            "1.1  shell  make  ok  0.0s  exit 0",
            "  ... 5 earlier rows: /activity 1.1",
            "  5",
        ]
        assert len(printed) == 22

        def follows(name: str) -> bool:
            windows = (w for p in here.bob.presence for w in p.windows)
            return any(w.following == name for w in windows)

        await here.bob.wait_for(lambda _: follows(here.bob.me.id))
        assert await here.lines("/follow off") == ["you follow nobody"]
        await here.bob.wait_for(lambda _: not follows(here.bob.me.id))
        with pytest.raises(UsageError, match="nobody here is called 'bobb'") as caught:
            await here.do("/follow bobb")
        assert caught.value.hint == "Did you mean bob?"


async def test_the_muted_are_hidden_in_this_window_alone(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        assert await here.lines("/mute @bob") == ["muted in this window: bob"]
        await here.bob.send("psst", note=True)
        with here.ana.events() as events:
            await here.bob.send("pssst", note=True)
            async for event in events:
                if event.type == "message":
                    assert here.attention.hides(event)
                    break
        assert await here.lines("/mute bob") == ["nobody is muted here"]
        assert not here.attention.hides(event)
        with pytest.raises(UsageError, match="you cannot mute yourself"):
            await here.do("/mute ana")


async def test_a_turn_is_stopped_by_its_number(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        prompt = await here.bob.send("test it")
        start_turn(here.bob, prompt.id)
        await here.ana.wait_for(lambda view: view.running is not None)
        with pytest.raises(OperationFailed, match="turn 2 is not running"):
            await here.do("/cancel 2")
        assert await here.lines("/cancel 1") == []
        assert here.ana.view.messages[-1].turn == "t1"


async def test_history_takes_a_number_or_a_text(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        for text in ("the parser", "the lexer", "both"):
            await here.do(f"/note {text}")
        assert [x[11:] for x in await here.lines("/history 2")] == [
            "<ana> (note) the lexer",
            "<ana> (note) both",
        ]
        assert [x[11:] for x in await here.lines("/history The Par")] == [
            "<ana> (note) the parser"
        ]
        assert await here.lines("/history nothing like it") == ["nothing found"]


async def test_a_fork_goes_on_from_here(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        await here.do("a prompt that waits")
        assert await here.lines("/fork another-way") == [
            "another-way goes on from here: crdtsync another-way",
            "1 prompt wait there: /queue run",
        ]
        found = Catalog(tmp_path).find("another-way")
        assert (found.title, found.messages, found.people) == (
            "talk (fork)",
            1,
            ("ana", "bob"),
        )


async def test_only_answers_are_copied(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        await here.do("/note hello")
        with pytest.raises(OperationFailed, match="no such answer"):
            await here.do("/copy")


async def test_themes_are_known(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        assert (await here.do("/theme light")).theme == "light"
        assert await here.lines("/theme") == ["themes: dark, light, none"]
        with pytest.raises(UsageError, match="there is no theme 'pink'"):
            await here.do("/theme pink")


async def test_an_export_is_written(tmp_path: Path) -> None:
    async with talk(tmp_path) as here:
        await here.do("/note hello")
        target = tmp_path / "the export.json"
        assert await here.lines(f"/export json {target}") == [f"written to {target}"]
        assert json.loads(target.read_text())
