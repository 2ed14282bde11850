"""Finds records in the raw bytes of a database, whatever its pages say. Read only.

A record of our tables is recognised by the shape of its header, and believed only if
the hash in it matches the bytes in it. So neither a damaged page nor a lost page tree
matters, only the record itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crdtsync.log.inuse import check_closed
from crdtsync.log.rows import update_hash
from crdtsync.log.wal import frames, wal_of

PAGE_BYTES = 4096
"""Page size of the files we make; SQLite's default."""

_INT = rb"[\x01-\x06\x08\x09]"
_VARINT = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
_HASH = rb"\x2c"  # A blob of 16 bytes.
_UPDATE = re.compile(rb"[\x09-\x11](?=" + _INT + rb"{4}" + _HASH + rb")", re.DOTALL)
_SNAPSHOT = re.compile(
    rb"[\x07-\x11](?=" + _INT + rb"{2}" + (_VARINT * 2) + _HASH + _INT + rb")",
    re.DOTALL,
)
_NAME = re.compile(rb"[\x0a-\x0b](?=\x00" + _VARINT + _INT + rb"{7})", re.DOTALL)
_NAME_TEXT = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_INT_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}

Value = int | bytes | None


@dataclass(frozen=True, slots=True)
class FoundName:
    """A row of `docs`; only its shape speaks for it."""

    key: int
    doc: str
    head: int


@dataclass(frozen=True, slots=True)
class FoundUpdate:
    """A row of `updates` whose hash matches."""

    doc: int
    seq: int
    origin: str
    at_ms: int
    update: bytes


@dataclass(frozen=True, slots=True)
class FoundSnapshot:
    """A row of `snapshots` whose hash matches."""

    doc: int
    upto_seq: int
    snapshot: bytes


class Scan:
    """The bytes of a database and its write-ahead log.

    Args:
        path: The database; it is only read.

    Raises:
        UsageError: This process has it open.
    """

    def __init__(self, path: Path) -> None:
        check_closed(path)
        stored = path.read_bytes()
        wal = wal_of(path).read_bytes() if wal_of(path).exists() else b""
        self._pages = {
            index + 1: stored[start : start + PAGE_BYTES]
            for index, start in enumerate(range(0, len(stored), PAGE_BYTES))
        }
        self._newer = [(frame.page, frame.data) for frame in frames(wal, PAGE_BYTES)]
        self._newest = self._pages | dict(self._newer)

    def updates(self) -> Iterator[FoundUpdate]:
        """Find updates; the same one may be found several times."""
        local_max = (PAGE_BYTES - 12) * 64 // 255 - 23
        for values in self._records(_UPDATE, local_max, 8):
            match values:
                case [int(doc), int(seq), int(), int(), digest, bytes(by), int(at), it]:
                    update = it if isinstance(it, bytes) else b""
                    if update_hash(update) == digest:
                        origin = by.decode(errors="replace")
                        yield FoundUpdate(doc, seq, origin, at, update)

    def snapshots(self) -> Iterator[FoundSnapshot]:
        """Find snapshots; the same one may be found several times."""
        for values in self._records(_SNAPSHOT, PAGE_BYTES - 35, 6):
            match values:
                case [int(doc), int(upto), bytes(snapshot), _, digest, _]:
                    if update_hash(snapshot) == digest:
                        yield FoundSnapshot(doc, upto, snapshot)

    def names(self) -> Iterator[FoundName]:
        """Find names of documents, older states first."""
        for page in [*self._pages.values(), *(data for _, data in self._newer)]:
            for candidate in _NAME.finditer(page):
                start = candidate.start()
                try:
                    values = _decode(page, start, PAGE_BYTES - 35, 9, {})
                    key = _key_before(page, start)
                except (IndexError, KeyError, ValueError):
                    continue
                match values:
                    case [None, bytes(name), int(head), *_] if _NAME_TEXT.fullmatch(
                        name
                    ):
                        yield FoundName(key, name.decode(), head)

    def _records(
        self, shape: re.Pattern[bytes], local_max: int, columns: int
    ) -> Iterator[list[Value]]:
        """Decode everything that looks like a record of this shape."""
        views = (self._newest, self._pages)
        for page in [*self._pages.values(), *(data for _, data in self._newer)]:
            for candidate in shape.finditer(page):
                for view in views:
                    try:
                        yield _decode(page, candidate.start(), local_max, columns, view)
                    except (IndexError, KeyError, ValueError):
                        continue


def _decode(
    page: bytes, start: int, local_max: int, columns: int, view: dict[int, bytes]
) -> list[Value]:
    """Decode one record, following its overflow pages."""
    types, body = _header(page, start, columns)
    sizes = [_size(kind) for kind in types]
    total = body - start + sum(sizes)
    payload = _payload(page, start, total, local_max, view)
    values: list[Value] = []
    position = body - start
    for kind, size in zip(types, sizes, strict=True):
        data = payload[position : position + size]
        if len(data) < size:
            raise ValueError
        values.append(_value(kind, data))
        position += size
    return values


def _key_before(page: bytes, start: int) -> int:
    """Decode the row's number, which stands right before its record."""
    first = start - 1
    while page[first - 1] >= 0x80:  # noqa: PLR2004 - the continuation bit
        first -= 1
    key, _ = _varint(page, first)
    return key


def _header(page: bytes, start: int, columns: int) -> tuple[list[int], int]:
    end = start + page[start]
    types: list[int] = []
    position = start + 1
    while position < end:
        kind, position = _varint(page, position)
        types.append(kind)
    if position != end or len(types) != columns:
        raise ValueError
    return types, end


def _payload(
    page: bytes, start: int, total: int, local_max: int, view: dict[int, bytes]
) -> bytes:
    """Return a record's bytes: those on its page and those on overflow pages."""
    if total <= local_max:
        return page[start : start + total]
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    local = least + (total - least) % (PAGE_BYTES - 4)
    local = local if local <= local_max else least
    parts = [page[start : start + local]]
    left = total - local
    following = int.from_bytes(page[start + local : start + local + 4])
    while left > 0:
        overflow = view[following]
        parts.append(overflow[4 : 4 + left])
        left -= PAGE_BYTES - 4
        following = int.from_bytes(overflow[:4])
    return b"".join(parts)


def _varint(page: bytes, position: int) -> tuple[int, int]:
    """Decode SQLite's big-endian varint."""
    value = 0
    for _ in range(9):
        byte = page[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
    raise ValueError


def _size(kind: int) -> int:
    return _INT_BYTES[kind] if kind < 12 else (kind - 12) // 2  # noqa: PLR2004


def _value(kind: int, data: bytes) -> Value:
    if kind >= 12:  # noqa: PLR2004 - blobs and texts
        return data
    if kind in (8, 9):
        return kind - 8
    if not kind:
        return None
    return int.from_bytes(data, signed=True)
