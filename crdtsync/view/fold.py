"""Folds document changes into the view and the typed events; it writes nothing.

The cost of a streamed delta does not depend on the length of the history. Events of one
change come in reading order (`places`), last the queue and what was merged into the
history; what brings no message: turns that start, what the agent does, questions, the
queue, turns that end.
"""

from __future__ import annotations

from typing import Literal

from crdtsync import schema
from crdtsync.document import Change, Document
from crdtsync.entities import Message
from crdtsync.events import (
    Happening,
    LeaseChanged,
    Merged,
    MessageAdded,
    QueueChanged,
    Reset,
    TitleChanged,
    ToolChanged,
)
from crdtsync.view import SessionView
from crdtsync.view.bodies import Bodies
from crdtsync.view.outcomes import Outcomes
from crdtsync.view.places import in_reading_order
from crdtsync.view.touched import Touched


class Folder:
    """Keeps a view up to date and tells what happened.

    Args:
        document: A loaded document.
        view: Its view; every change must be folded, in order, before it is read.
    """

    def __init__(self, document: Document, view: SessionView) -> None:
        self._document = document
        self._view = view
        self._bodies = Bodies(document, view)
        self._outcomes = Outcomes(view, self._bodies)
        self._told_pending = view.pending

    def fold(self, change: Change) -> list[Happening]:
        """Fold one change; a lone `Reset` if it was no change that events can tell."""
        if change.bulk:
            self._view.forget()
            return [self._anew("merged")]
        touched = Touched.by(change)
        with self._document.reading():
            return self._fold(touched)

    def _anew(self, reason: Literal["merged", "rewritten"]) -> Happening:
        """Forget what was followed; readers are to read the view anew."""
        self._bodies.forget()
        self._outcomes.forget()
        self._told_pending = self._view.pending
        return Happening(Reset(reason, self._view.message_count))

    def _fold(self, touched: Touched) -> list[Happening]:
        self._view.take(touched)
        if touched.rewritten:
            return [self._anew("rewritten")]
        messages = list(touched.messages)
        found = self._found(touched)
        if not messages:
            return found
        return [happening for _, happening in in_reading_order(found, messages)]

    def _found(self, touched: Touched) -> list[Happening]:
        streamed = self._bodies.tell(touched)
        told = self._outcomes.tell(touched)
        return [
            *self._said(touched),
            *self._lease(touched),
            *told.started,
            *streamed,
            *told.streamed,
            *self._tools(touched),
            *told.asked,
            *self._queue(),
            *told.ended,
            *self._merged(touched),
        ]

    def _said(self, touched: Touched) -> list[Happening]:
        told = []
        queue = self._view.queue
        for message in touched.messages:
            if not message.streamed:
                added = MessageAdded(message, message.id in queue)
                told.append(Happening(added, message.author))
        if "title" in touched.entries.get(schema.META, ()):
            told.append(Happening(TitleChanged(self._view.meta.title)))
        return told

    def _lease(self, touched: Touched) -> list[Happening]:
        if "turn" not in touched.entries.get(schema.LEASE, ()):
            return []
        return [Happening(self._view.lease or LeaseChanged("", 0, "", ""))]

    def _tools(self, touched: Touched) -> list[Happening]:
        found = [self._view.tool_table.get(key) for key in touched.tools]
        tools = [tool for tool in found if tool is not None]
        tools.sort(key=lambda tool: (tool.started_at, tool.key))
        return [Happening(ToolChanged(tool)) for tool in tools]

    def _queue(self) -> list[Happening]:
        pending = self._view.pending
        if pending == self._told_pending:
            return []
        self._told_pending = pending
        return [Happening(QueueChanged(pending))]

    def _merged(self, touched: Touched) -> list[Happening]:
        """Tell of blocks that came into the middle of the history (D-6)."""
        return [
            self._block(at + len(added), added)
            for at, added in touched.inserted
            if at + len(added) < self._document.message_count
        ]

    def _block(self, end: int, added: list[Message]) -> Happening:
        times = sorted(message.at for message in added)
        merged = Merged(
            messages=tuple(message.id for message in added),
            authors=tuple(dict.fromkeys(message.author for message in added)),
            first_at=times[0],
            last_at=times[-1],
            before=self._view.messages[end].id,
        )
        return Happening(merged, added[0].author)
