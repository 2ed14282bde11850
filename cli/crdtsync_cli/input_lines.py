"""Lines from stdin, read by a daemon thread; it does not know what they mean.

A thread, because neither event loop can wait for a regular file; a daemon, because a
thread that waits for a terminal cannot be stopped.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from crdtsync.errors import UsageError
from crdtsync.limits import MESSAGE_BYTES_MAX

__all__ = ["Bad", "decode", "stdin_lines"]

LINES_WAITING_MAX: Final = 64
"""Lines read ahead of their handling."""

CHUNK_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no text; `error` says why."""

    error: UsageError


def decode(data: bytes) -> str:
    """Read bytes as text.

    Raises:
        UsageError: It is binary.
    """
    try:
        if b"\0" in data:
            raise ValueError("it holds a zero byte")
        return data.decode()
    except ValueError as error:
        raise UsageError(
            f"the input is not text but binary data: {error}",
            hint="Nothing of it was sent. Put it into a file and send the file's name.",
        ) from error


@asynccontextmanager
async def stdin_lines(
    stream: BinaryIO,
) -> AsyncIterator[MemoryObjectReceiveStream[str | Bad]]:
    """Read lines, without their ends, until the end of the stream."""
    send, receive = anyio.create_memory_object_stream[str | Bad](LINES_WAITING_MAX)
    token = current_token()

    def read() -> None:
        try:
            for line in _lines(_reader(stream)):
                anyio.from_thread.run(send.send, line, token=token)
            anyio.from_thread.run(_close, send, token=token)
        except (anyio.RunFinishedError, anyio.BrokenResourceError):
            return
        except (anyio.ClosedResourceError, OSError, ValueError):
            return

    thread = threading.Thread(target=read, name="stdin", daemon=True)
    thread.start()
    with send, receive:
        yield receive


async def _close(stream: MemoryObjectSendStream[str | Bad]) -> None:
    stream.close()


def _reader(stream: BinaryIO) -> Callable[[], bytes]:
    """How to read what is there.

    Not through the stream's own buffer: its lock, held by a thread that waits for
    input, would stop the interpreter from ending.
    """
    try:
        descriptor = stream.fileno()
    except OSError:
        return lambda: stream.read(CHUNK_BYTES)
    return lambda: os.read(descriptor, CHUNK_BYTES)


def _lines(read: Callable[[], bytes]) -> Iterator[str | Bad]:
    """Cut what is read into lines; of one that is too long only the size is kept."""
    line, dropped = bytearray(), 0
    while data := read():
        *complete, rest = data.split(b"\n")
        for piece in complete:
            yield _line(line + piece, dropped)
            line, dropped = bytearray(), 0
        line += rest
        if len(line) > MESSAGE_BYTES_MAX + 1:
            dropped += len(line)
            line.clear()
    if line or dropped:
        yield _line(line, dropped)


def _line(line: bytearray, dropped: int) -> str | Bad:
    line = line.removesuffix(b"\r")
    size = dropped + len(line)
    if size > MESSAGE_BYTES_MAX:
        return Bad(
            UsageError(
                f"a line of {size:,} bytes is too long: "
                f"a message has at most {MESSAGE_BYTES_MAX:,}",
                hint="It was not sent. Put it into a file and send the file's name.",
            )
        )
    try:
        return decode(bytes(line))
    except UsageError as error:
        return Bad(error)
