"""Which colour slot a participant gets, the same in all clients; knows no colours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SLOTS = 10
"""Name colours that can be told apart on light and dark terminals."""


def free_slot(participant: str, taken: Iterable[int]) -> int:
    """Choose a slot by the id; if it is taken, the next free one.

    With all slots taken, the first choice is shared.
    """
    digest = hashlib.blake2b(participant.encode(), digest_size=2).digest()
    first, used = int.from_bytes(digest, "big") % SLOTS, set(taken)
    for step in range(SLOTS):
        slot = (first + step) % SLOTS
        if slot not in used:
            return slot
    return first
