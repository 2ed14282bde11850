"""The commands agents and config: what this program could run, and how it is set."""

from __future__ import annotations

import anyio
import typer

from crdtsync.agents.commands import Availability, installed
from crdtsync.agents.presets import agent_spec, preset_names
from crdtsync.agents.spec import AgentSpec
from crdtsync.errors import UsageError
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, JsonValue
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.words import columns

__all__ = ["agents_command", "config_command"]


def agents_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the agents that `--agent` knows, and what is missing for each."""
    call = ctx.ensure_object(Call)
    own = call.settings.agents
    specs: dict[str, AgentSpec] = {}
    for name in dict.fromkeys((*preset_names(), *own)):
        try:
            specs[name] = agent_spec(name, own)
        except UsageError as error:
            call.say(f"warning: {error}")
    found = anyio.run(_look, specs)
    rows = []
    for name, spec in specs.items():
        there = found[name]
        if as_json:
            line: JsonObject = {
                "name": name,
                "kind": spec.kind,
                "command": list[JsonValue](spec.argv),
                "path": there.path,
                "version": there.version,
                "missing": there.missing,
                "install": there.install,
                "login": spec.login,
            }
            call.out(json_line(line))
            continue
        state = clean_line(there.version) or "ready" if there.path else there.missing
        advice = spec.login if there.path else there.install
        rows.append(("ok" if there.path else "--", name, state, clean_line(advice)))
    for text in columns(rows):
        call.out(text)
    if not as_json:
        call.out("any other: --agent acp:COMMAND, --agent exec:COMMAND")


async def _look(specs: dict[str, AgentSpec]) -> dict[str, Availability]:
    found: dict[str, Availability] = {}

    async def look(name: str, spec: AgentSpec) -> None:
        found[name] = await installed(spec)

    async with anyio.create_task_group() as group:
        for name, spec in specs.items():
            group.start_soon(look, name, spec)
    return found


def config_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every setting, its value, and where the value comes from."""
    call = ctx.ensure_object(Call)
    settings = call.settings
    if as_json:
        for setting in settings.values.values():
            line: JsonObject = {
                "key": setting.key.name,
                "value": setting.value,
                "source": setting.source,
                "where": setting.where,
                "env": setting.key.variable,
                "flag": setting.key.flag,
            }
            call.out(json_line(line))
        return
    rows = [
        (s.key.name, clean_line(s.value) or "-", f"{s.source} {s.where}".strip())
        for s in settings.values.values()
    ]
    for text in columns(rows):
        call.out(text)
    exists = "" if settings.file.exists() else " (not there)"
    call.out(f"file: {settings.file}{exists}")
    for name in settings.agents:
        call.out(f"agent: {clean_line(name)}")
