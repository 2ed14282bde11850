"""Any command as an agent, on both event loops."""

from __future__ import annotations

import json
import os
import sys

import anyio
import pytest

from crdtsync.agents import AgentLimits, AgentSpec, TextDelta, TurnEnd, open_agent
from crdtsync.agents.context import Said, whole_conversation
from crdtsync.errors import UsageError

from .stage import QUICK, end_of, is_running, started, text_of, turn, turn_text


def command(code: str) -> AgentSpec:
    return AgentSpec("exec", "script", (sys.executable, "-c", code))


async def test_the_prompt_goes_in_and_the_answer_comes_out() -> None:
    async with started(AgentSpec("exec", "cat", ("cat",))) as agent:
        events = await turn(agent, "héllo")
        assert (agent.remembers, agent.pid) == (False, None)
    assert text_of(events) == "héllo"
    assert events[-1] == TurnEnd("end_turn")


async def test_a_character_may_come_in_two_pieces() -> None:
    code = (
        "import sys, time\n"
        "for b in 'a€😀'.encode() + b'\\xff\\xf0\\x9f':\n"
        "    sys.stdout.buffer.write(bytes([b])); sys.stdout.flush(); time.sleep(.002)"
    )
    async with started(command(code)) as agent:
        assert await turn_text(agent) == "a€😀\ufffd\ufffd"


async def test_a_failure_tells_exit_code_and_the_tail_of_stderr() -> None:
    code = (
        "import sys; print('half'); print('x' * 99_999, file=sys.stderr);"
        "print('no key', file=sys.stderr); sys.exit(4)"
    )
    async with started(command(code)) as agent:
        events = await turn(agent)
    end = end_of(events)
    assert (text_of(events), end.stop) == ("half\n", "error")
    assert end.error is not None
    assert "ended with exit code 4: xxx" in end.error
    assert end.error.endswith("x\nno key")
    assert len(end.error) < 2200


async def test_a_command_that_reads_nothing_of_a_large_prompt_is_fine() -> None:
    async with started(command("print('ok')")) as agent:
        assert await turn_text(agent, "x" * 5_000_000) == "ok\n"


async def test_a_cancel_ends_the_whole_group() -> None:
    code = (
        "import subprocess, sys, time\n"
        "inner = 'import signal; signal.signal(15, signal.SIG_IGN);'\n"
        "inner += 'print(1, flush=True); signal.pause()'\n"
        "c = subprocess.Popen([sys.executable, '-c', inner], stdout=-1)\n"
        "c.stdout.readline(); print(c.pid, flush=True); time.sleep(99)"
    )
    async with started(command(code)) as agent:
        running = agent.prompt("go")
        first = await anext(running)
        assert isinstance(first, TextDelta)
        pids = [agent.pid or 0, int(first.text)]
        assert [is_running(pid) for pid in pids] == [True, True]
        await agent.cancel()
        assert [event async for event in running] == [TurnEnd("cancelled")]
    assert [is_running(pid) for pid in pids] == [False, False]


async def test_what_a_command_leaves_behind_is_ended_with_the_turn() -> None:
    code = (
        "import subprocess, sys; c = subprocess.Popen(['sleep', '99'])\n"
        "print(c.pid, flush=True)"
    )
    async with started(command(code)) as agent:
        pid = int(await turn_text(agent))
    assert not is_running(pid)


async def test_an_escaped_process_that_holds_the_pipe_does_not_hold_the_turn() -> None:
    code = (
        "import subprocess; c = subprocess.Popen(['sleep', '5'], "
        "start_new_session=True); print(c.pid, flush=True)"
    )
    async with started(command(code)) as agent:
        with anyio.fail_after(4):
            pid = int(await turn_text(agent))
    os.kill(pid, 9)


async def test_a_flood_waits_for_its_reader() -> None:
    limits = AgentLimits(events_max=2, term_grace_s=0.3)
    code = "for n in range(100_000): print(n)"
    async with started(command(code), limits=limits) as agent:
        text = ""
        async for event in agent.prompt("go"):
            text += event.text if isinstance(event, TextDelta) else ""
            await anyio.lowlevel.checkpoint()
    assert text.split() == [str(number) for number in range(100_000)]


async def test_each_turn_knows_its_session_and_its_id_and_no_secret() -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    environ = {"PATH": os.environ["PATH"], "HOME": "/home/ana", "GH_TOKEN": "planted"}
    async with started(
        command(code), environ=environ, session="sid", data="/data"
    ) as agent:
        told = json.loads(await turn_text(agent, turn="t-1", depth=2))
    told.pop("LC_CTYPE", None)
    # A measured child puts these there itself, whatever it was given.
    told = {k: v for k, v in told.items() if not k.startswith("COVERAGE_")}
    assert told == {
        "PATH": os.environ["PATH"],
        "HOME": "/home/ana",
        "CRDTSYNC_SESSION": "sid",
        "CRDTSYNC_TURN": "t-1",
        "CRDTSYNC_DEPTH": "2",
        "CRDTSYNC_DATA": "/data",
        "CRDTSYNC_AS_AGENT": "script",
    }


async def test_the_conversation_can_go_along_on_stdin() -> None:
    said = [Said("ana", "user", "my name is ana"), Said("ana", "note", "secret")]
    async with started(AgentSpec("exec", "cat", ("cat",), transcript=True)) as agent:
        text = await turn_text(agent, whole_conversation("who am I?", said))
    assert "> my name is ana" in text
    assert text.endswith("\n\nwho am I?")
    assert "secret" not in text


async def test_two_turns_do_not_overlap() -> None:
    async with started(
        command("import time; print(1, flush=True); time.sleep(99)")
    ) as (agent):
        running = agent.prompt("one")
        await anext(running)
        assert (
            end_of(await turn(agent)).error == "agent script is busy with another turn"
        )
        await agent.cancel()
        assert [event async for event in running] == [TurnEnd("cancelled")]


async def test_a_closed_agent_runs_nothing() -> None:
    async with started(command("print(1)")) as agent:
        await agent.close()
        assert await turn(agent) == [TurnEnd("error", "agent script was closed")]


async def test_a_missing_command_is_told_at_the_start() -> None:
    async with open_agent(AgentSpec("exec", "x", ("no-such",)), limits=QUICK) as agent:
        with pytest.raises(UsageError, match="no command no-such"):
            await agent.start("/")


async def test_acp_on_trio_is_refused_with_a_reason(anyio_backend_name: str) -> None:
    if anyio_backend_name == "asyncio":
        pytest.skip("asyncio is what it runs on")
    with pytest.raises(UsageError, match="runs on asyncio only"):
        async with open_agent(AgentSpec("acp", "x", ("cat",))):
            pass


async def test_leaving_a_turn_early_cancels_it() -> None:
    code = "import time; print(1, flush=True); time.sleep(99)"
    async with started(command(code)) as agent:
        running = agent.prompt("one")
        await anext(running)
        pid = agent.pid or 0
        await running.aclose()  # type: ignore[attr-defined]
        await agent.cancel()
        assert not is_running(pid)
