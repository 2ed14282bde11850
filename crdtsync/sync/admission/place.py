"""The rules of tier 2 for one struct: where it goes and whether it may.

It knows neither the order of sections nor how the result is kept: see `check`.
"""

from __future__ import annotations

from array import array
from typing import Final

from crdtsync.sync.admission.content import (
    ANY,
    BINARY,
    DELETED,
    DOCUMENT,
    EMBED,
    FORMAT,
    GC,
    STRING,
    TYPE,
    TYPE_NAMES,
    Extra,
)
from crdtsync.sync.admission.growth import ARRAY, MAP, OPEN, TEXT, UNDECIDED, Growth
from crdtsync.sync.admission.known import (
    CONTAINER_BITS,
    GONE,
    KEYED,
    NUMBER_BITS,
    keyed_in,
)
from crdtsync.sync.admission.rules import TYPE_DEPTH_MAX, refuse
from crdtsync.sync.admission.scan import Id, Struct

__all__ = ["place"]

_XML_ELEMENT: Final = 3
_XML_FRAGMENT: Final = 4
_XML_TEXT: Final = 6


def _mask(*contents: int) -> int:
    return sum(1 << content for content in contents)


_ANYTHING: Final = _mask(DELETED, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOCUMENT)
_XML_CHILDREN: Final = _mask(DELETED, TYPE)
# A list read as an array spins for ever on text that is not ASCII.
_IN_LIST: Final = {
    ARRAY: _mask(DELETED, BINARY, TYPE, ANY, DOCUMENT),
    MAP: _mask(DELETED),
    TEXT: _ANYTHING,
    _XML_ELEMENT: _XML_CHILDREN,
    _XML_FRAGMENT: _XML_CHILDREN,
    _XML_TEXT: _ANYTHING,
    OPEN: _ANYTHING,
}
_IN_ENTRY: Final = _mask(DELETED, BINARY, STRING, TYPE, ANY, DOCUMENT)
_OF_TEXT: Final = _mask(STRING, EMBED, FORMAT)

_CONTENT_NAMES: Final = {
    BINARY: "binary content",
    STRING: "text",
    EMBED: "an embed",
    FORMAT: "a format",
    TYPE: "a shared type",
    ANY: "a value",
    DOCUMENT: "a sub-document",
}


def place(growth: Growth, at: Id, have: int, struct: Struct) -> int:
    """Return the container of a struct of which something is new.

    Args:
        growth: Notes shared types and characters on the way.
        at: The struct's client and first clock, at most `have`.
        have: The first clock of the client that is not known.
        struct: The struct, no gap.

    Raises:
        Missing: Something that it builds on is not known yet.
        UpdateRefused: It breaks a rule.
    """
    content, _, origin, right, parent, key, extra = struct
    if content == GC:
        return GONE
    if origin or right:
        container = _between(growth, origin, right)
    else:
        number = _parent(growth, parent)
        container = keyed_in(number, key) if number and key is not None else number
    if at[1] < have:
        _check_continues(growth, (at[0], have), container)
    if container & NUMBER_BITS:
        if right and container & KEYED:
            refuse("T2-5", "The update gives an entry of a map a right neighbour.")
        _check_fits(growth, content, container)
        if duty := growth.duty_of(container & NUMBER_BITS):
            growth.claim(duty, struct, have - at[1], container)
    if extra is not None and content != ANY:
        _note(growth, at, have, container, extra)
    return container | GONE if content == DELETED else container


def _between(growth: Growth, origin: Id | None, right: Id | None) -> int:
    """Return the container of both neighbours, or of the one there is."""
    container = 0
    if origin:
        client, clock = origin
        runs = growth.runs_at(client, clock)
        if runs.pairs and runs.splits_pair(clock + 1):
            refuse("T2-7", "The update writes into the middle of a character.")
        container = runs.container_at(clock) & CONTAINER_BITS
    if right:
        client, clock = right
        runs = growth.runs_at(client, clock)
        if runs.pairs and runs.splits_pair(clock):
            refuse("T2-7", "The update writes into the middle of a character.")
        other = runs.container_at(clock) & CONTAINER_BITS
        if origin and (origin == right or other != container):
            refuse("T2-5", "The update puts something between two strangers.")
        container = other
    return container


def _parent(growth: Growth, parent: Id | str | None) -> int:
    """Return the number of a root or shared type, 0 if it was collected."""
    if isinstance(parent, str):
        return growth.root(parent)
    assert parent is not None  # noqa: S101 - scan gives one or the other
    client, clock = parent
    runs = growth.runs_at(client, clock)
    number = runs.type_at(clock)
    if not number:
        container = runs.container_at(clock)
        # What lies in a collected parent is collected itself.
        if container & NUMBER_BITS and not container & GONE:
            refuse("T2-2", "The update puts something into what holds nothing.")
    return number


def _check_continues(growth: Growth, at: Id, container: int) -> None:
    client, have = at
    runs = growth.runs_at(client, have - 1)
    if runs.container_at(have - 1) & CONTAINER_BITS != container:
        refuse("T2-6", "The update moves known content to another place.")


def _check_fits(growth: Growth, content: int, container: int) -> None:
    number = container & NUMBER_BITS
    kind = growth.kind_of(number)
    keyed = container > NUMBER_BITS
    if kind == UNDECIDED:
        kind = _decide(growth, number, content, keyed=keyed)
    if not (_IN_ENTRY if keyed else _IN_LIST[kind]) >> content & 1:
        place = "an entry of a map" if keyed else f"a list read as {_kind(kind)}"
        refuse("T2-4", f"The update puts {_CONTENT_NAMES[content]} into {place}.")


def _decide(growth: Growth, number: int, content: int, *, keyed: bool) -> int:
    """Fix the kind of a root outside of the schema by its first use."""
    if keyed:
        kind = MAP
    elif content == DELETED:
        return OPEN
    else:
        kind = TEXT if _OF_TEXT >> content & 1 else ARRAY
    growth.decide(number, kind)
    return kind


def _note(growth: Growth, at: Id, have: int, container: int, extra: Extra) -> None:
    """Note a shared type, or the characters that take two clocks."""
    client, clock = at
    if isinstance(extra, array):
        clocks = [clock + offset for offset in extra if clock + offset >= have]
        if clock < have and clocks and clocks[0] == have:
            refuse("T2-7", "The update continues in the middle of a character.")
        growth.runs_of(client).pairs.extend(clocks)
    elif extra is not None and container & NUMBER_BITS:
        depth = growth.depth_of(container & NUMBER_BITS)
        if depth >= TYPE_DEPTH_MAX:
            refuse("T2-3", f"A shared type lies over {TYPE_DEPTH_MAX} others deep.")
        growth.add_type(at, extra, container)


def _kind(kind: int) -> str:
    return f"an {name}" if (name := TYPE_NAMES[kind])[0] in "aX" else f"a {name}"
