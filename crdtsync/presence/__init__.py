"""Presence: who is here, typing, idle, following; ephemeral and never in the log.

A core without I/O and clock. Its payloads travel on the bell between windows of one
machine, and over relays between machines (docs/how-it-works/presence.md).
"""

from __future__ import annotations

from crdtsync.presence.people import Joined, Left, Person, PresenceChange, Updated
from crdtsync.presence.state import (
    Asking,
    InfoValue,
    Leaving,
    PresenceMessage,
    PresenceState,
    Status,
    decode,
    encode,
)
from crdtsync.presence.table import PresenceTable

__all__ = [
    "Asking",
    "InfoValue",
    "Joined",
    "Leaving",
    "Left",
    "Person",
    "PresenceChange",
    "PresenceMessage",
    "PresenceState",
    "PresenceTable",
    "Status",
    "Updated",
    "decode",
    "encode",
]
