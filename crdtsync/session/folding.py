"""Keeps the log of an open session short, so that the next opening is quick (S-4).

It decides when; folding itself is the log's.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Final

import anyio

from crdtsync.errors import DataError
from crdtsync.log.compaction import should_compact
from crdtsync.log.sqlite import SqliteLog

__all__ = ["fold_log", "fold_now_and_then"]

CHECK_S: Final = 30.0
"""The log's size is looked at so often, at most."""

REST_RATIO: Final = 60.0
"""After folding, so many times as long passes before the next one."""


async def fold_log(log: SqliteLog, doc: str, *, idle: bool) -> None:
    """Fold the log if that is worth it; an error leaves it as it is, for next time.

    What fails here fails again where people are told: at the next opening.

    Args:
        log: Open to be written.
        doc: The session's id.
        idle: Whether the last window is closing, so that nobody waits.
    """
    with suppress(DataError):
        if should_compact(await log.size(doc), idle=idle):
            await log.compact(doc)


async def fold_now_and_then(log: SqliteLog, doc: str) -> None:
    """Fold the log when it has grown long; run it in a task of its own.

    Every window does so. They look at different times, and whoever comes second finds
    the log short; that two fold at once is a waste and no harm.
    """
    pause_s = CHECK_S
    while True:
        await anyio.sleep(pause_s * random.uniform(1.0, 2.0))  # noqa: S311
        began = anyio.current_time()
        await fold_log(log, doc, idle=False)
        pause_s = max(CHECK_S, REST_RATIO * (anyio.current_time() - began))
