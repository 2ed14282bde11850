"""A session document's whole content as JSON, and a new document from it; no format.

What a later version wrote is kept as it is (D-3). Roots that this version does not know
are not read, as nobody can say what they are: only a ydoc export carries them.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Final, TypeAlias

from crdtsync import schema
from crdtsync.document import Document, Edit
from crdtsync.entities import Message
from crdtsync.export.bulk import encode_headers
from crdtsync.schema import JsonObject, JsonValue, as_text, plain

__all__ = ["Content", "derived_id", "object_of", "read_content", "write_content"]

Content: TypeAlias = Mapping[str, JsonValue]
"""JSON by root: a list under `messages`, an object under every other root."""

# Client ids beyond 32 bits are not portable to every Yjs implementation.
_CLIENT_ID_BYTES: Final = 4


def read_content(document: Document) -> Content:
    """Read every root; objects are ordered by key, so equal content reads equal."""
    found: dict[str, JsonValue] = {}
    for root, kind in schema.ROOTS.items():
        read = document.headers() if kind == "array" else document.json(root)
        found[root] = _ordered(plain(read))
    return found


def object_of(value: JsonValue) -> JsonObject:
    """Return a value that is an object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def derived_id(content: Content) -> str:
    """Make a session id from content: the same content gets the same id."""
    number = int.from_bytes(_digest(content)[:16], "big")
    # Version 8: bits of one's own choice, RFC 9562.
    number = number & ~(0xF << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62
    return str(uuid.UUID(int=number))


def write_content(content: Content, session_id: str) -> Document:
    """Make a new document with this content.

    It is a document of its own (D-2): its updates share nothing with those of the one
    that was read, so it needs a session id of its own.
    """
    digest = _digest({**content, schema.META: session_id})
    client_id = int.from_bytes(digest[:_CLIENT_ID_BYTES], "big") or 1
    messages = _messages(content)
    history = [encode_headers([m.to_json() for m in messages], client_id)]
    document = Document.load(history if messages else [], client_id=client_id)
    with document.edit() as edit:
        edit.seed({**object_of(content.get(schema.META)), "id": session_id})
        _write_bodies(edit, content, {m.id for m in messages if m.streamed})
        for root, write in _WRITERS.items():
            for key, value in object_of(content.get(root)).items():
                write(edit, key, value)
        for root in (schema.LEASE, schema.PARTICIPANTS, schema.DRAFTS):
            for key, value in object_of(content.get(root)).items():
                edit.set_entry(root, key, value)
    return document


def _ordered(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _ordered(value[key]) for key in sorted(value)}
        case list():
            return [_ordered(item) for item in value]
        case _:
            return value


def _digest(content: Content) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _messages(content: Content) -> list[Message]:
    listed = content.get(schema.MESSAGES)
    return [Message.from_json(h) for h in listed] if isinstance(listed, list) else []


def _write_bodies(edit: Edit, content: Content, streamed: set[str]) -> None:
    texts = object_of(content.get(schema.TEXTS))
    for message in sorted(streamed | texts.keys()):
        edit.open_text(message)
        if text := as_text(texts.get(message)):
            edit.append_text(message, text)


def _write_turn(edit: Edit, turn: str, value: JsonValue) -> None:
    if isinstance(value, dict):
        edit.set_turn(turn, value)
    else:
        edit.set_entry(schema.TURNS, turn, value)


def _write_tool(edit: Edit, key: str, value: JsonValue) -> None:
    if not isinstance(value, dict):
        edit.set_entry(schema.TOOLS, key, value)
        return
    output = value.get("output")
    if isinstance(output, str):
        edit.set_tool(key, {name: v for name, v in value.items() if name != "output"})
        edit.append_output(key, output)
    else:
        edit.set_tool(key, value)


def _write_approval(edit: Edit, approval: str, value: JsonValue) -> None:
    if not isinstance(value, dict):
        edit.set_entry(schema.APPROVALS, approval, value)
        return
    edit.ask(approval, value)
    for participant, option in object_of(value.get("votes")).items():
        edit.vote(approval, participant, as_text(option))


def _write_queued(edit: Edit, prompt: str, value: JsonValue) -> None:
    if not isinstance(value, dict):
        edit.set_entry(schema.QUEUE, prompt, value)
        return
    edit.enqueue(prompt, as_text(value.get("rank")))
    edit.set_queue(prompt, {name: v for name, v in value.items() if name != "rank"})


_WRITERS: Final = {
    schema.TURNS: _write_turn,
    schema.TOOLS: _write_tool,
    schema.APPROVALS: _write_approval,
    schema.QUEUE: _write_queued,
}
