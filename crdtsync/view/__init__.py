"""The state of a session as typed values, read from its document when first asked.

Nothing here writes, and a table that nobody asked for is never read, so that opening
costs little more than loading. `crdtsync.view.fold` keeps it up to date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.entities import Approval, Message, Participant, ToolCall
from crdtsync.events import LeaseChanged, QueuedPrompt
from crdtsync.schema import JsonValue, plain
from crdtsync.turns.claim import Cut, TurnRecord
from crdtsync.turns.order import Reading, extend, read_turns, restate
from crdtsync.turns.queue import QueueEntry, in_order
from crdtsync.view.history import History
from crdtsync.view.records import (
    SessionMeta,
    lease_record,
    queue_entry,
    session_meta,
    turn_record,
)
from crdtsync.view.table import Table
from crdtsync.view.touched import Keys, Touched

__all__ = ["SessionMeta", "SessionView"]

# More than so many in one change: the reading is worked out anew, and only once.
_TURNS_ONE_BY_ONE_MAX: Final = 16

# What the reading of the turns depends on; an end is the common case.
_READ_KEYS: Final = frozenset({"claim", "ended", "void", "detached_at"})
_ENDED: Final = frozenset({"ended"})


class SessionView:
    """What a session looks like now; equal views mean equal sessions.

    Args:
        document: The replica to read; the view must see every change of it through
            `crdtsync.view.fold.Folder`.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.forget()

    def forget(self) -> None:
        """Read everything anew at its next use; after more changed than was told."""
        document = self._document
        self._messages: History | None = None
        self._index: dict[str, int] | None = None
        self._meta: SessionMeta | None = None
        self._reading: Reading | None = None
        self._pending: tuple[QueuedPrompt, ...] | None = None
        self._takers: dict[str, set[str]] | None = None
        self.turn_table = Table(document, schema.TURNS, turn_record)
        self.tool_table = Table(document, schema.TOOLS, ToolCall.from_json)
        self.approval_table = Table(document, schema.APPROVALS, Approval.from_json)
        self.queue_table = Table(document, schema.QUEUE, queue_entry)
        self.participant_table = Table(
            document, schema.PARTICIPANTS, Participant.from_json
        )
        self.draft_table: Table[JsonValue] = Table(
            document, schema.DRAFTS, lambda _, value: plain(value)
        )

    @property
    def meta(self) -> SessionMeta:
        """Id, title, creator and the like."""
        if self._meta is None:
            self._meta = session_meta(self._document.json(schema.META))
        return self._meta

    @property
    def messages(self) -> Sequence[Message]:
        """The whole history in the order shown (D-6); read at first use."""
        return self._history

    @property
    def _history(self) -> History:
        if self._messages is None:
            self._messages = History(self._document.headers())
        return self._messages

    @property
    def message_count(self) -> int:
        """Number of messages, without reading them."""
        return self._document.message_count

    def tail(self, count: int) -> Sequence[Message]:
        """The last messages, oldest first."""
        return self.messages[max(0, self.message_count - count) :]

    def position(self, message: str) -> int | None:
        """Where a message stands in the history, from 0."""
        if self._index is None:
            self._index = self._history.positions()
        return self._index.get(message)

    def message(self, message: str) -> Message | None:
        """A message by its id."""
        at = self.position(message)
        return None if at is None else self.messages[at]

    def text(self, message: str) -> str:
        """The body of a message, streamed so far or whole; "" if there is none."""
        header = self.message(message)
        if header is not None and header.text:
            return header.text
        return self._document.text(message)

    @property
    def turns(self) -> Mapping[str, TurnRecord]:
        """Every turn by id, in no order; `reading` has the order."""
        return self.turn_table.all()

    @property
    def reading(self) -> Reading:
        """How the turns are to be read: order, main line, classes, states."""
        if self._reading is None:
            self._reading = read_turns(self.turns.values())
        return self._reading

    @property
    def running(self) -> TurnRecord | None:
        """The turn that runs now, as far as the document says; the last if several."""
        reading = self.reading
        for turn in reversed(reading.order):
            record = self.turns[turn]
            if record.started and reading.states[turn] == "open":
                return record
        return None

    @property
    def tools(self) -> Mapping[str, ToolCall]:
        """Every tool call by "turn/call"."""
        return self.tool_table.all()

    def tools_of(self, turn: str) -> list[ToolCall]:
        """The tool calls of a turn, in the order they started."""
        found = [tool for tool in self.tools.values() if tool.turn == turn]
        return sorted(found, key=lambda tool: (tool.started_at, tool.key))

    @property
    def approvals(self) -> Mapping[str, Approval]:
        """Every permission question by id."""
        return self.approval_table.all()

    def open_approvals(self) -> list[Approval]:
        """Questions that wait for an answer, oldest first."""
        found = [
            a
            for a in self.approvals.values()
            if a.open and self.reading.states.get(a.turn) == "open"
        ]
        return sorted(found, key=lambda approval: approval.number)

    def approval_by_number(self, number: int) -> Approval | None:
        """The question people call by this number; the latest if several do."""
        found = [a for a in self.approvals.values() if a.number == number]
        return max(found, key=lambda a: (a.open, a.asked_at, a.id), default=None)

    @property
    def queue(self) -> Mapping[str, QueueEntry]:
        """Queue entries by prompt; `pending` says which of them still wait."""
        return self.queue_table.all()

    @property
    def pending(self) -> tuple[QueuedPrompt, ...]:
        """Prompts that wait for a turn, first to run first."""
        if self._pending is None:
            waiting = [e for e in in_order(self.queue.values()) if self.waits(e.prompt)]
            self._pending = tuple(
                QueuedPrompt(entry.prompt, position, not entry.free)
                for position, entry in enumerate(waiting, 1)
            )
        return self._pending

    def waits(self, prompt: str) -> bool:
        """Whether a prompt of the queue was taken by no turn but void ones (Q2)."""
        return not any(
            not record.void and record.claim and prompt in record.claim.prompts
            for turn in self.takers.get(prompt, ())
            if (record := self.turns.get(turn)) is not None
        )

    @property
    def takers(self) -> Mapping[str, set[str]]:
        """The turns that list a prompt, by prompt."""
        if self._takers is None:
            self._takers = {}
            for record in self.turns.values():
                self._note_taker(self._takers, record)
        return self._takers

    @property
    def participants(self) -> Mapping[str, Participant]:
        """Everybody who ever wrote here, by id."""
        return self.participant_table.all()

    def name_of(self, participant: str) -> str:
        """How a participant is called; the id if nothing else is known."""
        found = self.participant_table.get(participant)
        return found.name if found is not None else participant

    @property
    def drafts(self) -> Mapping[str, JsonValue]:
        """Drafts handed over on purpose, by participant."""
        return self.draft_table.all()

    @property
    def lease(self) -> LeaseChanged | None:
        """The lease record, for display."""
        stored = self._document.entry(schema.LEASE, "turn")
        return lease_record(stored) if stored is not None else None

    def cut(self, turn: str) -> Cut:
        """How much of a turn's output is here, as a claim that closes it notes it."""
        streamed = [m for m in self.messages if m.turn == turn and m.streamed]
        if not streamed:
            return Cut(0, 0)
        return Cut(len(streamed), self._document.text_bytes(streamed[-1].id))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionView):
            return NotImplemented
        return self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]

    def _content(self) -> tuple[object, ...]:
        return (
            self.meta,
            list(self.messages),
            self._document.json(schema.TEXTS),
            *(dict(table.all()) for table in self._tables()),
            self.pending,
            self.reading,
            self.lease,
        )

    def _tables(self) -> Iterator[Table[object]]:
        yield from (  # type: ignore[misc]
            self.turn_table,
            self.tool_table,
            self.approval_table,
            self.queue_table,
            self.participant_table,
            self.draft_table,
        )

    # What the fold tells the view.

    def take(self, touched: Touched) -> None:
        """Take up a change of the document."""
        if touched.rewritten:
            self._messages = self._index = None
        else:
            self._insert(touched.inserted)
        self._take_turns(touched.turns)
        self.tool_table.refresh_all(touched.tools)
        self.approval_table.refresh_all(touched.approvals)
        for root, keys in touched.entries.items():
            self._take_entries(root, keys)

    def _insert(self, inserted: Sequence[tuple[int, Sequence[Message]]]) -> None:
        if self._messages is None or not inserted:
            return
        for at, added in inserted:
            if self._index is not None and at == len(self._messages):
                self._index.update((m.id, at + i) for i, m in enumerate(added))
            else:
                self._index = None
            self._messages.insert(at, added)
        if len(self._messages) != self._document.message_count:
            # It was first read after the change, inside the edit that made it.
            self._messages = self._index = None

    def _take_entries(self, root: str, keys: Collection[str]) -> None:
        match root:
            case schema.META:
                self._meta = None
            case schema.QUEUE:
                self.queue_table.refresh_all(keys)
                self._pending = None
            case schema.PARTICIPANTS:
                self.participant_table.refresh_all(keys)
            case schema.DRAFTS:
                self.draft_table.refresh_all(keys)

    def _take_turns(self, turns: Mapping[str, Keys]) -> None:
        if len(turns) > _TURNS_ONE_BY_ONE_MAX:
            self._reading = self._takers = self._pending = None
            self.turn_table.refresh_all(turns)
            return
        for turn, keys in turns.items():
            record = self.turn_table.refresh(turn)
            if keys is None or keys & _READ_KEYS:
                self._pending = None
                self._reread(record, keys)

    def _reread(self, record: TurnRecord | None, keys: Keys) -> None:
        """Work out what follows from a turn; its claim is new if `keys` is None."""
        if record is None or (keys is not None and "claim" in keys):
            self._reading = self._takers = None
            return
        if self._takers is not None:
            self._note_taker(self._takers, record)
        if self._reading is None:
            return
        if keys is None:
            self._reading = extend(self._reading, record)
        elif keys & _READ_KEYS == _ENDED:
            self._reading = restate(self._reading, record)
        else:
            self._reading = None

    @staticmethod
    def _note_taker(takers: dict[str, set[str]], record: TurnRecord) -> None:
        if record.claim is not None:
            for prompt in record.claim.prompts:
                takers.setdefault(prompt, set()).add(record.id)
