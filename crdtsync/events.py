"""The typed events of a session: one vocabulary for every client; it decides nothing.

The terminal, plain text, JSON lines and the Python API all read these. They are
version 1: fields and types are only ever added (docs: reference/events).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from crdtsync.entities import Approval, Message, ToolCall
from crdtsync.schema import JsonObject, JsonValue

VERSION = 1
"""The `v` of every JSON line."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused an event."""

    id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The replica is loaded; the first event of every stream."""

    type: ClassVar[str] = "session.opened"
    name: str
    title: str
    messages: int
    read_only: bool
    window: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The last event of a stream."""

    type: ClassVar[str] = "session.closed"
    reason: str


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """A participant's first window is there."""

    type: ClassVar[str] = "participant.joined"
    window: str
    here: int


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant's last window is gone."""

    type: ClassVar[str] = "participant.left"
    window: str
    here: int


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody became active, idle or away."""

    type: ClassVar[str] = "presence"
    window: str
    status: str


@dataclass(frozen=True, slots=True)
class TypingChanged:
    """Somebody started or stopped typing."""

    type: ClassVar[str] = "typing"
    window: str
    typing: bool


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """A whole message is there (streamed ones come as `AssistantMessage`)."""

    type: ClassVar[str] = "message"
    message: Message
    queued: bool


@dataclass(frozen=True, slots=True)
class QueuedPrompt:
    """One prompt that waits.

    Attributes:
        prompt: Message id.
        position: Counted from 1.
        held: Needs a person's release before it can run (Q3 to Q5).
    """

    prompt: str
    position: int
    held: bool


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """The prompts that wait, in order, whole."""

    type: ClassVar[str] = "queue"
    pending: tuple[QueuedPrompt, ...]


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A runner has begun a turn."""

    type: ClassVar[str] = "turn.started"
    turn: str
    prompts: tuple[str, ...]
    agent: str
    epoch: int
    grant: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn is over; follows every `TurnStarted` once, also after a crash.

    Attributes:
        state: "ended", or "abandoned": its runner is gone and the outcome unknown; if
            it ends after all, a `Notice` "turn.finished_late" says so. A turn that
            came in with all of this is "finished_after_takeover" at once.
        reading: "main", "parallel" or "stale", see docs: turns.
        stop_reason: As the agent or the runner says.
        error: In words, or "".
        started_at: When it began, by its runner's clock; "" if it did not say.
        ended_at: When it ended, likewise.
    """

    type: ClassVar[str] = "turn.ended"
    turn: str
    state: str
    reading: str
    stop_reason: str
    error: str
    started_at: str = ""
    ended_at: str = ""


@dataclass(frozen=True, slots=True)
class AssistantDelta:
    """Text appended to an answer."""

    type: ClassVar[str] = "assistant.delta"
    message: str
    turn: str
    text: str


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    """Text appended to the agent's thoughts."""

    type: ClassVar[str] = "thought.delta"
    message: str
    turn: str
    text: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """A streamed message is complete (role "assistant" or "thought")."""

    type: ClassVar[str] = "assistant.message"
    message: Message
    text: str


@dataclass(frozen=True, slots=True)
class ToolChanged:
    """A tool call's merged state."""

    type: ClassVar[str] = "tool"
    tool: ToolCall


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """The agent's plan for the turn, whole."""

    type: ClassVar[str] = "plan"
    turn: str
    entries: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """Tokens and cost of the turn so far."""

    type: ClassVar[str] = "usage"
    turn: str
    usage: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """The agent asks for permission."""

    type: ClassVar[str] = "approval.requested"
    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalVoted:
    """Somebody answered a permission question; its runner decides."""

    type: ClassVar[str] = "approval.voted"
    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalResolved:
    """A permission question is decided, expired or cancelled.

    One whose turn is over without a decision is told as cancelled by nobody.
    """

    type: ClassVar[str] = "approval.resolved"
    approval: Approval


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """The document's lease record changed; a display hint, nothing decides by it."""

    type: ClassVar[str] = "lease"
    holder: str
    epoch: int
    turn: str
    grant: str


@dataclass(frozen=True, slots=True)
class TitleChanged:
    """The session has a new title."""

    type: ClassVar[str] = "title"
    title: str


@dataclass(frozen=True, slots=True)
class Merged:
    """A block written apart arrived in the middle of the history (D-6).

    The messages themselves come as events of their own before this one.
    """

    type: ClassVar[str] = "merged"
    messages: tuple[str, ...]
    authors: tuple[str, ...]
    first_at: str
    last_at: str
    before: str


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A link to a relay or a peer changed its state."""

    type: ClassVar[str] = "connection"
    link: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know; `code` is stable, `text` is for people."""

    type: ClassVar[str] = "notice"
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Something went wrong; nothing that was acknowledged is lost."""

    type: ClassVar[str] = "error"
    code: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Reset:
    """What was shown so far no longer holds: read the view anew."""

    type: ClassVar[str] = "reset"
    reason: Literal["compacted", "slow", "rewritten", "merged"]
    messages: int


Body: TypeAlias = (
    SessionOpened
    | SessionClosed
    | ParticipantJoined
    | ParticipantLeft
    | PresenceChanged
    | TypingChanged
    | MessageAdded
    | QueueChanged
    | TurnStarted
    | TurnEnded
    | AssistantDelta
    | ThoughtDelta
    | AssistantMessage
    | ToolChanged
    | PlanChanged
    | UsageChanged
    | ApprovalRequested
    | ApprovalVoted
    | ApprovalResolved
    | LeaseChanged
    | TitleChanged
    | Merged
    | ConnectionChanged
    | Notice
    | Failure
    | Reset
)

DELTA_TYPES = frozenset({"presence", "typing", "assistant.delta", "thought.delta"})
"""Types that `--json` prints only with `--deltas`."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What the projection found in a change: a body and the id of who did it."""

    body: Body
    actor: str = ""


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event as a client receives it.

    Attributes:
        seq: The log's sequence number after which the event holds. Events of one
            batch share it; resuming after it repeats and misses nothing.
        at: When this window noticed it, UTC.
        session: The session's id.
        actor: Who caused it, if anybody.
        body: What happened.
    """

    seq: int
    at: datetime
    session: str
    actor: Actor | None
    body: Body

    @property
    def type(self) -> str:
        """The name in JSON lines, such as "turn.started"."""
        return self.body.type

    def to_json(self) -> JsonObject:
        """The object of one JSON line (11-cli: `--json`)."""
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found: JsonObject = {
            "v": VERSION,
            "seq": self.seq,
            "ts": at,
            "session": self.session,
            "type": self.body.type,
        }
        if self.actor is not None:
            found["actor"] = to_json(self.actor)
        found["data"] = to_json(self.body)
        return found


def to_json(value: object) -> JsonValue:
    """Turn an event's body, or anything it holds, into JSON."""
    if isinstance(value, Message):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
