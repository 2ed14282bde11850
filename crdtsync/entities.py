"""What a session consists of, as immutable values; parsing only, no document access.

Turns are in `crdtsync.turns.claim`, queue entries in `crdtsync.turns.queue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from crdtsync.schema import (
    STREAMED_ROLES,
    TERMINAL_PHASES,
    JsonObject,
    JsonValue,
    as_object,
    as_text,
    plain,
)

_NEEDED_KEYS = frozenset({"id", "role", "author", "at"})
_TEXT_KEYS = _NEEDED_KEYS | {"text", "turn", "reply_to", "origin"}
_MESSAGE_KEYS = _TEXT_KEYS | {"attachments"}


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history; never changes once appended.

    Attributes:
        id: UUIDv7; a send is idempotent by it (D-8).
        role: One of `schema.ROLES`, or a role of a later version.
        author: Participant id; for streamed messages the agent's.
        at: ISO 8601 time in UTC, written by the author's machine, for people only.
        text: The whole body, except for streamed roles: theirs grows in `texts`, ask
            `SessionView.text`.
        turn: The turn that produced it, or that it speaks about.
        reply_to: Id of the message it answers, or "".
        attachments: Content hashes or small inline blobs (D-9).
        origin: Where it came in, such as "send", "import" or an agent's name.
        extra: Keys that this version does not know, kept for export (D-3).
    """

    id: str
    role: str
    author: str
    at: str
    text: str = ""
    turn: str = ""
    reply_to: str = ""
    attachments: tuple[JsonValue, ...] = ()
    origin: str = ""
    extra: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def streamed(self) -> bool:
        """Whether the body is a growing text of its own."""
        return self.role in STREAMED_ROLES

    def to_json(self) -> JsonObject:
        """The header as it is stored: empty fields are left out."""
        found: JsonObject = {**self.extra, "id": self.id, "role": self.role}
        for key in ("author", "at", "text", "turn", "reply_to", "origin"):
            if value := getattr(self, key):
                found[key] = value
        if self.attachments:
            found["attachments"] = list(self.attachments)
        return found

    @classmethod
    def from_json(cls, value: object) -> Message:
        """Read a header; fields of a wrong type count as empty."""
        data = value if isinstance(value, dict) else {}
        if _is_simple(data):
            return cls(**data)
        fields = {k: as_text(data.get(k)) for k in _TEXT_KEYS}
        extra = {k: plain(v) for k, v in data.items() if k not in _MESSAGE_KEYS}
        attachments = _listed(data.get("attachments"))
        return cls(**fields, attachments=attachments, extra=extra)


def _is_simple(data: JsonObject) -> bool:
    """Whether a header is as almost all are: known text fields and nothing else."""
    keys = data.keys()
    if not (_NEEDED_KEYS <= keys <= _TEXT_KEYS):
        return False
    return {*map(type, data.values())} == {str}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool by the agent, merged to its latest state.

    Attributes:
        key: "turn/call", unique in the session.
        message: The assistant message it belongs to, or "".
        phase: See `schema.Phase`.
        input: What the agent passed to the tool.
        output: Text the tool printed so far.
        content: Other content blocks (diffs, images), as ACP describes them.
        locations: Files it touches: `{"path": str, "line": int}`.
        started_at: ISO 8601 UTC, for people.
        ended_at: Likewise; "" while open.
        exit_code: Of a command, or None.
    """

    key: str
    message: str = ""
    title: str = ""
    kind: str = ""
    phase: str = "pending"
    input: JsonValue = None
    output: str = ""
    content: tuple[JsonValue, ...] = ()
    locations: tuple[JsonValue, ...] = ()
    started_at: str = ""
    ended_at: str = ""
    exit_code: int | None = None

    @property
    def turn(self) -> str:
        """The turn's id."""
        return self.key.partition("/")[0]

    @property
    def open(self) -> bool:
        """Whether the phase can still change."""
        return self.phase not in TERMINAL_PHASES

    @classmethod
    def from_json(cls, key: str, value: object) -> ToolCall:
        """Read a tool call; fields of a wrong type count as empty."""
        data = as_object(value)
        code = data.get("exit_code")
        return cls(
            key=key,
            message=as_text(data.get("message")),
            title=as_text(data.get("title")),
            kind=as_text(data.get("kind")),
            phase=as_text(data.get("phase")) or "pending",
            input=data.get("input"),
            output=as_text(data.get("output")),
            content=_listed(data.get("content")),
            locations=_listed(data.get("locations")),
            started_at=as_text(data.get("started_at")),
            ended_at=as_text(data.get("ended_at")),
            exit_code=code if isinstance(code, int) else None,
        )


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer to an approval: `kind` as in ACP, such as "allow_once"."""

    id: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Approval:
    """A permission question of the agent, and what became of it.

    Attributes:
        id: Unique in the session.
        number: The number people answer by (`/allow 7`), counted per session.
        turn: The turn that asks.
        tool: The tool call's key, which need not exist yet.
        title: What the agent wants to do, in one line.
        input: The tool's input at the time of asking.
        input_hash: Binds an answer to exactly this input.
        options: In the agent's order.
        asked_at: ISO 8601 UTC, for people.
        expires_at: Likewise; the runner decides by its own clock.
        votes: Participant id to option id.
        decision: Option id, "expired" or "cancelled"; "" while open.
        decided_by: Participant id, or the policy's name.
    """

    id: str
    number: int
    turn: str
    tool: str
    title: str
    input: JsonValue
    input_hash: str
    options: tuple[Option, ...]
    asked_at: str
    expires_at: str
    votes: Mapping[str, str] = field(default_factory=dict)
    decision: str = ""
    decided_by: str = ""

    @property
    def open(self) -> bool:
        """Whether it still waits for a decision."""
        return not self.decision

    def option(self, *, allow: bool) -> Option | None:
        """The option for a plain yes or no, the once-only kind first."""
        wanted = "allow" if allow else "reject"
        found = [o for o in self.options if o.kind.startswith(wanted)]
        found.sort(key=lambda option: not option.kind.endswith("once"))
        return found[0] if found else None

    @classmethod
    def from_json(cls, key: str, value: object) -> Approval:
        """Read an approval; fields of a wrong type count as empty."""
        data = as_object(value)
        number = data.get("number")
        options = [as_object(item) for item in _listed(data.get("options"))]
        votes = as_object(data.get("votes"))
        return cls(
            id=key,
            number=number if isinstance(number, int) else 0,
            turn=as_text(data.get("turn")),
            tool=as_text(data.get("tool")),
            title=as_text(data.get("title")),
            input=data.get("input"),
            input_hash=as_text(data.get("input_hash")),
            options=tuple(
                Option(
                    as_text(o.get("id")),
                    as_text(o.get("label")),
                    as_text(o.get("kind")),
                )
                for o in options
            ),
            asked_at=as_text(data.get("asked_at")),
            expires_at=as_text(data.get("expires_at")),
            votes={who: as_text(option) for who, option in votes.items()},
            decision=as_text(data.get("decision")),
            decided_by=as_text(data.get("decided_by")),
        )


@dataclass(frozen=True, slots=True)
class Participant:
    """A person or an agent in the session.

    Attributes:
        id: Stable for one name in one data folder.
        slot: Index into the palette of name colours, agreed by all clients.
    """

    id: str
    name: str
    kind: Literal["person", "agent"] = "person"
    joined_at: str = ""
    slot: int = 0

    @classmethod
    def from_json(cls, key: str, value: object) -> Participant:
        """Read a participant; one without a name is called by its id."""
        data = as_object(value)
        slot = data.get("slot")
        return cls(
            id=key,
            name=as_text(data.get("name")) or key,
            kind="agent" if data.get("kind") == "agent" else "person",
            joined_at=as_text(data.get("joined_at")),
            slot=slot if isinstance(slot, int) else 0,
        )


def _listed(value: object) -> tuple[JsonValue, ...]:
    return tuple(plain(item) for item in value) if isinstance(value, list) else ()
