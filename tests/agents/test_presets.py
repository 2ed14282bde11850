"""From what a person says to the agent that is meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from crdtsync.agents import AgentSpec
from crdtsync.agents.commands import Availability, installed, resolve_command
from crdtsync.agents.environment import (
    Origin,
    agent_environment,
    current_turn,
    origin,
    write_turn,
)
from crdtsync.agents.presets import NETWORK_NAMES, agent_spec, preset_names
from crdtsync.errors import UsageError


def test_these_agents_need_no_configuration() -> None:
    assert preset_names() == (
        "demo",
        "claude",
        "codex",
        "gemini",
        "opencode",
        "qwen",
        "vibe",
        "goose",
        "fast-agent",
    )


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_says_how_to_get_it(name: str) -> None:
    spec = agent_spec(name)
    assert (spec.kind, spec.name, bool(spec.install)) == ("acp", name, True)


@pytest.mark.parametrize("name", [each for each in preset_names() if each != "demo"])
def test_each_real_preset_says_how_to_log_in_and_reaches_the_network(name: str) -> None:
    spec = agent_spec(name)
    assert spec.login
    assert spec.version_argv[0] == spec.argv[0]
    assert set(NETWORK_NAMES) < set(spec.env_allow)


def test_a_preset_gets_its_own_keys_and_no_others() -> None:
    environ = dict.fromkeys(
        ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "MISTRAL_API_KEY", "AWS_SECRET_KEY"],
        "k",
    )
    environ |= {"GITHUB_TOKEN": "k", "SSH_AUTH_SOCK": "k", "CRDTSYNC_TOKEN": "k"}
    keys = {
        name: sorted(
            set(agent_environment(environ, allow=agent_spec(name).env_allow))
            & set(environ)
        )
        for name in ("demo", "claude", "codex", "vibe")
    }
    assert keys == {
        "demo": [],
        "claude": ["ANTHROPIC_API_KEY"],
        "codex": ["OPENAI_API_KEY"],
        "vibe": ["MISTRAL_API_KEY"],
    }


def test_a_command_can_be_given_directly() -> None:
    assert agent_spec("exec:llm -m 'a model'") == AgentSpec(
        "exec", "llm", ("llm", "-m", "a model")
    )
    assert agent_spec("acp:/opt/x/agent --acp") == AgentSpec(
        "acp", "agent", ("/opt/x/agent", "--acp")
    )


def test_the_config_adds_agents_and_changes_presets() -> None:
    config: dict[str, dict[str, object]] = {
        "mine": {"kind": "exec", "command": ["x"], "env": ["X_*"], "transcript": True},
        "claude": {"mode": "plan"},
    }
    mine = AgentSpec("exec", "mine", ("x",), env_allow=("X_*",), transcript=True)
    assert agent_spec("mine", config) == mine
    assert agent_spec("claude", config).mode == "plan"
    assert agent_spec("claude", config).argv == ("claude-agent-acp",)


@pytest.mark.parametrize(
    ("wanted", "config", "message", "hint"),
    [
        ("claud", {}, "there is no agent claud", "Did you mean claude?"),
        ("zzz", {}, "there is no agent zzz", "Known: demo, claude"),
        ("min", {"mine": {"command": "x"}}, "no agent min", "Did you mean mine?"),
        ("exec:", {}, "agent exec has no command", "acp:COMMAND"),
        ("acp:'x", {}, "command of agent acp must be a command", ""),
        ("m", {"m": {"mod": "x"}}, "setting of agent m mod", "mode?"),
        ("m", {"m": {"command": "x", "kind": "http"}}, 'must be "acp" or "exec"', ""),
        ("m", {"m": {"command": "x", "env": "KEY"}}, "must be a list of text", ""),
        ("m", {"m": {"command": "x", "set": {"A": 1}}}, "must be a table of text", ""),
        ("m", {"m": {"command": "x", "mode": 1}}, "mode of agent m must be text", ""),
        ("m", {"m": {"command": "x", "transcript": 1}}, "must be true or false", ""),
    ],
)
def test_nonsense_says_what_is_wrong(
    wanted: str, config: dict[str, dict[str, object]], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        agent_spec(wanted, config)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def program(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def test_an_installed_agent_tells_where_and_which_version(tmp_path: Path) -> None:
    path = program(
        tmp_path, "agent-x", "import sys; print('agent-x', '1.2', sys.argv[1])"
    )
    spec = AgentSpec("acp", "x", ("agent-x",), version_argv=("agent-x", "--version"))
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    found = await installed(spec, environ=environ)
    assert found == Availability(path, "agent-x 1.2 --version", "", "")


async def test_a_missing_agent_tells_how_to_get_it() -> None:
    spec = AgentSpec("acp", "x", ("agent-x",), install="Grow one.")
    assert await installed(spec, environ={"PATH": "/nowhere"}) == Availability(
        None, "", "no command agent-x", "Grow one."
    )


async def test_the_demo_agent_is_always_installed() -> None:
    assert (await installed(agent_spec("demo"))).path == sys.executable


async def test_an_alternative_command_is_found(tmp_path: Path) -> None:
    path = program(tmp_path, "old-name", "")
    spec = AgentSpec("acp", "x", ("new-name",), alternatives=(("old-name", "--acp"),))
    assert resolve_command(spec, str(tmp_path)) == (path, "--acp")


def test_a_relative_command_is_resolved_here(tmp_path: Path) -> None:
    path = program(tmp_path, "mine", "")
    relative = os.path.relpath(path)
    spec = AgentSpec("exec", "x", (relative,))
    [found] = resolve_command(spec, "/nowhere")
    assert Path(found).is_absolute()
    assert Path(found).samefile(path)


def test_the_turn_is_found_by_variable_or_file(tmp_path: Path) -> None:
    path = str(tmp_path / "turn")
    assert current_turn({}) == ""
    assert current_turn({"CRDTSYNC_TURN_FILE": path}) == ""
    write_turn(path, "t-1")
    assert current_turn({"CRDTSYNC_TURN_FILE": path}) == "t-1"
    assert current_turn({"CRDTSYNC_TURN_FILE": path, "CRDTSYNC_TURN": "t-2"}) == "t-2"


def test_a_process_knows_on_whose_behalf_it_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "turn")
    acp = {"CRDTSYNC_AS_AGENT": "claude", "CRDTSYNC_TURN_FILE": path}
    assert origin({"CRDTSYNC_SESSION": "sid", "CRDTSYNC_DATA": "/data"}) is None
    assert origin(acp) == Origin("claude")
    write_turn(path, "t-1", 2)
    assert origin(acp) == Origin("claude", "t-1", 2)
    write_turn(path, "")
    assert origin(acp) == Origin("claude")
    told = {"CRDTSYNC_TURN": "t-2", "CRDTSYNC_DEPTH": "three"}
    assert origin(told) == Origin("agent", "t-2", 0)
