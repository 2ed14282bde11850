"""The typed writes of one transaction on a session's document; it reads nothing out.

Which key is written when, and by whom: docs/how-it-works/document.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pycrdt import Array, Doc, Map, Text

from crdtsync import schema
from crdtsync.document.parts import Change, as_json
from crdtsync.entities import Message, Participant
from crdtsync.errors import UsageError
from crdtsync.schema import JsonObject, JsonValue


class Edit:
    """The typed writes of one transaction; get one from `Document.edit`.

    Attributes:
        change: What the transaction did, once its block has ended.
    """

    def __init__(
        self, doc: Doc[Any], messages: Array[Any], maps: Mapping[str, Map[Any]]
    ) -> None:
        self._doc = doc
        self._messages = messages
        self._maps = maps
        self.change = Change(b"", [])

    def apply(self, update: bytes) -> None:
        """Apply an admitted update in this same transaction (Q4).

        Raises:
            Exception: Whatever pycrdt raises; the document is half applied then.
        """
        self._doc.apply_update(update)

    def seed(self, values: JsonObject) -> None:
        """Write `meta` of a new session; only its creator does, once (D-2)."""
        self.set_meta({"schema": schema.SCHEMA, **values})

    def set_meta(self, values: JsonObject) -> None:
        """Set keys of `meta` that differ from what is there."""
        _set_changed(self._maps[schema.META], values)

    def add_participant(self, participant: Participant) -> None:
        """Introduce a participant, or change the name."""
        value: JsonObject = {
            "name": participant.name,
            "kind": participant.kind,
            "joined_at": participant.joined_at,
            "slot": participant.slot,
        }
        _set_changed(self._maps[schema.PARTICIPANTS], {participant.id: value})

    def add_message(self, message: Message) -> None:
        """Append a header; a streamed one gets its empty body."""
        self._messages.append(message.to_json())
        if message.streamed:
            self.open_text(message.id)

    def open_text(self, message: str) -> None:
        """Give a message an empty body; needed only for roles of a later version."""
        self._maps[schema.TEXTS][message] = Text()

    def append_text(self, message: str, text: str) -> None:
        """Append to the body of a streamed message of this replica's own turn."""
        body = self._maps[schema.TEXTS].get(message)
        if not isinstance(body, Text):
            raise UsageError(f"message {message} has no streamed body")
        body.insert(len(body), text)

    def enqueue(self, prompt: str, rank: str) -> None:
        """Put a prompt into the queue; once per prompt, never again (05: 1.3)."""
        self._maps[schema.QUEUE][prompt] = Map({"rank": rank})

    def set_queue(self, prompt: str, values: JsonObject) -> None:
        """Set `rank`, `held` or `released_by` of a prompt that still is there."""
        entry = self._maps[schema.QUEUE].get(prompt)
        if isinstance(entry, Map):
            _set_changed(entry, values)

    def withdraw(self, prompt: str) -> None:
        """Take a prompt out of the queue for good."""
        if prompt in self._maps[schema.QUEUE]:
            del self._maps[schema.QUEUE][prompt]

    def set_turn(self, turn: str, values: JsonObject) -> None:
        """Set keys of a turn that this replica runs, making the entry if needed."""
        _set_entry(self._maps[schema.TURNS], turn, values)

    def set_lease(self, values: JsonObject) -> None:
        """Show who runs; a display hint."""
        self._maps[schema.LEASE]["turn"] = values

    def set_tool(self, key: str, values: JsonObject) -> None:
        """Set fields of a tool call, making the entry if needed."""
        _set_entry(self._maps[schema.TOOLS], key, values)

    def append_output(self, key: str, text: str) -> None:
        """Append to a tool call's output."""
        tool = self._maps[schema.TOOLS].get(key)
        if not isinstance(tool, Map):
            raise UsageError(f"there is no tool call {key}")
        output = tool.get("output")
        if isinstance(output, Text):
            output.insert(len(output), text)
        else:
            tool["output"] = Text(text)

    def ask(self, approval: str, values: JsonObject) -> None:
        """Write a permission question with no votes yet."""
        self._maps[schema.APPROVALS][approval] = Map({**values, "votes": Map()})

    def vote(self, approval: str, participant: str, option: str) -> None:
        """Note a participant's answer; the runner decides."""
        entry = self._maps[schema.APPROVALS].get(approval)
        votes = entry.get("votes") if isinstance(entry, Map) else None
        if not isinstance(votes, Map):
            raise UsageError(f"there is no open question {approval}")
        votes[participant] = option

    def decide(self, approval: str, decision: str, by: str) -> None:
        """Close a question; only the runner that asked does."""
        entry = self._maps[schema.APPROVALS].get(approval)
        if isinstance(entry, Map) and "decision" not in entry:
            entry["decided_by"] = by
            entry["decision"] = decision

    def set_draft(self, participant: str, value: JsonValue) -> None:
        """Hand over a draft on purpose."""
        self._maps[schema.DRAFTS][participant] = value

    def set_entry(self, root: str, key: str, value: JsonValue) -> None:
        """Write a value of any map root as it is; for imports."""
        self._maps[root][key] = value


def _set_changed(shared: Map[Any], values: JsonObject) -> None:
    for key, value in values.items():
        if key not in shared or as_json(shared[key]) != value:
            shared[key] = value


def _set_entry(root: Map[Any], key: str, values: JsonObject) -> None:
    entry = root.get(key)
    if isinstance(entry, Map):
        _set_changed(entry, values)
    else:
        root[key] = Map(dict(values))
