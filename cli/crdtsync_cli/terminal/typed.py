"""The lines a person has typed, kept in a file of the data folder for Up and Ctrl-R.

Nothing that holds a secret is kept: no invite, no key, no line that begins with a
space. The file is its owner's only and bounded; without it, typing goes on as ever.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit.history import History

from crdtsync.export.secrets import find_secrets

__all__ = ["TypedLines", "is_secret"]

FILE: Final = "typed.jsonl"

LINES_MAX: Final = 1000
"""Lines that are remembered; the file may grow to twice that before it is cut."""

LINE_CHARS_MAX: Final = 16 * 1024
"""A longer line, mostly a paste, is not remembered."""

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of a larger file only the end is read."""

_INVITE: Final = re.compile(r"(?i)^/join\b|crdtsync://|[?&#]t=|/s/[\w-]+#")


def is_secret(line: str) -> bool:
    """Whether a line must not be remembered."""
    if line.startswith(" ") or _INVITE.search(line):
        return True
    return any(True for _ in find_secrets(line))


class TypedLines(History):
    """What was typed in all windows of a data folder.

    Args:
        data: The data folder.
        unfold: Turns what stands in the input line into what it means.
    """

    def __init__(self, data: Path, unfold: Callable[[str], str]) -> None:
        super().__init__()
        self._path = data / FILE
        self._unfold = unfold

    def append_string(self, string: str) -> None:
        """Remember a line, once if it is typed several times in a row."""
        if self._loaded_strings and self._loaded_strings[0] == string:
            return
        super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """The lines of the file, the last first."""
        lines = self._read()
        if len(lines) > 2 * LINES_MAX:
            self._rewrite(lines[-LINES_MAX:])
        found: list[str] = []
        for line in reversed(lines[-LINES_MAX:]):
            with suppress(ValueError):
                text = json.loads(line)
                if isinstance(text, str) and text not in found[-1:]:
                    found.append(text)
        return found

    def store_string(self, string: str) -> None:
        """Append a line to the file, unless it holds a secret."""
        text = self._unfold(string)
        if len(text) > LINE_CHARS_MAX or is_secret(text):
            return
        data = f"{json.dumps(text)}\n"
        # Who cannot write here has been told so when the session was opened.
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            handle = os.open(self._path, flags, 0o600)
            with open(handle, "ab", buffering=0) as file:  # noqa: PTH123 - a descriptor
                file.write(data.encode())

    def _read(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - FILE_BYTES_MAX))
                return file.read().decode(errors="replace").splitlines()
        except OSError:
            return []

    def _rewrite(self, lines: list[str]) -> None:
        draft = self._path.with_name(f".{FILE}.{os.getpid()}")
        with suppress(OSError):
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                file.writelines(f"{line}\n" for line in lines)
            draft.replace(self._path)
