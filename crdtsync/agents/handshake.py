"""The first words with an ACP agent: version, session, mode; runs no turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.schema import JsonObject, JsonValue

from .bounds import ID_CHARS_MAX, TITLE_CHARS_MAX, clip_json, read_object, read_text
from .events import Info
from .spec import AgentSpec

if TYPE_CHECKING:
    from .rpc import Rpc

__all__ = ["Opened", "check_servers", "shake_hands"]

PROTOCOL_VERSION: Final = 1
"""Of the Agent Client Protocol."""

_CAPABILITIES: Final[JsonObject] = {
    "fs": {"readTextFile": False, "writeTextFile": False},
    "terminal": False,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What an agent told about itself.

    Attributes:
        session_id: Its id of the session.
        resumed: Whether it has loaded the one that was asked for.
        name: What it calls itself, or "".
        version: Likewise.
        events: Its modes, and whether the wanted one is missing.
    """

    session_id: str
    resumed: bool
    name: str
    version: str
    events: tuple[Info, ...]


async def shake_hands(
    rpc: Rpc,
    spec: AgentSpec,
    cwd: str,
    servers: list[JsonValue],
    resume: str | None,
) -> Opened:
    """Agree on the version, and open or load a session.

    Raises:
        OperationFailed: The agent speaks another version, refuses, or is gone.
    """
    told = await rpc.call(
        "initialize",
        {
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": _CAPABILITIES,
            "clientInfo": {"name": "crdtsync", "version": "1"},
        },
    )
    version = told.get("protocolVersion")
    if version != PROTOCOL_VERSION:
        raise OperationFailed(
            f"it speaks version {version} of the protocol, and this program "
            f"version {PROTOCOL_VERSION}"
        )
    params: JsonObject = {"cwd": cwd, "mcpServers": servers}
    loads = read_object(told.get("agentCapabilities")).get("loadSession")
    loaded = await _load(rpc, params, resume) if loads and resume else None
    session = await rpc.call("session/new", params) if loaded is None else loaded
    session_id = read_text(session.get("sessionId"), ID_CHARS_MAX)
    if loaded is not None and resume:
        session_id = resume
    info = read_object(told.get("agentInfo"))
    modes = read_object(session.get("modes"))
    return Opened(
        session_id=session_id,
        resumed=loaded is not None,
        name=read_text(info.get("name"), TITLE_CHARS_MAX),
        version=read_text(info.get("version"), TITLE_CHARS_MAX),
        events=await _set_mode(rpc, session_id, spec.mode, modes),
    )


def check_servers(mcp: Sequence[Mapping[str, JsonValue]]) -> list[JsonValue]:
    """MCP servers as the protocol wants them.

    Raises:
        UsageError: A command is not absolute; agents look it up in different places.
    """
    for server in mcp:
        command = server.get("command")
        if isinstance(command, str) and not Path(command).is_absolute():
            raise UsageError(f"the command of an MCP server is not absolute: {command}")
    return [dict(server) for server in mcp]


async def _load(rpc: Rpc, params: JsonObject, resume: str) -> JsonObject | None:
    """Load a session; None where that is refused, as when the agent forgot it."""
    with suppress(OperationFailed):
        return await rpc.call("session/load", {**params, "sessionId": resume})
    return None


async def _set_mode(
    rpc: Rpc, session_id: str, wanted: str, modes: JsonObject
) -> tuple[Info, ...]:
    """Set the wanted mode, or tell that the agent has no such mode."""
    listed = modes.get("availableModes")
    offered = [
        read_text(read_object(mode).get("id"), ID_CHARS_MAX)
        for mode in (listed if isinstance(listed, list) else [])
    ]
    if wanted in offered:
        params: JsonObject = {"sessionId": session_id, "modeId": wanted}
        await rpc.call("session/set_mode", params)
        modes = {**modes, "currentModeId": wanted}
    told: tuple[Info, ...] = ()
    if modes:
        told += (Info("modes", read_object(clip_json(modes))),)
    if wanted and wanted not in offered:
        told += (Info("mode_unavailable", {"wanted": wanted, "offered": [*offered]}),)
    return told
