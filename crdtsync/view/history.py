"""Message headers as a sequence that parses each one when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from crdtsync.entities import Message
from crdtsync.schema import JsonValue, as_text


class History(Sequence[Message]):
    """The messages of a session, in the order shown.

    Args:
        headers: As they are stored. The list becomes this object's own.
    """

    def __init__(self, headers: list[JsonValue]) -> None:
        self._items: list[JsonValue | Message] = list(headers)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self._parsed(at) for at in range(*index.indices(len(self)))]
        return self._parsed(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def insert(self, at: int, added: Iterable[Message]) -> None:
        """Put messages before a position."""
        self._items[at:at] = added

    def positions(self) -> dict[str, int]:
        """Where each message stands, by id, without parsing the rest of it."""
        found: dict[str, int] = {}
        for at, item in enumerate(self._items):
            if isinstance(item, Message):
                found[item.id] = at
            else:
                found[as_text(item.get("id")) if isinstance(item, dict) else ""] = at
        return found

    def _parsed(self, at: int) -> Message:
        item = self._items[at]
        if not isinstance(item, Message):
            item = self._items[at] = Message.from_json(item)
        return item
