"""Who may write what in whose name: the last stage before an update is applied.

It is asked by a relay that knows its peers by their tokens (docs: admission, tier 4),
and knows no connection itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from crdtsync import schema
from crdtsync.sync.admission.growth import Growth
from crdtsync.sync.admission.index import Admitted
from crdtsync.sync.admission.known import NUMBER_BITS, keyed_in
from crdtsync.sync.admission.primitives import read_number, read_text, read_values
from crdtsync.sync.admission.rules import refuse

__all__ = ["Authority", "judge"]

_MAP: Final = 118
_STRING: Final = 119


@dataclass(frozen=True, slots=True)
class Authority:
    """What one connection may write.

    Attributes:
        participant: Whom its token names; empty if it may say who it is.
        approves: Whether it may answer an agent's questions.
        notes_only: Whether it may write notes and nothing else.
        present: Others who are connected themselves and have said all they have.
    """

    participant: str
    approves: bool
    notes_only: bool
    present: Collection[str]


def judge(update: bytes, admitted: Admitted, authority: Authority) -> None:
    """Check an update that fits its document before it is applied.

    What the document holds already is nobody's claim, whoever sends it again.

    Raises:
        UpdateRefused: It breaks a rule of tier 4.
    """
    growth = admitted.growth
    if authority.notes_only:
        _check_notes(update, growth, authority.participant)
    if growth.claims is None:
        return
    if authority.participant:
        _check_votes(growth, authority)
    if authority.present:
        _check_names(update, growth, authority.present)


def _check_votes(growth: Growth, authority: Authority) -> None:
    assert growth.claims is not None  # noqa: S101 - the caller looked
    for question, container in growth.claims.votes:
        # What comes along with its question or its decision is history.
        if not growth.is_open(question):
            continue
        if not authority.approves:
            refuse("T4-1", "You may not answer the agent's questions here.")
        if container != keyed_in(container & NUMBER_BITS, authority.participant):
            refuse("T4-1", "An answer counts only from the person who gives it.")


def _check_names(update: bytes, growth: Growth, present: Collection[str]) -> None:
    assert growth.claims is not None  # noqa: S101 - the caller looked
    for container in growth.claims.records:
        number = container & NUMBER_BITS
        if any(container == keyed_in(number, name) for name in present):
            refuse("T4-2", "Somebody who is here writes their own record.")
    for author, _ in _headers(update, growth):
        if author in present:
            refuse("T4-2", "Somebody who is here writes their own messages.")


def _check_notes(update: bytes, growth: Growth, participant: str) -> None:
    own = {
        growth.root_of(schema.MESSAGES),
        keyed_in(growth.root_of(schema.PARTICIPANTS), participant),
    }
    for runs in growth.clients.values():
        if runs.type_clocks or not own.issuperset(runs.containers):
            refuse("T4-3", "Viewers write notes here, and nothing else.")
    for author, role in _headers(update, growth):
        if (author, role) != (participant, schema.NOTE):
            refuse("T4-3", "Viewers write notes here, under their own name.")


def _headers(update: bytes, growth: Growth) -> Iterator[tuple[str, str]]:
    """The author and role of every new message."""
    for position, count, known in growth.claims.messages if growth.claims else ():
        p, n = position, len(update)
        for number in range(count):
            end = read_values(update, p, n, 1, 0)
            if number >= known:
                yield _author(update, p, n)
            p = end


def _author(b: bytes, p: int, n: int) -> tuple[str, str]:
    """Read one header; of a key that comes twice, readers take the last."""
    found = {"author": "", "role": ""}
    if b[p] != _MAP:
        return "", ""
    count, p = read_number(b, p + 1)
    for _ in range(count):
        key, p = read_text(b, p, n)
        if key in found:
            found[key] = read_text(b, p + 1, n)[0] if b[p] == _STRING else ""
        p = read_values(b, p, n, 1, 0)
    return found["author"], found["role"]
