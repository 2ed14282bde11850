"""The rules of admission, the limits they use, and how a breach is worded.

It checks nothing itself. docs/how-it-works/admission.md lists the same rules with
the reason for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from crdtsync.errors import UpdateRefused

__all__ = [
    "CLIENT_MAX",
    "CLOCK_MAX",
    "INLINE_BYTES_MAX",
    "JSON_BYTES_MAX",
    "MISSING_IDS_MAX",
    "NESTING_MAX",
    "PARKED_BYTES_MAX",
    "PARKED_TRIES_MAX",
    "PARKED_UPDATES_MAX",
    "RULES",
    "TYPE_DEPTH_MAX",
    "refuse",
]

# Clocks and lengths are 32-bit with a sign in the native code: larger ones wrap.
CLOCK_MAX: Final = 2**31
# Larger client ids are not exact numbers in JavaScript and alias each other.
CLIENT_MAX: Final = 2**53
# Values nested some 15,000 deep overflow the native stack; this leaves a wide margin.
NESTING_MAX: Final = 64
# Shared types nested deeply overflow the stack of whoever reads them.
TYPE_DEPTH_MAX: Final = 32
# One format or embed value.
JSON_BYTES_MAX: Final = 1 << 20
# Larger updates are tried in a process of their own: some take quadratic time.
INLINE_BYTES_MAX: Final = 256 << 10
# How much of what an update waits for is named.
MISSING_IDS_MAX: Final = 64
# Updates of one document that wait for others.
PARKED_BYTES_MAX: Final = 4 << 20
PARKED_UPDATES_MAX: Final = 1024
# How often one parked update is checked again before it is dropped.
PARKED_TRIES_MAX: Final = 8

RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "T1-1": "The whole update is read, and no count or length exceeds it.",
        "T1-2": "Numbers are in their shortest form and in range.",
        "T1-3": "Nothing is empty.",
        "T1-4": "A client appears once; deleted ranges ascend and are disjoint.",
        "T1-5": "Only kinds of content that every reader reads alike.",
        "T1-6": "Parents are given properly, and nothing refers to its own future.",
        "T1-7": "Text is valid UTF-8.",
        "T1-8": "Values are well formed and not nested too deeply.",
        "T1-9": "Formats and embeds are small, flat and valid JSON.",
        "T1-10": "A session document holds arrays, maps, text and values only.",
        "T2-1": "An update waits until everything that it builds on is known.",
        "T2-2": "A parent is a shared type.",
        "T2-3": "Shared types are not nested too deeply.",
        "T2-4": "Content fits its container.",
        "T2-5": "Neighbours share the container of what is put between them.",
        "T2-6": "What continues known content stays in its container.",
        "T2-7": "No character is cut in half.",
        "T3-1": "A large update is applied and read within its deadline.",
        "T3-2": "A large update is applied and read without a fault.",
        "T4-1": "A vote comes from its voter, who may approve.",
        "T4-2": "Nobody writes in the name of somebody who is here.",
        "T4-3": "A viewer who may write notes writes own notes only.",
    }
)

_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "T1-10": "Write sessions with crdtsync, or use another document for this.",
        "T2-1": "Ask the sender to synchronise from the start.",
        "T2-7": "Ask the sender to synchronise from the start.",
        "T3-1": "Ask the sender to send its changes in smaller pieces.",
        "T4-1": "Ask an owner of the session.",
        "T4-2": "It is taken from their own connection.",
        "T4-3": "Ask an owner of the session to let you write.",
    }
)
_HINT: Final = "The sender's program is faulty or hostile; nothing was changed."


def refuse(rule: str, message: str) -> NoReturn:
    """Refuse the update at hand.

    Raises:
        UpdateRefused: Always.
    """
    assert rule in RULES  # noqa: S101 - a slip in this package, not bad input
    raise UpdateRefused(message, rule=rule, hint=_HINTS.get(rule, _HINT))
