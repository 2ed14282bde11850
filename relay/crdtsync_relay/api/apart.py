"""Runs what reads a whole session elsewhere, so that other rooms notice nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_process

from crdtsync.errors import OperationFailed
from crdtsync.log import Stored
from crdtsync_relay.disk import LOAD_INLINE_BYTES_MAX

__all__ = ["run_apart"]

T = TypeVar("T")


async def run_apart(work: Callable[[], T], stored: Stored) -> T:
    """Run it here if the session is small, or else in another process.

    A thread would not do: the native code holds the interpreter's lock.

    Args:
        work: Can be pickled, as what it returns.
        stored: What it reads.

    Raises:
        OperationFailed: The other process died of it.
    """
    if len(stored.snapshot) + sum(map(len, stored.updates)) < LOAD_INLINE_BYTES_MAX:
        return work()
    try:
        return await anyio.to_process.run_sync(work, cancellable=True)
    except anyio.BrokenWorkerProcess as error:
        raise OperationFailed("the session cannot be read apart") from error
