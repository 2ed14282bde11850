"""Keeps everything that is not the window off the terminal while the window has it.

Log lines, and warnings with them, go to their file or nowhere; what is written to
stdout or stderr is shown above, line by line.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Final

__all__ = ["quiet"]

LINE_CHARS_MAX: Final = 1000
"""A longer line is cut into several."""


class _Lines(io.TextIOBase):
    """Takes text in any pieces, and gives whole lines away."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > LINE_CHARS_MAX:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            if line.strip():
                self._show(line)
        return len(text)


@contextmanager
def quiet(show: Callable[[str], None]) -> Iterator[None]:
    """Divert log lines, warnings, stdout and stderr in the block.

    Args:
        show: Gets each line; called in any thread.
    """
    root = logging.getLogger()
    noisy = [h for h in root.handlers if type(h) is logging.StreamHandler]
    for handler in noisy:
        root.removeHandler(handler)
    silent = logging.NullHandler()
    root.addHandler(silent)
    lines = _Lines(show)
    try:
        with redirect_stdout(lines), redirect_stderr(lines):
            yield
    finally:
        root.removeHandler(silent)
        for handler in noisy:
            root.addHandler(handler)
