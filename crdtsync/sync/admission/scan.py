"""Tier 1 of admission: is this update well formed, whatever the document holds?

It reads an update once, keeps what tier 2 needs and builds no content. It knows no
document: see `index` for what needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission.content import (
    GC,
    READERS,
    SESSION_READERS,
    SKIP,
    Extra,
    Readers,
)
from crdtsync.sync.admission.primitives import read_client, read_number, read_text
from crdtsync.sync.admission.rules import CLOCK_MAX, refuse

__all__ = [
    "Deletions",
    "Id",
    "Scanned",
    "Section",
    "Struct",
    "scan",
    "without_deletions",
]

Id: TypeAlias = tuple[int, int]
"""A client and a clock."""

Struct: TypeAlias = tuple[
    int, int, Id | None, Id | None, Id | str | None, str | None, Extra
]
"""Content, length, origin, right origin, parent (an id or a root), key, extra.

A plain tuple because an update may hold half a million of them.
"""

Section: TypeAlias = tuple[int, int, list[Struct]]
"""A client, the clock of its first struct, and its structs without gaps."""

Deletions: TypeAlias = tuple[int, list[Id]]
"""A client, and its deleted ranges as first clock and length."""


@dataclass(slots=True)
class Scanned:
    """What a well-formed update holds.

    Not frozen, here and in `index`: that would cost a tenth of a whole admission.
    """

    sections: list[Section]
    deletions: list[Deletions]


_ORIGIN: Final = 0x80
_RIGHT_ORIGIN: Final = 0x40
_KEYED: Final = 0x20
_NEIGHBOURS: Final = _ORIGIN | _RIGHT_ORIGIN
_CONTENT: Final = 0x0F
_SMALL_MAX: Final = 0x7F
_GAPS: Final = (GC, SKIP)
# The least that a section, a struct and a deleted range of one client take.
_SECTION_BYTES_MIN: Final = 5
_STRUCT_BYTES_MIN: Final = 2
_DELETIONS_BYTES_MIN: Final = 4
_RANGE_BYTES_MIN: Final = 2


def scan(update: bytes, *, session: bool = False) -> Scanned:
    """Read a Yjs V1 update and check every rule of tier 1.

    Args:
        update: From outside, nothing is known of it.
        session: Refuse as well what a session document never holds (T1-10).

    Raises:
        UpdateRefused: It breaks a rule; `rule` says which.
    """
    try:
        sections, p = _read_sections(update, SESSION_READERS if session else READERS)
        deletions, p = _read_deletions(update, p)
    except IndexError:
        refuse("T1-1", "The update ends in the middle of something.")
    except UnicodeDecodeError:
        refuse("T1-7", "The update holds a text that is not valid UTF-8.")
    if p != len(update):
        refuse("T1-1", "The update has bytes left over after its end.")
    return Scanned(sections, deletions)


def without_deletions(update: bytes) -> bytes:
    """Return what a session's update writes, without what it deletes.

    One that `scan` would refuse is returned as it is.
    """
    try:
        end = _read_sections(update, SESSION_READERS)[1]
    except (IndexError, UnicodeDecodeError, UpdateRefused):
        return update
    return update[:end] + b"\0"


def _read_sections(b: bytes, readers: Readers) -> tuple[list[Section], int]:
    sections: list[Section] = []
    count, p = read_number(b, 0)
    if count * _SECTION_BYTES_MIN > len(b):
        refuse("T1-1", "The update announces more clients than it can hold.")
    for _ in range(count):
        section, p = _read_section(b, p, readers)
        sections.append(section)
    if count > 1 and len({section[0] for section in sections}) < count:
        refuse("T1-4", "The update lists the same client twice.")
    return sections, p


def _read_section(b: bytes, p: int, readers: Readers) -> tuple[Section, int]:
    count, start = read_number(b, p)
    if not count:
        refuse("T1-3", "The update names a client without saying anything of it.")
    if count * _STRUCT_BYTES_MIN > len(b) - start:
        refuse("T1-1", "The update announces more changes than it can hold.")
    client, p = read_client(b, start)
    own = b[start:p]
    first, p = read_number(b, p)
    clock = first
    structs: list[Struct] = []
    for _ in range(count):
        info = b[p]
        p += 1
        origin = right = parent = key = None
        if info & _ORIGIN:
            origin, p = _read_id(b, p, client, own, clock)
        if info & _RIGHT_ORIGIN:
            right, p = _read_id(b, p, client, own, clock)
        if not info & _NEIGHBOURS and info not in _GAPS:
            parent, p = _read_parent(b, p, client, own, clock)
            key, p = read_text(b, p, len(b)) if info & _KEYED else (None, p)
        length, extra, p = readers[info](b, p, len(b))
        structs.append((info & _CONTENT, length, origin, right, parent, key, extra))
        clock += length
    if clock >= CLOCK_MAX:
        refuse("T1-2", "The update counts further than clocks go.")
    return (client, first, structs), p


def _read_id(b: bytes, p: int, client: int, own: bytes, clock: int) -> tuple[Id, int]:
    """Read the id of an element; `own` is how `client`, who refers to it, is written.

    Most ids are the client's own, and an id is written in one way only.
    """
    if not b.startswith(own, p):
        client, p = read_client(b, p)
        other, p = read_number(b, p)
        return (client, other), p
    p += len(own)
    other = b[p]
    p += 1
    if other > _SMALL_MAX:
        other, p = read_number(b, p - 1)
    if other >= clock:
        refuse("T1-6", "The update refers to what its own client has yet to do.")
    return (client, other), p


def _read_parent(
    b: bytes, p: int, client: int, own: bytes, clock: int
) -> tuple[Id | str, int]:
    info = b[p]
    if info == 1:
        return read_text(b, p + 1, len(b))
    if info:
        refuse("T1-6", "The update names a parent in an unknown way.")
    return _read_id(b, p + 1, client, own, clock)


def _read_deletions(b: bytes, p: int) -> tuple[list[Deletions], int]:
    n = len(b)
    deletions: list[Deletions] = []
    count, p = read_number(b, p)
    if not count:
        return deletions, p
    if count * _DELETIONS_BYTES_MIN > n - p:
        refuse("T1-1", "The update announces more deletions than it can hold.")
    for _ in range(count):
        client, p = read_client(b, p)
        ranges, p = _read_ranges(b, p)
        deletions.append((client, ranges))
    if count > 1 and len({client for client, _ in deletions}) < count:
        refuse("T1-4", "The update lists the deletions of a client twice.")
    return deletions, p


def _read_ranges(b: bytes, p: int) -> tuple[list[Id], int]:
    ranges: list[Id] = []
    end = 0
    count, p = read_number(b, p)
    if not count:
        refuse("T1-3", "The update names a client without deletions of it.")
    if count * _RANGE_BYTES_MIN > len(b) - p:
        refuse("T1-1", "The update announces more deletions than it can hold.")
    for _ in range(count):
        clock, p = read_number(b, p)
        length, p = read_number(b, p)
        if not length:
            refuse("T1-3", "The update deletes a range without length.")
        if clock < end:
            refuse("T1-4", "The deleted ranges overlap or are out of order.")
        end = clock + length
        if end >= CLOCK_MAX:
            refuse("T1-2", "The update deletes beyond where clocks go.")
        ranges.append((clock, length))
    return ranges, p
