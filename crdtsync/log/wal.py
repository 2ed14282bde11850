"""Notices what SQLite skips in silence: a damaged write-ahead log. It repairs nothing.

After a crash SQLite replays the log up to the first frame whose checksum is wrong, as
that is how a torn last transaction looks. If whole transactions follow it, then the
frame was damaged later, and what was acknowledged would be lost without a word.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGICS = (0x377F0682, 0x377F0683)
_INDEX_BYTES = 40
"""The part of the -shm file that says how many frames are valid, of which round."""

TORN_COMMITS_MAX = 1
"""A power cut can leave the end of one transaction without its beginning."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in a write-ahead log.

    Attributes:
        page: Its page number, counted from 1.
        commits: Whether it ends a transaction.
        salts: Tell the frames of one round of the log from older ones.
        data: The page.
    """

    page: int
    commits: bool
    salts: tuple[int, int]
    data: bytes


def wal_of(path: Path) -> Path:
    """Return the name of a database's write-ahead log."""
    return Path(f"{path}-wal")


def frames(data: bytes, page_size: int) -> Iterator[Frame]:
    """Read the frames of a write-ahead log, valid or not."""
    size = _FRAME.size + page_size
    for start in range(_HEADER.size, len(data) - size + 1, size):
        page, pages, salt1, salt2, _, _ = _FRAME.unpack_from(data, start)
        body = data[start + _FRAME.size : start + size]
        yield Frame(page, pages != 0, (salt1, salt2), body)


def skipped_transactions(path: Path) -> int:
    """Count the transactions that SQLite would skip, although they were acknowledged.

    The caller has the database open. Others may append meanwhile: what they had
    written before the first look is known as valid at the second one, except for one
    transaction, unless they have begun a new round.
    """
    data = _read(wal_of(path))
    index = _read(Path(f"{path}-shm"))[:_INDEX_BYTES]
    if len(data) <= _HEADER.size or len(index) < _INDEX_BYTES:
        return 0
    header = _HEADER.unpack_from(data)
    if not _header_is_valid(data, header):
        return _unsaved(data, path)
    valid = int.from_bytes(index[16:20], sys.byteorder)
    if index[32:40] != data[16:24]:
        return 0
    found = list(frames(data, header[2]))[valid:]
    skipped = sum(frame.commits and frame.salts == header[4:6] for frame in found)
    return skipped if skipped > TORN_COMMITS_MAX else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _unsaved(data: bytes, path: Path) -> int:
    """Count transactions behind a damaged header, unless the database has them all."""
    stored = path.read_bytes()
    page_size = int.from_bytes(stored[16:18]) or 4096
    found = list(frames(data, page_size))
    newest = {frame.page: frame.data for frame in found}
    for page, content in newest.items():
        if stored[(page - 1) * page_size : page * page_size] != content:
            return sum(frame.commits for frame in found)
    return 0


def _header_is_valid(data: bytes, header: tuple[int, ...]) -> bool:
    if header[0] not in _MAGICS:
        return False
    order = ">" if header[0] & 1 else "<"
    words = struct.unpack_from(f"{order}6I", data)
    first = second = 0
    for index in range(0, 6, 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return (first, second) == header[6:8]
