"""The environment of an agent: what is on its allow-list, and where its session is.

Everything else stays out, secrets above all (X-4). Pure, except for the turn file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BASE_NAMES",
    "Origin",
    "agent_environment",
    "allowed",
    "current_turn",
    "origin",
    "turn_environment",
    "write_turn",
]

BASE_NAMES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_*",
    "TERM",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
)
"""What every agent gets: where things are, and how to write, but no credentials."""

TURN_BYTES_MAX = 256
"""More than any turn id and depth; what is read of the turn file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf this process writes.

    Attributes:
        agent: Name of the agent that started it; "" for a person.
        turn: The turn in which the agent did; "" between turns.
        depth: How many agents in a row have prompted each other up to that turn, 0 if
            a person asked for it.
    """

    agent: str = ""
    turn: str = ""
    depth: int = 0


def allowed(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a variable is on the list; a trailing `*` stands for any ending."""
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
    )


def agent_environment(
    environ: Mapping[str, str],
    *,
    allow: tuple[str, ...] = (),
    extra: Mapping[str, str] | None = None,
    session: str = "",
    data: str = "",
    agent: str = "",
) -> dict[str, str]:
    """Build an agent's whole environment.

    Args:
        environ: Where the values of allowed variables come from.
        allow: Names beyond `BASE_NAMES`.
        extra: Variables with fixed values; they win over `environ`.
        session: Becomes CRDTSYNC_SESSION, if not empty.
        data: Becomes CRDTSYNC_DATA, likewise.
        agent: The agent's name; becomes CRDTSYNC_AS_AGENT, likewise.
    """
    patterns = BASE_NAMES + allow
    result = {name: value for name, value in environ.items() if allowed(name, patterns)}
    result.setdefault("PATH", os.defpath)
    result.setdefault("HOME", str(Path.home()))
    result.update(extra or {})
    own = {
        "CRDTSYNC_SESSION": session,
        "CRDTSYNC_DATA": data,
        "CRDTSYNC_AS_AGENT": agent,
    }
    result.update({name: value for name, value in own.items() if value})
    return result


def turn_environment(turn: str, depth: int) -> dict[str, str]:
    """What a process that is started for one turn gets besides."""
    if not turn:
        return {}
    return {"CRDTSYNC_TURN": turn, "CRDTSYNC_DEPTH": str(depth)}


def write_turn(path: str, turn: str, depth: int = 0) -> None:
    """Name the running turn in the file that CRDTSYNC_TURN_FILE points to.

    The first line is its id, the second one its depth (see `Origin`); between turns
    the file is empty.
    """
    temporary = Path(f"{path}.new")
    temporary.write_text(f"{turn}\n{depth}\n" if turn else "", encoding="utf-8")
    temporary.replace(path)


def current_turn(environ: Mapping[str, str]) -> str:
    """The turn on whose behalf this process was started by an agent; "" for none.

    An agent that lives for many turns cannot be told each one by its environment, so
    CRDTSYNC_TURN_FILE names a file with the id. CRDTSYNC_TURN wins where it is set.
    """
    return _told(environ)[0]


def origin(environ: Mapping[str, str]) -> Origin | None:
    """On behalf of which agent this process was started; None if by a person."""
    marks = ("CRDTSYNC_AS_AGENT", "CRDTSYNC_TURN", "CRDTSYNC_TURN_FILE")
    if not any(environ.get(name) for name in marks):
        return None
    turn, depth = _told(environ)
    return Origin(
        agent=environ.get("CRDTSYNC_AS_AGENT", "") or "agent",
        turn=turn,
        depth=int(depth[:6]) if depth.isascii() and depth.isdigit() else 0,
    )


def _told(environ: Mapping[str, str]) -> tuple[str, str]:
    """The turn and its depth, as they were told."""
    turn, depth = environ.get("CRDTSYNC_TURN", ""), environ.get("CRDTSYNC_DEPTH", "")
    path = environ.get("CRDTSYNC_TURN_FILE", "")
    if turn or not path:
        return turn, depth
    try:
        with Path(path).open("rb") as file:
            lines = file.read(TURN_BYTES_MAX).decode(errors="replace").split()
    except OSError:
        return "", ""
    turn, depth, *_ = [*lines, "", ""]
    return turn, depth
