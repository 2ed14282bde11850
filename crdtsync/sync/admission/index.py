"""The index of one document: which updates fit it, and what it holds after them.

It does no I/O and holds no content. The order is scan, check, apply, commit: if the
native code refuses what was admitted, nothing has been committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdtsync.sync.admission.check import check
from crdtsync.sync.admission.claims import DUTIES
from crdtsync.sync.admission.content import TYPE_NAMES
from crdtsync.sync.admission.growth import KINDS, OPEN, UNDECIDED, Growth
from crdtsync.sync.admission.known import Known
from crdtsync.sync.admission.rules import refuse
from crdtsync.sync.admission.scan import Id, Scanned, scan

__all__ = ["Admission", "Admitted", "DocIndex", "Pending", "Roots"]

Roots: TypeAlias = Mapping[str, Literal["array", "map", "text"]]
"""The roots of a document that somebody reads, and what they are read as."""


@dataclass(slots=True)
class Admitted:
    """The update may be applied; commit this afterwards.

    Attributes:
        growth: What it adds to the index.
        commits: How often the index had been committed to when it was checked.
        is_new: Whether nothing of it is known, and it deletes nothing.
    """

    growth: Growth
    commits: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """The update builds on elements that are not known yet: keep it, apply it later.

    Attributes:
        missing: Some of them, as client and clock. Checking again is pointless
            before all of these are known.
    """

    missing: tuple[Id, ...]


Admission: TypeAlias = Admitted | Pending


class DocIndex:
    """What admission has to remember of one document.

    Args:
        roots: The roots that somebody reads.
        session: The document holds a session: what sessions never hold is refused
            (T1-10), and a root outside of `roots` takes the kind of its first use.
            In other documents such a root takes anything, as nobody reads it.

    Attributes:
        known: All that it remembers, for reading only.
    """

    __slots__ = ("_commits", "_session", "known")

    def __init__(self, roots: Roots, *, session: bool = True) -> None:
        self.known = Known()
        self._session = session
        self._commits = 0
        for name, kind in roots.items():
            self.known.roots[name] = len(self.known.kinds)
            self.known.kinds.append(KINDS[kind])
            self.known.depths.append(0)
            self.known.duties.append(DUTIES.get(name, 0) if session else 0)

    @classmethod
    def from_update(
        cls, state: bytes, roots: Roots, *, session: bool = True
    ) -> DocIndex:
        """Build the index of a document from its whole state.

        Raises:
            UpdateRefused: The state breaks a rule, or it is not a whole one.
        """
        index = cls(roots, session=session)
        match index.check(index.scan(state)):
            case Admitted() as admitted:
                index.commit(admitted)
            case Pending():
                refuse("T2-1", "The stored document lacks a part of itself.")
        return index

    def scan(self, update: bytes) -> Scanned:
        """Check the rules of tier 1 that hold for this document.

        Raises:
            UpdateRefused: It breaks one.
        """
        return scan(update, session=self._session)

    def check(self, scanned: Scanned) -> Admission:
        """Check the rules of tier 2; the index stays as it is.

        Raises:
            UpdateRefused: The update breaks one.
        """
        growth = Growth(self.known, UNDECIDED if self._session else OPEN)
        missing = check(scanned, growth)
        if missing:
            return Pending(missing)
        sections = scanned.sections
        is_new = bool(sections) and not scanned.deletions
        is_new = is_new and growth.starts_with(sections)
        return Admitted(growth, self._commits, is_new)

    def commit(self, admitted: Admitted) -> None:
        """Remember what an update added, after it was applied.

        Raises:
            ValueError: Something else was committed since it was checked.
        """
        if admitted.commits != self._commits:
            raise ValueError("another update was committed since the check")
        self._commits += 1
        admitted.growth.merge()

    def knows(self, client: int, clock: int) -> bool:
        """Tell whether an element is known."""
        runs = self.known.clients.get(client)
        return runs is not None and clock < runs.end

    def kind_of(self, root: str) -> str | None:
        """Return what a root is used as, None if it is unused or takes anything."""
        kind = self.known.kinds[self.known.roots.get(root, 0)]
        return TYPE_NAMES.get(kind) if root in self.known.roots else None
