"""A session's replica: typed writes and reads on one Yjs document.

Layout and rules: docs/how-it-works/document.md (D-1 to D-10). Every write happens in
one short transaction, `with document.edit() as edit:`, and yields one update. It knows
no events, no log and no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from pycrdt import Array, Doc, Map, Subscription, Text

from crdtsync import schema
from crdtsync.document.edit import Edit
from crdtsync.document.parts import Change, Part, as_json, parts_of
from crdtsync.errors import CrdtSyncError, LogDamaged, NewerFormat, UsageError
from crdtsync.schema import JsonObject, JsonValue, plain

__all__ = ["Change", "Document", "Edit"]

BULK_BYTES: Final = 512 * 1024
"""Larger changes are not told event by event, which costs five times the applying."""

_MAPS: Final = tuple(root for root, kind in schema.ROOTS.items() if kind == "map")


class Document:
    """One replica of a session's document.

    Args:
        client_id: The Yjs client id to write under (D-10); random if None.
    """

    def __init__(self, client_id: int | None = None) -> None:
        self._open(Doc(client_id=client_id))

    @classmethod
    def load(
        cls, updates: Iterable[bytes], *, client_id: int | None = None
    ) -> Document:
        """Build a document from a snapshot and updates, in one transaction.

        Args:
            updates: In an order in which they can be applied, see `apply`.
            client_id: As for a new document.

        Raises:
            LogDamaged: An update cannot be applied.
            CrdtSyncError: Reading the updates raised it.
        """
        doc: Doc[Any] = Doc(client_id=client_id)
        apply = doc.apply_update
        try:
            with doc.transaction():
                for update in updates:
                    apply(update)
        except CrdtSyncError:
            raise
        except BaseException as error:
            # A native panic is a BaseException; the document is half applied.
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise LogDamaged(
                f"an update of the session cannot be read: {error}",
                hint="Run `crdtsync doctor` to see and to salvage what is readable.",
            ) from error
        document = cls.__new__(cls)
        document._open(doc)  # noqa: SLF001 - of its own class
        return document

    def _open(self, doc: Doc[Any]) -> None:
        """Open the typed roots and observe them; what was loaded is no change."""
        self._doc = doc
        self._made: list[bytes] = []
        self._noted: list[tuple[Array[Any] | Map[Any], Subscription]] = []
        made = self._made
        self._watching = doc.observe(lambda event: made.append(event.update))
        self._messages: Array[Any] = doc.get(schema.MESSAGES, type=Array)
        self._maps: dict[str, Map[Any]] = {
            root: doc.get(root, type=Map) for root in _MAPS
        }
        self._editing = False
        self._schema: int | None = None
        self._found: dict[str, list[Part]] = {}
        self._observe_roots()

    def __del__(self) -> None:
        # An observer refers to its document from within the native code, where no
        # collector looks: without this the document would stay for ever.
        if hasattr(self, "_watching"):
            self._unobserve_roots()
            self._doc.unobserve(self._watching)

    def _observe_roots(self) -> None:
        self._observe(schema.MESSAGES, self._messages)
        for root, shared in self._maps.items():
            self._observe(root, shared)

    def _observe(self, root: str, shared: Array[Any] | Map[Any]) -> None:
        """Note what changes; nothing may be written where it is noted."""
        # For the same reason it does not refer to this object.
        found = self._found

        def note(events: list[Any]) -> None:
            found.setdefault(root, []).extend(parts_of(root, events))

        self._noted.append((shared, shared.observe_deep(note)))

    def _unobserve_roots(self) -> None:
        while self._noted:
            shared, subscription = self._noted.pop()
            shared.unobserve(subscription)

    @property
    def client_id(self) -> int:
        """The Yjs client id of this replica."""
        return self._doc.client_id

    @property
    def schema_version(self) -> int:
        """The document's schema; 0 while it is not seeded."""
        if self._schema is None:
            found = plain(self._maps[schema.META].get("schema"))
            self._schema = found if isinstance(found, int) else 0
        return self._schema

    @property
    def read_only(self) -> bool:
        """Whether a newer version made it, so that this one must not write (D-3)."""
        return self.schema_version > schema.SCHEMA

    @contextmanager
    def edit(self) -> Iterator[Edit]:
        """Write in one transaction; `edit.change` is filled when the block ends.

        Nothing is rolled back when the block raises. What it wrote until then is in
        the document and in `edit.change`, and must be logged like any other change:
        later updates of this replica build on it. Check before you write, and never
        await inside.

        Raises:
            NewerFormat: The document is of a newer schema.
            UsageError: There is an edit around this one.
        """
        if self.read_only:
            raise NewerFormat(
                f"the session has schema {self.schema_version}, which is too new",
                hint="Update crdtsync; until then the session can only be read.",
            )
        if self._editing:
            raise UsageError("an edit cannot be made inside another one")
        edit = Edit(self._doc, self._messages, self._maps)
        self._editing = True
        try:
            with self._doc.transaction():
                yield edit
        finally:
            self._editing = False
            edit.change = self._take()

    def apply(self, updates: Sequence[bytes]) -> Change:
        """Apply trusted updates in one transaction.

        What an update builds on must be here or come before it: of those that come
        too early the native code loses some. Admission, which updates from other
        machines go through first, holds them back. Anything raised here means that
        the document may be half applied: drop it and load it anew.

        Much at once is not told part by part: see `Change.bulk`.

        Raises:
            LogDamaged: An update cannot be applied.
        """
        bulk = sum(map(len, updates)) >= BULK_BYTES
        if bulk:
            self._schema = None
            self._unobserve_roots()
        try:
            with self._doc.transaction():
                for update in updates:
                    self._doc.apply_update(update)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise LogDamaged(
                f"an update cannot be applied: {error}",
                hint="Reopen the session; if it fails again, run `crdtsync doctor`.",
            ) from error
        if bulk:
            self._observe_roots()
            update = self._take_update()
            return Change(update, [], bulk=bool(update))
        return self._take()

    def _take(self) -> Change:
        found = self._found
        if schema.META in found:
            self._schema = None
        parts = [part for root in schema.ROOTS for part in found.get(root, ())]
        found.clear()
        return Change(self._take_update(), parts)

    def _take_update(self) -> bytes:
        update = self._made[-1] if self._made else b""
        self._made.clear()
        return update

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read many things at a fraction of the cost; never await or write inside."""
        with self._doc.transaction():
            yield

    def state_vector(self) -> bytes:
        """What this replica has seen, as a Yjs state vector."""
        return self._doc.get_state()

    def state(self) -> bytes:
        """The whole document as one update."""
        return self._doc.get_update()

    def diff(self, state_vector: bytes) -> bytes:
        """The update that a replica with this state vector lacks.

        Raises:
            ValueError: It is no state vector.
        """
        return self._doc.get_update(state_vector)

    @property
    def message_count(self) -> int:
        """Number of message headers."""
        return len(self._messages)

    def headers(self) -> list[JsonValue]:
        """Every message header, in order (D-5: one linear pass in Rust)."""
        return cast("list[JsonValue]", json.loads(str(self._messages)))

    def json(self, root: str) -> JsonObject:
        """A whole map root as JSON; texts are strings."""
        return cast(JsonObject, json.loads(str(self._maps[root])))

    def entry(self, root: str, key: str) -> JsonValue:
        """One value of a map root as JSON; None if it is not there."""
        return as_json(self._maps[root].get(key))

    def has(self, root: str, key: str) -> bool:
        """Whether a map root has a key."""
        return key in self._maps[root]

    def text(self, message: str) -> str:
        """The body of a streamed message; "" if there is none."""
        found = self._maps[schema.TEXTS].get(message)
        return str(found) if isinstance(found, Text) else ""

    def text_bytes(self, message: str) -> int:
        """Length of a streamed body in UTF-8 bytes, without reading it."""
        found = self._maps[schema.TEXTS].get(message)
        return len(found) if isinstance(found, Text) else 0

    def unknown_roots(self) -> tuple[str, ...]:
        """Names of roots that schema 1 does not have; kept, never read (D-3)."""
        return tuple(sorted(set(self._doc.keys()) - set(schema.ROOTS)))
