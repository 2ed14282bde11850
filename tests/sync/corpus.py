"""Legitimate updates made by pycrdt: random edits, deletions, diffs, merges.

Every update comes with the replica that receives it, in the order it does so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from pycrdt import (
    Array,
    Doc,
    Map,
    Subscription,
    Text,
    TransactionEvent,
    XmlElement,
    XmlFragment,
    XmlText,
    merge_updates,
)

from crdtsync.schema import ROOTS
from crdtsync.sync.admission import Roots

Shared: TypeAlias = Array[object] | Map[object] | Text | XmlFragment
AnyDoc: TypeAlias = Doc[Any]

GENERAL_ROOTS: Roots = {"a": "array", "m": "map", "t": "text"}
WORDS = ("a", "hello ", "naïve ", "日本 ", "😀", "x😀y👩‍👩‍👧 ", "line\n", "Ω")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One update that reaches one replica of one document.

    A fresh replica, which has nothing yet, has no number.
    """

    document: int
    replica: int | None
    update: bytes


def roots_of(document: int) -> Roots:
    """Every other document is a session, by its number."""
    return ROOTS if document % 2 else GENERAL_ROOTS


def deliveries(seed: int, count: int) -> Iterator[Delivery]:
    """Yield `count` deliveries, of one document after the other."""
    return islice(_all(seed), count)


def _all(seed: int) -> Iterator[Delivery]:
    document = seed * 1_000_000
    while True:
        yield from _World(document).live()
        document += 1


class _World:
    """Some replicas of one document and what their writers do."""

    def __init__(self, document: int) -> None:
        self.document = document
        self.random = random.Random(document)  # noqa: S311 - repeatable
        self.docs: list[AnyDoc] = [
            Doc(client_id=self.random.randrange(1, 2**32), skip_gc=bool(i % 3 == 2))
            for i in range(self.random.randint(1, 4))
        ]
        self.subscriptions: list[Subscription] = []
        self.emitted: list[bytes] = []
        for doc in self.docs:
            self.subscriptions.append(doc.observe(self._emit))

    def live(self) -> Iterator[Delivery]:
        history: list[bytes] = []
        for _ in range(self.random.randint(20, 120)):
            at = self.random.randrange(len(self.docs))
            self.emitted.clear()
            self._edit(self.docs[at])
            history.extend(self.emitted)
            for update in list(self.emitted):
                yield Delivery(self.document, at, update)
            if self.random.random() < 0.2:
                yield from self._exchange()
        yield from self._stored(history)

    def _emit(self, event: TransactionEvent) -> None:
        self.emitted.append(event.update)

    def _exchange(self) -> Iterator[Delivery]:
        source, target = (self.random.randrange(len(self.docs)) for _ in "ab")
        missing = self.docs[source].get_update(self.docs[target].get_state())
        self.docs[target].apply_update(missing)
        yield Delivery(self.document, target, missing)

    def _stored(self, history: list[bytes]) -> Iterator[Delivery]:
        whole: AnyDoc = Doc()
        for doc in self.docs:
            state = doc.get_update()
            whole.apply_update(state)
            yield Delivery(self.document, None, state)
        yield Delivery(self.document, None, whole.get_update())
        for _ in range(3):
            start = self.random.randrange(len(history))
            part = history[start : start + self.random.randint(2, 6)]
            yield Delivery(self.document, None, merge_updates(*part))
        whole_history = list(history)
        self.random.shuffle(whole_history)
        yield Delivery(self.document, None, merge_updates(*whole_history))

    def _edit(self, doc: AnyDoc) -> None:
        with doc.transaction():
            for _ in range(self.random.choice((1, 1, 1, 2, 5))):
                if self.document % 2:
                    self._edit_session(doc)
                else:
                    self._edit_general(doc)

    def _edit_session(self, doc: AnyDoc) -> None:
        choice = self.random.random()
        if choice < 0.3:
            messages = doc.get("messages", type=Array)
            messages.append({"id": self._key(), "text": self._word(), "turn": 3})
        elif choice < 0.7:
            self._write_in(doc.get("texts", type=Map), Text)
        elif choice < 0.85:
            self._write_in(doc.get("tools", type=Map), Map)
        elif choice < 0.95:
            meta = doc.get("meta", type=Map)
            meta["title"] = self._word()
        else:
            doc.get("from-a-newer-version", type=Text).insert(0, self._word())

    def _edit_general(self, doc: AnyDoc) -> None:
        choice = self.random.random()
        if choice < 0.35:
            self._write_text(doc.get("t", type=Text))
        elif choice < 0.55:
            self._write_array(doc.get("a", type=Array), depth=0)
        elif choice < 0.8:
            self._write_map(doc.get("m", type=Map), depth=0)
        elif choice < 0.9:
            self._write_xml(doc.get("x", type=XmlFragment))
        else:
            self._write_text(doc.get("unknown", type=Text))

    def _write_in(self, entries: Map[object], kind: type[Text] | type[Map]) -> None:  # type: ignore[type-arg]
        key = self._key()
        if key not in entries:
            entries[key] = kind()
        elif self.random.random() < 0.05:
            del entries[key]
            return
        match entries[key]:
            case Text() as body:
                body += self._word()
            case Map() as fields:
                self._write_map(fields, depth=1)

    def _write_text(self, text: Text) -> None:
        pieces = text.diff()
        choice = self.random.random()
        if choice < 0.55 or not pieces:
            formats = self.random.choice(({}, {}, {"bold": True}, {"link": "é"}))
            text.insert(self._cut(text), self._word(), formats)
            return
        start, stop = sorted((self._cut(text), self._cut(text)))
        if choice < 0.8:
            del text[start:stop]
        elif choice < 0.92:
            text.format(start, stop, self.random.choice(({"bold": True}, {"em": None})))
        else:
            text.insert_embed(self._cut(text), {"image": self._word()})

    def _cut(self, text: Text) -> int:
        """Return a random offset, in bytes as pycrdt counts, between characters."""
        cuts = [0]
        for piece, _ in text.diff():
            steps = [len(c.encode()) for c in piece] if isinstance(piece, str) else [1]
            for step in steps:
                cuts.append(cuts[-1] + step)
        return self.random.choice(cuts)

    def _write_array(self, array: Array[object], depth: int) -> None:
        size = len(array)
        choice = self.random.random()
        if choice < 0.25 and size:
            del array[self.random.randrange(size)]
        elif choice < 0.35 and size:
            item = array[self.random.randrange(size)]
            if isinstance(item, Array):
                self._write_array(item, depth + 1)
        else:
            array.insert(self.random.randint(0, size), self._value(depth))

    def _write_map(self, entries: Map[object], depth: int) -> None:
        key = self._key()
        if key in entries and self.random.random() < 0.3:
            match entries[key]:
                case Map() as inner:
                    self._write_map(inner, depth + 1)
                case _:
                    del entries[key]
        else:
            entries[key] = self._value(depth)

    def _write_xml(self, parent: XmlFragment) -> None:
        if len(parent.children) and self.random.random() < 0.3:
            del parent.children[self.random.randrange(len(parent.children))]
            return
        child = parent.children.append(
            self.random.choice((XmlElement("p", {"class": "é"}), XmlText("text")))
        )
        if isinstance(child, XmlText):
            child.insert(0, self._word())

    def _value(self, depth: int) -> object:
        values: list[object] = [
            None,
            True,
            7,
            -(2**40),
            0.5,
            self._word(),
            {"k": [1, {"n": None}]},
            [self._word()] * 3,
            b"bytes",
        ]
        if depth < 4:
            values += [Text(self._word()), Array([1, "é"]), Map({"k": 1})]
        if depth == 0 and not self.document % 2:
            values.append(Doc())
        return self.random.choice(values)

    def _word(self) -> str:
        return "".join(self.random.choices(WORDS, k=self.random.randint(1, 4)))

    def _key(self) -> str:
        return self.random.choice("abcdefgé😀")
