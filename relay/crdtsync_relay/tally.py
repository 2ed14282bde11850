"""Counts of what the relay did: plain numbers, read by `metrics` and told to nobody."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What has happened since the relay started."""

    frames_in: int = 0
    bytes_in: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    batches: int = 0
    commits: int = 0
    updates_logged: int = 0
    loads: int = 0
    load_failures: int = 0
    log_failures: int = 0
    trials: int = 0
    presence_dropped: int = 0
    refused: int = 0
    closed: Counter[int] = field(default_factory=Counter)
