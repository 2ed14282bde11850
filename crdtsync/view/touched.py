"""What one change touched, sorted by kind; it reads no document and tells nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from crdtsync import schema
from crdtsync.document.parts import (
    Change,
    Delta,
    EntryChanged,
    MessagesChanged,
    TextChanged,
)
from crdtsync.entities import Message

Keys: TypeAlias = "frozenset[str] | None"
"""The keys of an entry that changed; None if the whole entry is new, or is gone."""

_ONCE: Final = frozenset({"claim", "started", "ended", "void"})
# Entries of these roots are made once and stay.
_LASTING: Final = frozenset(
    {schema.TEXTS, schema.TURNS, schema.TOOLS, schema.APPROVALS}
)


@dataclass(slots=True)
class Touched:
    """What one change touched.

    Attributes:
        inserted: New messages and where they stand, in order.
        appended: Text added at the end of streamed bodies, by message.
        bodies: New bodies of messages, with all their text.
        turns: Turns, and what of them.
        tools: Keys of tool calls.
        approvals: Permission questions, and what of them.
        entries: Keys of other entries, by root.
        rewritten: Something changed that nobody who keeps to the rules changes.
    """

    inserted: list[tuple[int, list[Message]]] = field(default_factory=list)
    appended: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    turns: dict[str, Keys] = field(default_factory=dict)
    tools: dict[str, Keys] = field(default_factory=dict)
    approvals: dict[str, Keys] = field(default_factory=dict)
    entries: dict[str, set[str]] = field(default_factory=dict)
    rewritten: bool = False

    @property
    def messages(self) -> Iterable[Message]:
        """Every new message, in order."""
        return (message for _, added in self.inserted for message in added)

    @classmethod
    def by(cls, change: Change) -> Touched:
        """Sort out a change."""
        touched = cls()
        for part in change.parts:
            match part:
                case MessagesChanged(delta):
                    touched._take_messages(delta)
                case TextChanged(schema.TEXTS, path):
                    touched._take_text(path, part.appended)
                case TextChanged(root, path):
                    touched._take_inside(root, path, frozenset())
                case _:
                    touched._take_part(part)
        return touched

    def _take_messages(self, delta: Delta) -> None:
        at = 0
        for step, value in delta:
            if step == "retain":
                at += value
            elif step == "insert":
                self.inserted.append((at, [Message.from_json(item) for item in value]))
                at += len(value)
            else:
                self.rewritten = True

    def _take_text(self, path: tuple[str, ...], appended: str | None) -> None:
        if len(path) != 1:
            return
        if appended is None:
            self.rewritten = True
        else:
            self.appended[path[0]] = appended

    def _take_part(self, part: EntryChanged) -> None:
        if part.path:
            once = part.root == schema.TURNS and len(part.path) == 1
            self.rewritten |= once and bool(part.replaced & _ONCE)
            self._take_inside(part.root, part.path, part.keys)
            return
        self.rewritten |= bool(part.replaced) and part.root in _LASTING
        self.bodies.update(part.texts)
        for key in sorted(part.keys):
            self._take(part.root, key, None)

    def _take_inside(
        self, root: str, path: tuple[str, ...], keys: frozenset[str]
    ) -> None:
        self._take(root, path[0], frozenset(path[1:2]) or keys)

    def _take(self, root: str, key: str, keys: Keys) -> None:
        match root:
            case schema.TURNS:
                _note(self.turns, key, keys)
            case schema.TOOLS:
                _note(self.tools, key, keys)
            case schema.APPROVALS:
                _note(self.approvals, key, keys)
            case _:
                self.entries.setdefault(root, set()).add(key)


def _note(touched: dict[str, Keys], key: str, keys: Keys) -> None:
    before = touched.get(key, frozenset())
    touched[key] = None if before is None or keys is None else before | keys
