"""The demo agent's view of its working folder: bounded, and never outside of it.

It follows no symbolic link and opens no hidden file, because what it reads is shown to
everybody in the session. It changes nothing but the one file that `append` is given.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["Entry", "Folder", "Hit", "Unreadable"]

READ_BYTES_MAX: Final = 64 * 1024
"""How much of a file is read."""
FILES_MAX: Final = 2000
"""How many files a walk sees."""
DEPTH_MAX: Final = 8
"""How deep a walk goes."""
SEARCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""How much one search reads."""
HITS_MAX: Final = 20
"""How many lines one search shows."""
LINE_CHARS_MAX: Final = 160
"""How much of such a line."""

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "target", "venv"})
_NO_LINK: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_IS_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | _NO_LINK


class Unreadable(Exception):
    """A file is missing, hidden, binary, elsewhere, or not a file; says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder.

    Attributes:
        path: From the working folder.
        size: Bytes; 0 for a folder.
    """

    path: str
    is_folder: bool
    size: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that holds what was searched for."""

    path: str
    line: int
    text: str


class Folder:
    """One working folder."""

    def __init__(self, root: str):
        self.root = PurePosixPath(root)

    def entries(self, path: str = ".") -> list[Entry]:
        """What is in a folder, in order of names; nothing if it cannot be read."""
        try:
            with self._open(path, _IS_FOLDER) as handle:
                return sorted(_scan(handle, path), key=lambda entry: entry.path)
        except Unreadable:
            return []

    def files(self) -> list[Entry]:
        """All files below, folder by folder."""
        result: list[Entry] = []
        folders = [(".", 0)]
        while folders and len(result) < FILES_MAX:
            path, depth = folders.pop(0)
            for entry in self.entries(path):
                if not entry.is_folder:
                    result.append(entry)
                elif depth < DEPTH_MAX:
                    folders.append((entry.path, depth + 1))
        return result[:FILES_MAX]

    def read(self, path: str) -> str:
        """The beginning of a text file.

        Raises:
            Unreadable: It is none of this folder.
        """
        with self._open(path, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK) as handle:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Unreadable(f"{path} is not a file")
            data = os.read(handle, READ_BYTES_MAX)
        if b"\0" in data:
            raise Unreadable(f"{path} is not text")
        return data.decode(errors="replace")

    def search(self, words: str) -> list[Hit]:
        """Lines that hold the words, in any case, in order of files."""
        result: list[Hit] = []
        left = SEARCH_BYTES_MAX
        for entry in self.files():
            if left <= 0 or len(result) >= HITS_MAX:
                break
            left -= min(entry.size, READ_BYTES_MAX)
            result += self._hits(entry.path, words.casefold())
        return result[:HITS_MAX]

    def append(self, path: str, text: str) -> None:
        """Add to a file, which is made if it is missing.

        Raises:
            Unreadable: It is not a file of this folder that may be written.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | _NO_LINK
        with self._open(path, flags) as handle:
            os.write(handle, text.encode())

    def _hits(self, path: str, words: str) -> Iterator[Hit]:
        try:
            lines = self.read(path).splitlines()
        except Unreadable:
            return
        for number, line in enumerate(lines, 1):
            if words in line.casefold():
                yield Hit(path, number, line.strip()[:LINE_CHARS_MAX])

    @contextmanager
    def _open(self, path: str, flags: int) -> Iterator[int]:
        """Open step by step from the root, so that no link on the way is followed."""
        handles: list[int] = []
        try:
            handles.append(os.open(self.root, os.O_RDONLY | os.O_DIRECTORY))
            parts = self._parts(path)
            for part in parts[:-1]:
                handles.append(os.open(part, _IS_FOLDER, dir_fd=handles[-1]))
            last = parts[-1] if parts else "."
            handles.append(os.open(last, flags, 0o666, dir_fd=handles[-1]))
            yield handles[-1]
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror}") from error
        finally:
            for handle in reversed(handles):
                os.close(handle)

    def _parts(self, path: str) -> tuple[str, ...]:
        inner = PurePosixPath(path)
        if inner.is_absolute():
            if not inner.is_relative_to(self.root):
                raise Unreadable(f"{path} is not in this folder")
            inner = inner.relative_to(self.root)
        if ".." in inner.parts:
            raise Unreadable(f"{path} is not in this folder")
        if any(part.startswith(".") for part in inner.parts):
            raise Unreadable(f"{path} is hidden, and left alone")
        return inner.parts


def _scan(handle: int, path: str) -> Iterator[Entry]:
    with os.scandir(handle) as found:
        for item in found:
            if item.name.startswith(".") or item.name in _SKIPPED:
                continue
            inner = item.name if path == "." else f"{path}/{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield Entry(inner, is_folder=True, size=0)
            elif item.is_file(follow_symlinks=False):
                size = item.stat(follow_symlinks=False).st_size
                yield Entry(inner, is_folder=False, size=size)
