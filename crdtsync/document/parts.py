"""What a transaction did to a document, as values; it writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from pycrdt import Array, ArrayEvent, Map, MapEvent, Text, TextEvent

from crdtsync import schema
from crdtsync.schema import JsonValue, plain

Delta: TypeAlias = tuple[tuple[str, Any], ...]
"""Steps over a sequence: ("retain", n), ("delete", n), ("insert", values or text)."""


@dataclass(frozen=True, slots=True)
class MessagesChanged:
    """Headers were inserted into the array.

    Attributes:
        delta: Inserted values are JSON, or dicts as pycrdt hands them out. Anything
            but inserts and retained stretches was a foreign client's; ("delete", 0)
            stands for a change inside a header.
    """

    delta: Delta


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """Keys of a map changed.

    Attributes:
        root: The root's name.
        path: Keys from the root to the map that changed; () is the root itself.
        keys: The keys that were set or removed there; none if it is no map.
        replaced: Those of them that had a value before.
        texts: What the new values hold that are texts, for the root `texts`.
    """

    root: str
    path: tuple[str, ...]
    keys: frozenset[str]
    replaced: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextChanged:
    """A text changed.

    Attributes:
        root: The root's name.
        path: Keys from the root to the text.
        delta: Positions are UTF-8 bytes.
        length: Of the text after the change, in UTF-8 bytes.
    """

    root: str
    path: tuple[str, ...]
    delta: Delta
    length: int

    @property
    def appended(self) -> str | None:
        """What was added at the end, "" for nothing; None if it changed otherwise."""
        at, text = 0, ""
        for step, value in self.delta:
            if step == "retain" and not text:
                at += value
            elif step == "insert" and isinstance(value, str) and not text:
                text = value
            else:
                return None
        at_end = at + len(text.encode()) == self.length
        return text if at_end or not text else None


Part: TypeAlias = MessagesChanged | EntryChanged | TextChanged


@dataclass(slots=True)
class Change:
    """What one transaction did.

    Attributes:
        update: The Yjs V1 update to log and to send on; empty if nothing changed.
        parts: What changed, roots in the order in which the projection folds them.
        bulk: So much changed that the parts were not noted: read everything anew.
    """

    update: bytes
    parts: list[Part]
    bulk: bool = False


def parts_of(root: str, events: list[Any]) -> list[Part]:
    """Read what a deep observer of a root was given."""
    part = _message_part if root == schema.MESSAGES else _map_part
    return [part(root, event) for event in events]


def as_json(value: object) -> JsonValue:
    """Read a value that pycrdt hands out, shared types too, as JSON."""
    match value:
        case Text():
            return str(value)
        case Map() | Array():
            return cast(JsonValue, json.loads(str(value)))
        case _:
            return plain(value)


def _message_part(_: str, event: Any) -> Part:
    if isinstance(event, ArrayEvent) and not cast(Any, event).path:
        return MessagesChanged(_steps(event))
    return MessagesChanged((("delete", 0),))


def _map_part(root: str, event: Any) -> Part:
    path = tuple(str(step) for step in event.path)
    if isinstance(event, TextEvent):
        return TextChanged(root, path, _steps(event), len(cast(Any, event).target))
    if not isinstance(event, MapEvent):
        return EntryChanged(root, path, frozenset())
    keys = cast(Any, event).keys
    replaced = [key for key, how in keys.items() if how["action"] != "add"]
    texts = {} if root != schema.TEXTS or path else _texts(keys)
    return EntryChanged(root, path, frozenset(keys), frozenset(replaced), texts)


def _texts(keys: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Read new bodies while they are at hand: finding each again takes far longer."""
    found = ((key, how.get("newValue")) for key, how in keys.items())
    return {key: str(value) for key, value in found if isinstance(value, Text)}


def _steps(event: object) -> Delta:
    """The steps of an event; formatting is a step of its own name."""
    steps: list[tuple[str, Any]] = []
    # pycrdt fills the slots of its events without declaring them.
    for step in cast(Any, event).delta:
        name = "attributes" if "attributes" in step else next(iter(step))
        value = step[name]
        if isinstance(value, list):
            # The fields of a header are made JSON by whoever reads it.
            value = [i if isinstance(i, dict) else as_json(i) for i in value]
        steps.append((name, value))
    return tuple(steps)
