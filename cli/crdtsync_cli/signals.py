"""Notices when the system asks the program to stop; it stops nothing itself."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

__all__ = ["call_when_told_to_stop"]


async def call_when_told_to_stop(
    stop: Callable[[], None],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Call once when SIGTERM or SIGHUP comes."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as received:
        task_status.started()
        async for _ in received:
            stop()
            return
