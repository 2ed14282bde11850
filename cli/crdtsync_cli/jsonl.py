"""Session events as JSON lines (docs: reference/cli); it writes nothing itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from crdtsync.events import DELTA_TYPES, SessionEvent
from crdtsync.sanitize import escape_json
from crdtsync.schema import JsonValue

__all__ = ["json_line", "json_lines"]


def json_line(value: Mapping[str, JsonValue]) -> str:
    """Encode one object as one line, safe to be shown and to be parsed."""
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return escape_json(encoded)


def json_lines(events: Iterable[SessionEvent], *, deltas: bool) -> list[str]:
    """Encode events; presence, typing and deltas only if asked for."""
    return [
        json_line(event.to_json())
        for event in events
        if deltas or event.type not in DELTA_TYPES
    ]
