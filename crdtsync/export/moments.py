"""Writes the times of a session for people, always in UTC; it asks no clock."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["day_of", "moment", "time_of"]


def moment(at: str) -> str:
    """Write an ISO time as "2026-11-20 14:02 UTC"; anything else as it is."""
    found = _parse(at)
    return found.strftime("%Y-%m-%d %H:%M UTC") if found is not None else at


def day_of(at: str) -> str:
    """Write the day, "Friday, 20 November 2026"; "" if it cannot be read."""
    found = _parse(at)
    return f"{found:%A}, {found.day} {found:%B %Y}" if found is not None else ""


def time_of(at: str) -> str:
    """Write the time of day, "14:02"."""
    found = _parse(at)
    return found.strftime("%H:%M") if found is not None else at


def _parse(at: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(at)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
