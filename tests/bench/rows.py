"""One measured figure, with the floor it is compared to; it measures nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of the table.

    Attributes:
        name: What was measured.
        value: The figure, in `unit`.
        unit: Such as "ms" or "/s".
        floor: What the bare parts need in the same run; None if there is no floor.
        ratio: The figure to compare with the limit, if it is a ratio.
        limit: What is promised, in words.
        ok: Whether it is kept.
    """

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    limit: str
    ok: bool
