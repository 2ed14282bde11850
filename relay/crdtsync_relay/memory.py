"""Gives memory of rooms that have ended back to the system, where the C library can."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Return free memory; it takes some milliseconds, best in a thread.

    The library keeps what was freed for later, and thousands of rooms are a lot. A
    connection of the server leaves cycles behind, which are old by then: the collector
    would look for them only after millions of other objects.
    """
    gc.collect()
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        # Another C library than glibc.
        return None
    return found
