"""What the Agent interface guarantees, whatever an ACP agent does."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import AsyncIterator

import anyio
import pytest

from crdtsync.agents import (
    AgentEvent,
    AgentLimits,
    AgentSpec,
    Info,
    Permission,
    PermissionResolved,
    Plan,
    TextDelta,
    ThoughtDelta,
    Tool,
    TurnEnd,
    Usage,
    open_agent,
)
from crdtsync.errors import OperationFailed, UsageError
from crdtsync.schema import JsonObject

from .stage import (
    END,
    OPTIONS,
    QUICK,
    Steps,
    end_of,
    is_running,
    scripted,
    started,
    text_of,
    turn,
    turn_text,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def tools(events: list[AgentEvent]) -> list[tuple[str, str]]:
    return [(event.id, event.phase) for event in events if isinstance(event, Tool)]


async def test_text_comes_in_order_and_the_turn_ends_once() -> None:
    async with started(scripted([{"count": 2_000}, END])) as agent:
        events = await turn(agent)
    assert text_of(events) == "".join(f"{number} " for number in range(2_000))
    assert events[-1] == TurnEnd("end_turn")


async def test_two_megabytes_of_stderr_do_not_stop_the_turn() -> None:
    flood = {"stderr": {"text": "x" * 1000 + "\n", "times": 2000}}
    async with started(scripted([flood, {"say": "done"}, END])) as agent:
        assert await turn_text(agent) == "done"


async def test_an_echo_of_the_prompt_is_no_text() -> None:
    echo = {
        "sessionUpdate": "user_message_chunk",
        "content": {"type": "text", "text": "hello"},
    }
    async with started(scripted([{"update": echo}, {"say": "hi"}, END])) as agent:
        assert await turn_text(agent) == "hi"


async def test_updates_before_the_session_is_known_are_kept_if_they_are_ephemeral() -> (
    None
):
    early: Steps = [
        {"update": {"sessionUpdate": "available_commands_update"}},
        {"say": "a greeting that belongs to no turn"},
        {"respond": {"sessionId": "s1"}},
    ]
    async with started(scripted(session__new=early)) as agent:
        events = await turn(agent)
    assert events[0] == Info("available_commands_update", {"commands": []})
    assert text_of(events) == ""


async def test_text_right_after_the_response_belongs_to_the_turn() -> None:
    async with started(scripted([{"say": "a"}, END, {"say": "b"}])) as agent:
        assert await turn_text(agent) == "ab"


async def test_updates_of_another_session_are_dropped() -> None:
    chunk = {
        "sessionUpdate": "agent_message_chunk",
        "content": {"type": "text", "text": "not ours"},
    }
    foreign = {"update_of": {"session": "s2", "update": chunk}}
    async with started(scripted([foreign, {"say": "ours"}, END])) as agent:
        assert await turn_text(agent) == "ours"


@pytest.mark.parametrize("call", ["pending", "never announced"])
async def test_a_permission_for_an_unknown_call_is_a_whole_question(call: str) -> None:
    tool = {"toolCallId": call, "title": "rm -rf", "kind": "delete"}
    ask = {"sessionId": "s1", "toolCall": tool, "options": OPTIONS}
    seen: list[AgentEvent] = []
    async with started(scripted([{"ask": ask}, END])) as agent:
        async for event in agent.prompt("go"):
            seen.append(event)
            if isinstance(event, Permission):
                assert (event.tool.title, event.tool.kind) == ("rm -rf", "delete")
                assert [each.kind for each in event.options] == [
                    "allow_once",
                    "reject_once",
                ]
                assert not agent.resolve(event.id, "no such option")
                assert agent.resolve(event.id, "y")
                assert not agent.resolve(event.id, "n")
    assert PermissionResolved("p1", "y") in seen
    assert text_of(seen) == '{"outcome": "selected", "optionId": "y"}'
    assert tools(seen) == []


async def test_a_question_that_nobody_answers_is_closed_with_the_turn() -> None:
    tool = {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "x"}
    ask = {"ask_and_go_on": {"toolCall": {"toolCallId": "t"}, "options": OPTIONS}}
    async with started(scripted([{"update": tool}, ask, END])) as agent:
        events = await turn(agent)
        assert not agent.resolve("p1", "y")
    assert PermissionResolved("p1", None) in events
    assert tools(events)[-1] == ("t", "cancelled")


async def test_unknown_kinds_of_updates_are_told_as_information() -> None:
    steps: Steps = [
        {"update": {"sessionUpdate": "brand_new", "x": [1]}},
        {"say": "hi"},
        END,
    ]
    async with started(scripted(steps)) as agent:
        events = await turn(agent)
    assert events[0] == Info("brand_new", {"x": [1]})
    assert text_of(events) == "hi"


async def test_an_unknown_stop_reason_is_kept() -> None:
    stop = {"respond": {"stopReason": "out_of_coffee"}}
    async with started(scripted([stop])) as agent:
        assert await turn(agent) == [TurnEnd("out_of_coffee")]


async def test_a_tool_that_is_never_closed_has_failed_at_the_end() -> None:
    tool = {"sessionUpdate": "tool_call", "toolCallId": "t", "status": "in_progress"}
    async with started(scripted([{"update": tool}, END])) as agent:
        assert tools(await turn(agent)) == [("t", "in_progress"), ("t", "failed")]


async def test_a_phase_never_leaves_a_terminal_state() -> None:
    def step(status: str) -> dict[str, object]:
        body = {"sessionUpdate": "tool_call_update", "toolCallId": "t"}
        return {"update": {**body, "status": status}}

    words = ["completed", "in_progress", "weird", "failed"]
    async with started(scripted([*map(step, words), END])) as agent:
        assert tools(await turn(agent)) == [("t", "completed")] * 4


async def test_a_death_in_mid_turn_tells_exit_code_and_last_words() -> None:
    steps: Steps = [
        {"update": {"sessionUpdate": "tool_call", "toolCallId": "t"}},
        {"say": "half of it"},
        {"stderr": {"text": "out of memory\n"}},
        {"exit": 7},
    ]
    async with started(scripted(steps)) as agent:
        events = await turn(agent)
        assert text_of(events) == "half of it"
        assert tools(events)[-1] == ("t", "failed")
        assert end_of(events) == TurnEnd(
            "error", "agent scripted: ended with exit code 7: out of memory"
        )
        assert agent.pid is None
        assert end_of(await turn(agent)).stop == "error"


async def test_a_closed_stdout_ends_the_turn_and_the_process() -> None:
    steps: Steps = [{"say": "bye"}, {"close_stdout": True}, {"hang": True}]
    async with started(scripted(steps)) as agent:
        events = await turn(agent)
        assert text_of(events) == "bye"
        assert end_of(events) == TurnEnd("error", "agent scripted: was ended")


async def test_garbage_on_stdout_is_passed_over() -> None:
    steps: Steps = [
        {"raw": "Warning: update available\n\n[1, 2]\n{}\n"},
        {"raw": '{"id": {"a": 1}}\n' + '{"id": true}\n'},
        {"raw": "[" * 50_000 + "\n"},
        {"raw": "\x00\ufffd\n"},
        {"say": "hi"},
        END,
    ]
    async with started(scripted(steps)) as agent:
        assert await turn_text(agent) == "hi"


async def test_a_command_list_of_600_kilobytes_becomes_small() -> None:
    async with started(scripted([{"commands": 500}, {"say": "hi"}, END])) as agent:
        events = await turn(agent)
    [info] = [event for event in events if isinstance(event, Info)]
    assert len(json.dumps(info.data)) < 80_000
    listed = info.data["commands"]
    assert isinstance(listed, list)
    assert listed[0] == {"name": "deploy", "description": "d" * 99 + "…"}
    assert text_of(events) == "hi"


async def test_a_line_above_the_limit_ends_the_agent() -> None:
    limits = AgentLimits(handshake_s=20, line_bytes_max=100_000, term_grace_s=0.3)
    steps: Steps = [{"long_line": 300_000}, {"hang": True}]
    async with started(scripted(steps), limits=limits) as agent:
        events = await turn(agent)
    assert "too long" in (end_of(events).error or "")


async def test_an_agent_of_another_version_is_refused() -> None:
    answer: Steps = [{"respond": {"protocolVersion": 2}}]
    with pytest.raises(OperationFailed, match="speaks version 2 of the protocol"):
        async with started(scripted(initialize=answer)):
            pass


async def test_a_missing_login_says_how_to_log_in() -> None:
    error = {"code": -32000, "message": "Authentication required"}
    base = scripted(session__new=[{"error": error}])
    spec = AgentSpec("acp", "scripted", base.argv, login="Run `x login`.")
    with pytest.raises(OperationFailed, match="Authentication required") as caught:
        async with started(spec):
            pass
    assert caught.value.hint == "Run `x login`."


async def test_an_agent_that_hangs_at_the_start_is_given_up_and_ended() -> None:
    importlib.import_module("crdtsync.agents.rpc")  # takes longer than the limit
    limits = AgentLimits(handshake_s=1.5, eof_grace_s=0.1, term_grace_s=0.1)
    words: Steps = [{"stderr": {"text": "loading"}}, {"hang": True}]
    async with open_agent(scripted(initialize=words), limits=limits) as agent:
        with pytest.raises(OperationFailed, match=r"within 1.5 s: .*loading"):
            await agent.start("/")
        assert agent.pid is None


async def test_a_death_at_the_start_tells_the_last_words() -> None:
    words: Steps = [{"stderr": {"text": "no such model"}}, {"exit": 3}]
    with pytest.raises(OperationFailed, match="exit code 3: no such model"):
        async with started(scripted(initialize=words)):
            pass


async def test_a_missing_command_says_how_to_get_it() -> None:
    spec = AgentSpec("acp", "ghost", ("no-such-agent",), install="Grow one.")
    async with open_agent(spec) as agent:
        with pytest.raises(UsageError, match="ghost is not installed") as caught:
            await agent.start("/")
    assert caught.value.hint == "Grow one."


async def test_a_second_prompt_during_a_turn_ends_at_once() -> None:
    steps: Steps = [{"say": "first"}, {"wait_for_cancel": True}, END]
    async with started(scripted(steps)) as agent:
        running = agent.prompt("one")
        assert await anext(running) == TextDelta("first")
        assert end_of(await turn(agent)) == TurnEnd(
            "error", "agent scripted is busy with another turn"
        )
        await agent.cancel()
        assert [event async for event in running] == [TurnEnd("cancelled")]


async def test_a_cancel_closes_questions_and_tools() -> None:
    tool = {"toolCallId": "t", "title": "rm"}
    steps: Steps = [
        {"update": {"sessionUpdate": "tool_call", **tool}},
        {"ask": {"sessionId": "s1", "toolCall": tool, "options": OPTIONS}},
        {"wait_for_cancel": True},
        END,
    ]
    seen: list[AgentEvent] = []
    async with started(scripted(steps)) as agent, anyio.create_task_group() as tasks:
        async for event in agent.prompt("go"):
            seen.append(event)
            if isinstance(event, Permission):
                tasks.start_soon(agent.cancel)
        assert agent.pid is not None
    assert PermissionResolved("p1", None) in seen
    assert text_of(seen) == '{"outcome": "cancelled"}'
    assert (tools(seen)[-1], seen[-1]) == (("t", "cancelled"), TurnEnd("cancelled"))


async def test_an_error_in_answer_to_a_cancel_is_a_cancel() -> None:
    error = {"error": {"code": -32603, "message": "aborted"}}
    steps: Steps = [{"say": "x"}, {"wait_for_cancel": True}, error]
    async with started(scripted(steps, [{"say": "again"}, END])) as agent:
        running = agent.prompt("one")
        await anext(running)
        await agent.cancel()
        assert [event async for event in running] == [TurnEnd("cancelled")]
        assert await turn_text(agent) == "again"


async def test_an_agent_that_ignores_the_cancel_is_killed_with_its_children() -> None:
    steps: Steps = [{"ignore_signals": True}, {"grandchild": True}, {"hang": True}]
    limits = AgentLimits(handshake_s=20, cancel_grace_s=0.3, term_grace_s=0.3)
    async with started(scripted(steps), limits=limits) as agent:
        running = agent.prompt("one")
        first = await anext(running)
        assert isinstance(first, TextDelta)
        pid = agent.pid
        with anyio.fail_after(2):
            await agent.cancel()
        rest = [event async for event in running]
        assert rest == [
            TurnEnd("cancelled", "agent scripted was ended to stop the turn")
        ]
        assert agent.pid is None
    assert pid is not None
    assert not is_running(pid)
    assert not is_running(int(first.text))


async def test_closing_leaves_nothing_of_the_group() -> None:
    steps: Steps = [{"ignore_signals": True}, {"grandchild": True}, END, {"hang": True}]
    async with started(scripted(steps)) as agent:
        pids = [agent.pid or 0, int(await turn_text(agent))]
        assert [is_running(pid) for pid in pids] == [True, True]
    assert [is_running(pid) for pid in pids] == [False, False]


async def test_leaving_a_turn_early_cancels_it() -> None:
    steps: Steps = [{"say": "a"}, {"wait_for_cancel": True}, END]
    async with started(scripted(steps, [{"say": "b"}, END])) as agent:
        running = agent.prompt("one")
        assert isinstance(running, AsyncIterator)
        await anext(running)
        await running.aclose()  # type: ignore[attr-defined]
        await agent.cancel()
        assert await turn_text(agent) == "b"


async def test_unadvertised_calls_are_refused() -> None:
    calls = ["fs/read_text_file", "fs/write_text_file", "terminal/create", "_x/ask"]
    steps: Steps = [{"call": call} for call in calls]
    async with started(scripted([*steps, END])) as agent:
        assert await turn_text(agent) == "-32601" * 4


async def test_a_slow_reader_holds_the_agent_back_and_loses_nothing() -> None:
    limits = AgentLimits(handshake_s=20, events_max=4, term_grace_s=0.3)
    async with started(scripted([{"count": 3000}, END]), limits=limits) as agent:
        seen: list[AgentEvent] = []
        async for event in agent.prompt("go"):
            seen.append(event)
            await anyio.lowlevel.checkpoint()
    assert text_of(seen) == "".join(f"{number} " for number in range(3000))


async def test_a_reader_that_stopped_does_not_hold_up_the_close() -> None:
    limits = AgentLimits(handshake_s=20, events_max=4, term_grace_s=0.3)
    async with started(scripted([{"count": 50_000}, END]), limits=limits) as agent:
        running = agent.prompt("go")
        await anext(running)
        pid = agent.pid or 0
    assert not is_running(pid)
    await running.aclose()  # type: ignore[attr-defined]


async def test_a_character_cut_in_two_is_joined() -> None:
    def chunk(text: str) -> dict[str, object]:
        content = {"type": "text", "text": text}
        return {"update": {"sessionUpdate": "agent_message_chunk", "content": content}}

    steps: Steps = [chunk("a\ud83d"), chunk("\ude00b"), chunk(""), chunk("\ud83d"), END]
    async with started(scripted(steps)) as agent:
        assert await turn_text(agent) == "a😀b\ufffd"


async def test_thoughts_plans_and_usage_are_told() -> None:
    thought = {"type": "text", "text": "hm"}
    entries: list[object] = [
        {"content": "dig", "status": "pending", "priority": "high"}
    ]
    cost = {"amount": 0.25, "currency": "USD"}
    steps: Steps = [
        {"update": {"sessionUpdate": "agent_thought_chunk", "content": thought}},
        {"update": {"sessionUpdate": "plan", "entries": entries}},
        {"update": {"sessionUpdate": "usage_update", "used": 5, "size": 9}},
        {"update": {"sessionUpdate": "usage_update", "used": 6, "cost": cost}},
        {
            "respond": {
                "stopReason": "end_turn",
                "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
            }
        },
    ]
    async with started(scripted(steps)) as agent:
        events = await turn(agent)
    assert events[0] == ThoughtDelta("hm")
    assert isinstance(events[1], Plan)
    assert (events[1].entries[0].text, events[1].entries[0].priority) == ("dig", "high")
    assert events[-2] == Usage(6, 9, 3, 4, 0.25, "USD")


async def test_the_wanted_mode_is_set_and_a_missing_one_is_told() -> None:
    modes: JsonObject = {
        "currentModeId": "a",
        "availableModes": [{"id": "a"}, {"id": "b"}],
    }
    new: Steps = [{"respond": {"sessionId": "s1", "modes": modes}}]
    argv = scripted(session__new=new).argv
    async with started(AgentSpec("acp", "x", argv, mode="b")) as agent:
        events = await turn(agent)
    assert events[0] == Info("modes", {**modes, "currentModeId": "b"})
    async with started(AgentSpec("acp", "x", argv, mode="c")) as agent:
        events = await turn(agent)
    assert events[1] == Info("mode_unavailable", {"wanted": "c", "offered": ["a", "b"]})


LOADS: Steps = [
    {"respond": {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}}
]


async def test_a_session_is_resumed_and_its_history_is_not_told_again() -> None:
    load: Steps = [
        {"update_of": {"session": "old", "update": {"sessionUpdate": "tool_call"}}},
        {"respond": {}},
    ]
    spec = scripted([{"echo": True}, END], initialize=LOADS, session__load=load)
    with anyio.fail_after(30):
        async with open_agent(spec, limits=QUICK) as agent:
            await agent.start("/", resume="old")
            assert agent.session_id == "old"
            assert await turn(agent) == [TurnEnd("end_turn")]


async def test_a_session_that_cannot_be_loaded_is_opened_anew() -> None:
    refusal: Steps = [{"error": {"code": -32602, "message": "unknown session"}}]
    spec = scripted([{"say": "hi"}, END], initialize=LOADS, session__load=refusal)
    with anyio.fail_after(30):
        async with open_agent(spec, limits=QUICK) as agent:
            await agent.start("/", resume="old")
            assert agent.session_id == "s1"
            assert await turn_text(agent) == "hi"


async def test_the_environment_is_the_allow_list_and_the_session() -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/ana",
        "LC_ALL": "C.UTF-8",
        "GITHUB_TOKEN": "planted",
        "OPENAI_API_KEY": "planted",
        "CRDTSYNC_TOKEN": "planted",
        "ANTHROPIC_API_KEY": "wanted",
    }
    steps: Steps = [{"environment": True}, END]
    spec = AgentSpec(
        "acp", "x", scripted(steps).argv, env_allow=("ANTHROPIC_*",), env_set={"A": "b"}
    )
    async with started(spec, environ=environ, session="sid", data="/data") as agent:
        told = json.loads(await turn_text(agent))
    told.pop("CRDTSYNC_TURN_FILE")
    told.pop("LC_CTYPE", None)
    assert told == {
        "PATH": os.environ["PATH"],
        "HOME": "/home/ana",
        "LC_ALL": "C.UTF-8",
        "ANTHROPIC_API_KEY": "wanted",
        "A": "b",
        "CRDTSYNC_SESSION": "sid",
        "CRDTSYNC_DATA": "/data",
        "CRDTSYNC_AS_AGENT": "x",
    }


async def test_the_tools_of_an_agent_find_the_turn_in_a_file() -> None:
    async with started(scripted([{"turn_file": True}, END])) as agent:
        assert await turn_text(agent, turn="t-1") == "t-1\n0\n"
        assert await turn_text(agent, turn="t-2", depth=2) == "t-2\n2\n"
        assert await turn_text(agent) == ""


async def test_an_mcp_command_must_be_absolute() -> None:
    async with open_agent(scripted(), limits=QUICK) as agent:
        with pytest.raises(UsageError, match="not absolute: server"):
            await agent.start("/", mcp=[{"name": "x", "command": "server"}])


async def test_a_relative_working_folder_is_refused() -> None:
    async with open_agent(scripted(), limits=QUICK) as agent:
        with pytest.raises(UsageError, match="no folder to work in"):
            await agent.start("src")


async def test_a_prompt_before_the_start_ends_with_an_error() -> None:
    async with open_agent(scripted(), limits=QUICK) as agent:
        assert await turn(agent) == [
            TurnEnd("error", "agent scripted has not been started")
        ]


async def test_an_error_inside_the_block_comes_out_as_itself() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with started(scripted()):
            raise KeyError("mine")


async def test_only_a_turn_imports_the_sdk() -> None:
    code = (
        "import sys, crdtsync.agents, crdtsync.agents.presets, crdtsync.agents.acp\n"
        "print([m for m in ('acp', 'pydantic') if m in sys.modules])"
    )
    done = await anyio.run_process([sys.executable, "-c", code])
    assert done.stdout.strip() == b"[]"


async def test_a_question_after_the_cancel_is_closed_at_once() -> None:
    ask = {"sessionId": "s1", "toolCall": {"toolCallId": "t"}, "options": OPTIONS}
    steps: Steps = [{"say": "x"}, {"wait_for_cancel": True}, {"ask": ask}, END]
    async with started(scripted(steps)) as agent:
        running = agent.prompt("one")
        await anext(running)
        await agent.cancel()
        rest = [event async for event in running]
        assert agent.pid is not None
    assert not [event for event in rest if isinstance(event, Permission)]
    assert text_of(rest) == '{"outcome": "cancelled"}'
