"""One map root of a document, parsed when first read and then kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, Generic, TypeVar

from crdtsync.document import Document
from crdtsync.schema import JsonValue

T = TypeVar("T")

MANY: Final = 8
"""Entries from which on the whole root is read at once, if it is not much longer."""


class Table(Generic[T]):
    """One map root, parsed when first read and refreshed key by key."""

    def __init__(
        self, document: Document, root: str, parse: Callable[[str, JsonValue], T]
    ) -> None:
        self._document = document
        self._root = root
        self._parse = parse
        self._known: dict[str, T] | None = None

    def all(self) -> Mapping[str, T]:
        """Every entry; do not keep it across changes."""
        if self._known is None:
            stored = self._document.json(self._root)
            self._known = {key: self._parse(key, stored[key]) for key in stored}
        return self._known

    def get(self, key: str) -> T | None:
        """One entry, without reading the others."""
        if self._known is not None:
            return self._known.get(key)
        if not self._document.has(self._root, key):
            return None
        return self._parse(key, self._document.entry(self._root, key))

    def refresh_all(self, keys: Collection[str]) -> None:
        """Read several entries anew; many of them at once."""
        if self._known is None:
            return
        if len(keys) < MANY or len(keys) * MANY < len(self._known):
            for key in keys:
                self.refresh(key)
            return
        stored = self._document.json(self._root)
        for key in keys:
            if key in stored:
                self._known[key] = self._parse(key, stored[key])
            else:
                self._known.pop(key, None)

    def refresh(self, key: str) -> T | None:
        """Read one entry anew after it changed; None if it is gone."""
        if not self._document.has(self._root, key):
            if self._known is not None:
                self._known.pop(key, None)
            return None
        found = self._parse(key, self._document.entry(self._root, key))
        if self._known is not None:
            self._known[key] = found
        return found
