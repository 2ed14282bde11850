"""What answers hold, in JSON Schema; made from the types where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from crdtsync.export import Format
from crdtsync.schema import JsonObject, JsonValue

__all__ = ["JSON", "MEDIA_TYPES", "SCHEMAS", "ref"]

JSON: Final = "application/json"

MEDIA_TYPES: Final[Mapping[Format, str]] = MappingProxyType(
    {
        "json": JSON,
        "jsonl": "application/x-ndjson",
        "md": "text/markdown; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "ydoc": "application/octet-stream",
    }
)
"""Of each form of a snapshot."""


def ref(name: str) -> Mapping[str, JsonObject]:
    """The content of an answer: one of `SCHEMAS`, as JSON."""
    return {JSON: {"$ref": f"#/components/schemas/{name}"}}


def _text(about: str = "", **more: JsonValue) -> JsonObject:
    return _described({"type": "string", **more}, about)


def _count(about: str = "", lowest: int = 0) -> JsonObject:
    return _described({"type": "integer", "minimum": lowest}, about)


def _flag(about: str = "") -> JsonObject:
    return _described({"type": "boolean"}, about)


def _or_null(schema: JsonObject, about: str = "") -> JsonObject:
    return _described({"anyOf": [schema, {"type": "null"}]}, about)


def _list(name: str) -> JsonObject:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _described(schema: JsonObject, about: str) -> JsonObject:
    return {**schema, "description": about} if about else schema


def _object(about: str, **fields: JsonObject) -> JsonObject:
    """An object that has all of these fields and no others."""
    return {
        "type": "object",
        "description": about,
        "required": [*fields],
        "properties": {**fields},
        "additionalProperties": False,
    }


_ROLE: Final[JsonObject] = {"type": "string", "enum": ["owner", "editor", "viewer"]}
_TIME: Final = "ISO 8601, UTC; for people only."
_GRANT: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "id": _text("Names the token; no secret."),
        "session": _text("The only session it is for; empty for all of the relay."),
        "role": _ROLE,
        "participant": _text("Whom it stands for; empty if it names nobody."),
        "name": _text("How they are called, as far as the token knows."),
        "can_approve": _flag("Whether it may answer an agent's questions."),
        "expires_at": _or_null(
            {"type": "integer"}, "Milliseconds since 1970; null for never."
        ),
    }
)
_INVITE: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "id": _text("Names the invite; no secret."),
        "session": _text(),
        "role": _ROLE,
        "can_approve": _flag(),
        "expires_at": {"type": "integer", "description": "Milliseconds since 1970."},
        "uses_left": _count(),
    }
)

SCHEMAS: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "Error": _object(
            "Why not.",
            error=_text("What is wrong, for people."),
            hint=_text("What to do about it; may be empty."),
        ),
        "Sessions": _object(
            "The sessions that the token covers, by id.",
            sessions={
                "type": "array",
                "items": _object("One of them.", id=_text("The session's id.")),
            },
            next=_or_null({"type": "string"}, "The cursor of the next page, if any."),
        ),
        "Session": _object(
            "One session as it is now.",
            id=_text("Its id."),
            title=_text("Its title; may be empty."),
            created_at=_text(_TIME),
            created_by=_text("Participant id."),
            messages=_count("How many there are."),
            here=_count("Participants with a window open now."),
            busy=_flag("Whether a turn is running."),
            turn=_or_null(
                {"$ref": "#/components/schemas/Turn"}, "The turn that is running."
            ),
            queue=_count("Prompts that wait for a turn."),
            approvals=_count("Permission questions that wait for an answer."),
            read_only=_text("Why this token cannot write; empty if it can."),
            seq=_count("All of this holds after this row of the log."),
        ),
        "Turn": _object(
            "A turn of the agent.",
            id=_text("Cancel it by this."),
            agent=_text("The agent's name."),
            runner=_text("Whose window runs it: participant, '_' and window."),
            prompts={"type": "array", "items": _text("Message id.")},
            started_at=_text(_TIME),
        ),
        "Message": {
            "type": "object",
            "description": "A message, as in the events; empty fields are left out.",
            "required": ["id", "role"],
            "properties": {
                "id": _text("UUIDv7."),
                "role": _text("user, assistant, thought, agent, note, system, or new."),
                "author": _text("Participant id."),
                "at": _text(_TIME),
                "text": _text("The whole text, of an answer as far as it has come."),
                "turn": _text("The turn that it comes from or speaks about."),
                "reply_to": _text("Message id."),
                "origin": _text("Where it came in."),
                "attachments": {"type": "array"},
            },
            "additionalProperties": True,
        },
        "Messages": _object(
            "A page of the history.",
            messages=_list("Message"),
            next=_or_null({"type": "string"}, "The cursor of the next page, if any."),
            seq=_count("The page holds after this row of the log."),
        ),
        "Sent": _object(
            "A message that is on disk.",
            id=_text("Its id."),
            seq=_count("Its row of the log; 0 if it was there before."),
            position=_or_null(
                _count(lowest=1), "Its place in the queue; null if it does not wait."
            ),
            busy=_flag("Whether a turn is running."),
        ),
        "Queue": _object(
            "The prompts that wait for a turn.",
            pending=_list("QueuedPrompt"),
            busy=_flag("Whether a turn is running."),
            seq=_count("It holds after this row of the log."),
        ),
        "QueuedPrompt": _object(
            "One of them.",
            prompt=_text("Message id."),
            position=_count("From 1.", 1),
            held=_flag("Whether a person has to release it first."),
        ),
        "Participants": _object(
            "Everybody who ever wrote, and who is here now.",
            participants=_list("Participant"),
        ),
        "Participant": _object(
            "A person or an agent.",
            id=_text(),
            name=_text(),
            kind={"type": "string", "enum": ["person", "agent"]},
            joined_at=_text(f"When they first wrote; may be empty. {_TIME}"),
            slot=_count("Index of the name's colour."),
            windows=_count("How many they have open now."),
            status={"type": "string", "enum": ["active", "idle", "away", "gone"]},
            typing=_flag("Whether they type now."),
        ),
        "Approvals": _object(
            "Permission questions, by number.", approvals=_list("Approval")
        ),
        "Approval": _object(
            "A permission question of the agent, as in the events.",
            id=_text(),
            number={"type": "integer", "description": "What people call it by."},
            turn=_text("The turn that asks."),
            tool=_text("The tool call's key."),
            title=_text("What the agent wants to do, in one line."),
            input={"description": "The tool's input at the time of asking."},
            input_hash=_text(),
            options={"type": "array", "items": {"$ref": "#/components/schemas/Option"}},
            asked_at=_text(_TIME),
            expires_at=_text(_TIME),
            votes={
                "type": "object",
                "additionalProperties": _text("Option id."),
                "description": "By participant.",
            },
            decision=_text("An option's id, 'expired' or 'cancelled'; empty if open."),
            decided_by=_text(),
        ),
        "Option": _object(
            "One possible answer.",
            id=_text(),
            label=_text(),
            kind=_text("As in ACP, such as allow_once."),
        ),
        "Cancelled": _object(
            "The turn was asked to stop; it has not ended yet.", turn=_text("Its id.")
        ),
        "Token": _object("What a token allows.", **_GRANT),
        "NewToken": _object(
            "A new token, shown this once.",
            token=_text("The secret: `cs1_` and 43 characters."),
            **_GRANT,
        ),
        "Tokens": _object("Good tokens.", tokens=_list("Token")),
        "Invite": _object("An open invite.", **_INVITE),
        "NewInvite": _object(
            "A new invite with its secrets, shown this once.",
            link=_text("For whoever is invited: `crdtsync join LINK`."),
            code=_text("To be said aloud; empty if too many codes are open."),
            **_INVITE,
        ),
        "Rules": _object(
            "What holds in a session.",
            participants_max=_count("People who may have a token.", 1),
            viewers_note=_flag("Whether viewers may write notes."),
            idle_token_days=_count("Tokens unused for so long are revoked; 0: never."),
            keep_days=_count("Unused for so long it is removed; 0: never."),
        ),
        "Invites": _object("Open invites.", invites=_list("Invite")),
    }
)
"""Everything that an answer may hold, by name."""
