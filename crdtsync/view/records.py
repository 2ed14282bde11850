"""Reads what a document holds besides `entities`: meta, lease, turns and the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from crdtsync.errors import ProtocolError
from crdtsync.events import LeaseChanged
from crdtsync.schema import JsonObject, JsonValue, as_object, as_text, plain
from crdtsync.turns.claim import Claim, Cut, TurnRecord
from crdtsync.turns.queue import QueueEntry

_META_KEYS = frozenset(
    {
        "id",
        "title",
        "schema",
        "created_at",
        "created_by",
        "arbiter",
        "arbiter_at",
        "agent",
    }
)


@dataclass(frozen=True, slots=True)
class SessionMeta:
    """What the root `meta` says.

    Attributes:
        agent: Name, version and resume id of the agent, as its runner wrote it.
        arbiter: Which relay is the arbiter (A8); "" for the local one.
        arbiter_at: The address under which it was named.
        extra: Keys that this version does not know.
    """

    id: str = ""
    title: str = ""
    schema: int = 0
    created_at: str = ""
    created_by: str = ""
    arbiter: str = ""
    arbiter_at: str = ""
    agent: Mapping[str, JsonValue] = field(default_factory=dict)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


def lease_record(value: object) -> LeaseChanged:
    """Read the display record of the lease; wrong fields count as empty."""
    data = as_object(value)
    epoch = data.get("epoch")
    return LeaseChanged(
        holder=as_text(data.get("holder")),
        epoch=epoch if isinstance(epoch, int) else 0,
        turn=as_text(data.get("turn")),
        grant=as_text(data.get("grant")),
    )


def session_meta(data: JsonObject) -> SessionMeta:
    """Read the root `meta`; wrong fields count as empty."""
    version = plain(data.get("schema"))
    return SessionMeta(
        id=as_text(data.get("id")),
        title=as_text(data.get("title")),
        schema=version if isinstance(version, int) else 0,
        created_at=as_text(data.get("created_at")),
        created_by=as_text(data.get("created_by")),
        arbiter=as_text(data.get("arbiter")),
        arbiter_at=as_text(data.get("arbiter_at")),
        agent=MappingProxyType(as_object(data.get("agent"))),
        extra={k: plain(v) for k, v in data.items() if k not in _META_KEYS},
    )


def turn_record(key: str, value: JsonValue) -> TurnRecord:
    """Read a turn; one whose claim cannot be read has none."""
    data = as_object(value)
    plan, usage = data.get("plan"), data.get("usage")
    return TurnRecord(
        id=key,
        claim=_claim(data.get("claim")),
        started=data.get("started") is True,
        ended=data.get("ended") is True,
        stop_reason=as_text(data.get("stop_reason")) or None,
        error=as_text(data.get("error")) or None,
        void=data.get("void") is True,
        detached_at=_cut(data.get("detached_at")),
        usage=usage if isinstance(usage, dict) else None,
        plan=tuple(plan) if isinstance(plan, list) else None,
        started_at=as_text(data.get("started_at")) or None,
        ended_at=as_text(data.get("ended_at")) or None,
    )


def _claim(value: JsonValue) -> Claim | None:
    try:
        return None if value is None else Claim.from_json(value)
    except ProtocolError:
        return None


def _cut(value: JsonValue) -> Cut | None:
    try:
        return None if value is None else Cut.from_json(value)
    except ProtocolError:
        return None


def queue_entry(key: str, value: JsonValue) -> QueueEntry:
    """Read an entry of the queue; wrong fields count as empty."""
    data = as_object(value)
    return QueueEntry(
        prompt=key,
        rank=as_text(data.get("rank")),
        held=data.get("held") is True,
        released_by=as_text(data.get("released_by")) or None,
    )
