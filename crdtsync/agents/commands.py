"""Is an agent installed, and which version; starts nothing but its version command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from crdtsync.errors import OperationFailed, UsageError

from .environment import agent_environment
from .process import open_child
from .spec import AgentLimits, AgentSpec

__all__ = ["Availability", "check_folder", "installed", "resolve_command"]

VERSION_S = 10.0
"""How long to wait for a version; some agents need seconds to start."""
VERSION_BYTES_MAX = 4096
"""How much of the answer is read."""
VERSION_CHARS_MAX = 60
"""How much of its first line is shown."""


@dataclass(frozen=True, slots=True)
class Availability:
    """What is known about an agent on this machine.

    Attributes:
        path: Where its command is; None if it is missing.
        version: First line of what its version command says; "" if unknown.
        missing: What is not there, for people; "" if nothing.
        install: How to get it; "" if it is there.
    """

    path: str | None
    version: str
    missing: str
    install: str


def resolve_command(spec: AgentSpec, path: str) -> tuple[str, ...]:
    """Find the first installed command of an agent, with argv[0] made absolute.

    To be called before the working folder changes.

    Args:
        spec: Which agent.
        path: PATH.

    Raises:
        UsageError: None is installed; the hint says how to get it.
    """
    for argv in (spec.argv, *spec.alternatives):
        found = shutil.which(Path(argv[0]).expanduser(), path=path)
        if found is not None:
            return (str(Path(found).absolute()), *argv[1:])
    raise UsageError(
        f"agent {spec.name} is not installed: there is no command {spec.argv[0]}",
        hint=spec.install or "Check the command, or give its full path.",
    )


def check_folder(cwd: str) -> None:
    """Refuse a working folder that an agent cannot be started in.

    Raises:
        UsageError: It is relative, or no folder.
    """
    if not Path(cwd).is_absolute() or not Path(cwd).is_dir():
        raise UsageError(
            f"{cwd} is no folder to work in", hint="Give an absolute path of a folder."
        )


async def installed(
    spec: AgentSpec, *, environ: Mapping[str, str] | None = None
) -> Availability:
    """Find out whether an agent is installed, and its version.

    Returns within `VERSION_S` and the time it takes to end a process.
    """
    env = agent_environment(
        os.environ if environ is None else environ,
        allow=spec.env_allow,
        extra=spec.env_set,
    )
    try:
        argv = resolve_command(spec, env["PATH"])
    except UsageError as error:
        return Availability(None, "", f"no command {spec.argv[0]}", error.hint)
    version = ""
    if spec.version_argv and spec.version_argv[0] == spec.argv[0]:
        version = await _version((argv[0], *spec.version_argv[1:]), env)
    return Availability(argv[0], version, "", "")


async def _version(argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    """First line that a version command prints; "" if it says nothing in time."""
    said = bytearray()
    folder = str(Path(env["HOME"]))
    with anyio.move_on_after(VERSION_S):
        try:
            async with open_child(
                argv, cwd=folder, env=env, limits=AgentLimits()
            ) as child:
                await child.send_eof()
                while len(said) < VERSION_BYTES_MAX and (data := await child.receive()):
                    said += data
        except OperationFailed:
            return ""
    lines = said[:VERSION_BYTES_MAX].decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")[
        :VERSION_CHARS_MAX
    ]
