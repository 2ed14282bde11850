"""A window's session document, written by hand; it guards nothing."""

from __future__ import annotations

from typing import Any

from pycrdt import Array, Doc, Map

from crdtsync import schema


class Window:
    """A document of one person, and its last update."""

    def __init__(self, doc: Doc[Any] | None = None) -> None:
        self.doc: Doc[Any] = Doc()
        if doc is not None:
            self.doc.apply_update(doc.get_update())
        self.updates: list[bytes] = []
        self.watching = self.doc.observe(lambda e: self.updates.append(e.update))
        self.messages = self.doc.get(schema.MESSAGES, type=Array[Any])
        self.people = self.doc.get(schema.PARTICIPANTS, type=Map[Any])
        self.approvals = self.doc.get(schema.APPROVALS, type=Map[Any])

    def say(self, author: str, role: str = "user", text: str = "hi") -> bytes:
        header = {"id": f"m{len(self.messages)}", "role": role, "text": text}
        self.messages.append({**header, "author": author})
        return self.updates[-1]

    def introduce(self, who: str) -> bytes:
        self.people[who] = {"name": who, "kind": "person"}
        return self.updates[-1]

    def ask(self, question: str = "q1", **extra: object) -> bytes:
        self.approvals[question] = Map({"title": "rm -rf", "votes": Map(), **extra})
        return self.updates[-1]

    def vote(self, who: str, question: str = "q1", option: str = "allow") -> bytes:
        self.approvals[question]["votes"][who] = option
        return self.updates[-1]

    def decide(self, question: str = "q1") -> bytes:
        self.approvals[question]["decision"] = "allow"
        return self.updates[-1]

    def all(self) -> bytes:
        return self.doc.get_update()
