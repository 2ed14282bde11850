"""Writes lines to stdout in a thread, so that a slow reader stops nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import anyio
import anyio.to_thread

__all__ = ["NobodyReads", "Printer", "write_out"]


class NobodyReads(Exception):
    """The reader of stdout has gone, as `head` does when it has enough."""


def write_out(data: str | bytes) -> None:
    """Write to stdout and flush; blocks.

    Raises:
        NobodyReads: It was closed.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError as error:
        # An OSError would be taken for a failure on its way up.
        raise NobodyReads from error


class Printer:
    """Stdout for concurrent tasks; whole lines, flushed, in the order of the calls."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()

    async def print(self, lines: Sequence[str]) -> None:
        """Write lines; returns when they are written.

        Raises:
            NobodyReads: Stdout was closed.
        """
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            async with self._turn:
                await anyio.to_thread.run_sync(write_out, text, abandon_on_cancel=True)
