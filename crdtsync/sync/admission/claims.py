"""What an update does in somebody's name: noticed as it is placed, judged elsewhere.

It keeps positions and containers, no content, and knows nobody: see `authority`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from crdtsync import schema
from crdtsync.sync.admission.content import ANY, DELETED
from crdtsync.sync.admission.known import NUMBER_BITS, keyed_in
from crdtsync.sync.admission.scan import Struct

__all__ = [
    "APPROVALS",
    "DUTIES",
    "MESSAGES",
    "PARTICIPANTS",
    "QUESTION",
    "VOTES",
    "VOTES_KEY",
    "Claims",
]

MESSAGES: Final = 1
PARTICIPANTS: Final = 2
APPROVALS: Final = 3
QUESTION: Final = 4
VOTES: Final = 5

DUTIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        schema.MESSAGES: MESSAGES,
        schema.PARTICIPANTS: PARTICIPANTS,
        schema.APPROVALS: APPROVALS,
    }
)
"""The roots of a session whose content is somebody's; the others have duty 0."""

VOTES_KEY: Final = "votes"
_DECISION_KEY: Final = "decision"


class Claims:
    """What one update does in somebody's name.

    Attributes:
        messages: Runs of message headers: the position of the first value, how many
            there are, and how many of them are known.
        records: The containers of written participants.
        votes: The question and the container of each vote.
        decided: The questions that are decided.
    """

    __slots__ = ("decided", "messages", "records", "votes")

    def __init__(self) -> None:
        self.messages: list[tuple[int, int, int]] = []
        self.records: list[int] = []
        self.votes: list[tuple[int, int]] = []
        self.decided: set[int] = set()

    def add(
        self, duty: int, struct: Struct, skipped: int, container: int, question: int
    ) -> None:
        """Note a struct that lies in a container of this duty."""
        content, count, position = struct[0], struct[1], struct[6]
        if content == DELETED:
            return
        if duty == MESSAGES and content == ANY and isinstance(position, int):
            self.messages.append((position, count, skipped))
        elif duty == PARTICIPANTS:
            self.records.append(container)
        elif duty == VOTES:
            self.votes.append((question, container))
        elif duty == QUESTION and container == keyed_in(
            container & NUMBER_BITS, _DECISION_KEY
        ):
            self.decided.add(question)
