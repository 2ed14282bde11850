"""Names and kinds of the session document's roots (schema 1); no reads, no writes.

Admission and the typed document share this table (docs: how-it-works/document).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
)
"""Any JSON value. Numbers that are whole are ints, whatever the peer wrote."""

JsonObject: TypeAlias = "dict[str, JsonValue]"

SCHEMA: Final = 1
"""The version written to `meta.schema`; a higher one opens read-only (D-3)."""

META: Final = "meta"
MESSAGES: Final = "messages"
TEXTS: Final = "texts"
TURNS: Final = "turns"
TOOLS: Final = "tools"
APPROVALS: Final = "approvals"
LEASE: Final = "lease"
QUEUE: Final = "queue"
PARTICIPANTS: Final = "participants"
DRAFTS: Final = "drafts"

Kind: TypeAlias = Literal["array", "map", "text"]

ROOTS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        META: "map",
        MESSAGES: "array",
        TEXTS: "map",
        TURNS: "map",
        TOOLS: "map",
        APPROVALS: "map",
        LEASE: "map",
        QUEUE: "map",
        PARTICIPANTS: "map",
        DRAFTS: "map",
    }
)
"""Every root of a session document and its Yjs type."""

USER: Final = "user"
ASSISTANT: Final = "assistant"
THOUGHT: Final = "thought"
AGENT: Final = "agent"
NOTE: Final = "note"
SYSTEM: Final = "system"

ROLES: Final = frozenset({USER, ASSISTANT, THOUGHT, AGENT, NOTE, SYSTEM})
"""Roles this version knows; messages of other roles are kept and shown as such."""

STREAMED_ROLES: Final = frozenset({ASSISTANT, THOUGHT})
"""Roles whose body is a Text under `texts`, appended to while the turn runs."""

Phase: TypeAlias = Literal["pending", "in_progress", "completed", "failed", "cancelled"]

TERMINAL_PHASES: Final = frozenset({"completed", "failed", "cancelled"})
"""Phases that a tool call never leaves."""


# Beyond it a float does not name one whole number, and pycrdt takes no such int.
_EXACT: Final = 2.0**53


def plain(value: object) -> JsonValue:
    """Return a value read from a document as JSON, whole floats as ints.

    pycrdt hands out numbers inside JSON values as floats (1 comes back as 1.0). What
    is not JSON becomes what Yjs writes for it: null for infinities, numbers for bytes.
    """
    match value:  # the commonest first: this is run for every value of a document
        case str() | int() | None:
            return value
        case float():
            return _number(value)
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | bytes() | bytearray():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _number(value: float) -> JsonValue:
    if value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if math.isfinite(value) else None


def as_object(value: object) -> JsonObject:
    """Return a JSON object as it is, or an empty one if it is something else."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """Return a string field, or an empty string if the value is something else."""
    return value if isinstance(value, str) else ""
