"""Which permission questions are answered without asking people; pure.

Whoever calls it decides who may choose a policy (`yolo`: the owner of the host alone)
and writes the answer down.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

from .bounds import read_object
from .events import Permission, PermissionOption

__all__ = ["POLICIES", "Answer", "Policy", "decide", "offered", "option_for"]

Policy: TypeAlias = Literal["ask", "allow-reads", "deny-all", "yolo"]

POLICIES: Final[dict[Policy, str]] = {
    "ask": "people answer every question",
    "allow-reads": "reading and searching in the working folder is allowed, "
    "people answer the rest",
    "deny-all": "every question is answered with no",
    "yolo": "every question is answered with yes; for the owner of the host alone",
}
"""Each policy, and what it does, for people."""

READ_KINDS: Final = frozenset({"read", "search", "think"})
"""Tool kinds that change nothing and reach nothing outside the machine."""


PATH_KEYS: Final = ("path", "file_path", "filePath", "absolute_path", "directory")
"""Where agents put the path in a tool's input, beside its locations."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer without people.

    Attributes:
        option: To be given to `Agent.resolve`; None cancels the question, which is
            the no of an agent that offers none.
    """

    option: str | None


def decide(policy: Policy, permission: Permission, *, cwd: str = "") -> Answer | None:
    """Answer a question by a policy; None means: ask people.

    Never chooses an `always` option, which agents would keep beyond the session.

    Args:
        policy: The session's.
        permission: The question.
        cwd: The working folder; outside of it no read is allowed unasked.
    """
    match policy:
        case "deny-all":
            return Answer(option_for(permission, allow=False))
        case "yolo":
            allowed = True
        case "allow-reads":
            allowed = _only_reads(permission, cwd)
        case "ask":
            allowed = False
    option = option_for(permission, allow=True) if allowed else None
    return None if option is None else Answer(option)


def option_for(permission: Permission, *, allow: bool) -> str | None:
    """The option that says yes, or no, this once; None if the agent offers none."""
    wanted = "allow_once" if allow else "reject_once"
    return next((each.id for each in permission.options if each.kind == wanted), None)


def offered(
    permission: Permission, *, host_owner: bool
) -> tuple[PermissionOption, ...]:
    """The options a person may choose from.

    What lasts beyond the session, and what nobody knows the meaning of, is for the
    owner of the host alone: it changes what the agent may do on that machine.
    """
    once = ("allow_once", "reject_once")
    return tuple(each for each in permission.options if host_owner or each.kind in once)


def _only_reads(permission: Permission, cwd: str) -> bool:
    tool = permission.tool
    if tool.kind not in READ_KINDS:
        return False
    named = [read_object(location).get("path") for location in tool.locations]
    told = read_object(tool.input)
    named += [told[key] for key in PATH_KEYS if isinstance(told.get(key), str)]
    return all(isinstance(path, str) and _is_inside(path, cwd) for path in named)


def _is_inside(path: str, cwd: str) -> bool:
    """Whether a path is in a folder, by its text alone; symlinks are not followed."""
    if not cwd:
        return True
    full = PurePosixPath(cwd) / path
    return ".." not in full.parts and full.is_relative_to(cwd)
