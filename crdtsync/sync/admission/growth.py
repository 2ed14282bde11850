"""What one update would add to what is known: an overlay, thrown away if refused.

It looks things up in both and holds no rules. `DocIndex.commit` merges it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from crdtsync.sync.admission.claims import (
    APPROVALS,
    QUESTION,
    VOTES,
    VOTES_KEY,
    Claims,
)
from crdtsync.sync.admission.known import (
    KEYED,
    NUMBER_BITS,
    Known,
    Runs,
    compact_runs,
    keyed_in,
)
from crdtsync.sync.admission.scan import Id, Section, Struct

__all__ = ["ARRAY", "KINDS", "MAP", "OPEN", "TEXT", "UNDECIDED", "Growth", "Missing"]

ARRAY: Final = 0
MAP: Final = 1
TEXT: Final = 2
# A root of which nobody reads anything: takes any content.
OPEN: Final = 7
# A root of a session that is not in the schema: takes the kind of its first use.
UNDECIDED: Final = 8

KINDS: Final[Mapping[str, int]] = {"array": ARRAY, "map": MAP, "text": TEXT}


class Missing(Exception):
    """An element that the update builds on is not known yet."""

    def __init__(self, client: int, clock: int) -> None:
        super().__init__(client, clock)
        self.id = (client, clock)


class Growth:
    """An overlay over `Known`.

    Attributes:
        clients: The new elements of each client.
        claims: What it does in somebody's name; None if nothing.
    """

    __slots__ = ("_known", "_numbers", "_root_kind", "claims", "clients")

    def __init__(self, known: Known, root_kind: int) -> None:
        self._known = known
        self._root_kind = root_kind
        self._numbers: _Numbers | None = None
        self.clients: dict[int, Runs] = {}
        self.claims: Claims | None = None

    def runs_of(self, client: int) -> Runs:
        """Return the runs to which a client's next elements are added."""
        runs = self.clients.get(client)
        if runs is None:
            known = self._known.clients.get(client)
            runs = self.clients[client] = Runs(known.end if known else 0)
        return runs

    def starts_with(self, sections: Iterable[Section]) -> bool:
        """Tell whether sections that were placed hold nothing that was known."""
        clients = self.clients
        return all(first == clients[client].first for client, first, _ in sections)

    def end_of(self, client: int) -> int:
        """Return the clock after the last known element of a client."""
        runs = self.clients.get(client) or self._known.clients.get(client)
        return runs.end if runs else 0

    def runs_at(self, client: int, clock: int) -> Runs:
        """Return the runs that cover a clock.

        Raises:
            Missing: Nothing covers it yet.
        """
        runs = self.clients.get(client)
        if runs is None or clock < runs.first:
            runs = self._known.clients.get(client)
        if runs is None or clock >= runs.end:
            raise Missing(client, clock)
        return runs

    def splits_pair(self, client: int, clock: int) -> bool:
        """Tell whether a cut before a clock goes through a character."""
        runs = self.clients.get(client)
        if runs is None or clock < runs.first:
            runs = self._known.clients.get(client)
        return runs is not None and runs.splits_pair(clock)

    def add_type(self, at: Id, kind: int, container: int) -> None:
        """Note that a client's next element is a shared type in a container."""
        client, clock = at
        runs = self.runs_of(client)
        depth = self.depth_of(container & NUMBER_BITS) + 1
        number = self._new().add(kind, depth)
        runs.type_clocks.append(clock)
        runs.type_numbers.append(number)
        if duty := self.duty_of(container & NUMBER_BITS):
            self._note_type(number, duty, container)

    def claim(self, duty: int, struct: Struct, skipped: int, container: int) -> None:
        """Note what a struct says in somebody's name.

        Args:
            duty: What its container is to `claims`.
            struct: The struct.
            skipped: How many of its elements are known.
            container: Where it lies.
        """
        if self.claims is None:
            self.claims = Claims()
        number = container & NUMBER_BITS
        self.claims.add(duty, struct, skipped, container, self.question_of(number))

    def question_of(self, number: int) -> int:
        """Return the question that a type belongs to, 0 if to none."""
        new = self._numbers.questions if self._numbers else {}
        return new.get(number) or self._known.questions.get(number, 0)

    def is_open(self, question: int) -> bool:
        """Tell whether a question was known before and has no decision after."""
        known, claims = self._known, self.claims
        asked = question in known.asked and question not in known.decided
        return asked and (claims is None or question not in claims.decided)

    def root_of(self, name: str) -> int:
        """Return the number of a root of the schema."""
        return self._known.roots[name]

    def duty_of(self, number: int) -> int:
        """Return what a type or root is to `claims`."""
        duties = self._known.duties
        if number < len(duties):
            return duties[number]
        return self._new().duties[number - len(duties)]

    def _note_type(self, number: int, duty: int, container: int) -> None:
        """Note a new question, or a new place for its votes."""
        new = self._new()
        if duty == APPROVALS and container & KEYED:
            new.duties[-1] = QUESTION
            new.questions[number] = container
        elif duty == QUESTION and container == keyed_in(
            container & NUMBER_BITS, VOTES_KEY
        ):
            new.duties[-1] = VOTES
            new.questions[number] = self.question_of(container & NUMBER_BITS)

    def root(self, name: str) -> int:
        """Return the number of a root, a new one if it has none."""
        number = self._known.roots.get(name)
        if number is None:
            roots = self._new().roots
            number = roots.get(name)
            if number is None:
                number = roots[name] = self._new().add(self._root_kind, 0)
        return number

    def kind_of(self, number: int) -> int:
        """Return the kind of a type or root."""
        kinds = self._known.kinds
        if number < len(kinds):
            kind = kinds[number]
            if kind != UNDECIDED:
                return kind
            return self._new().decided.get(number, UNDECIDED)
        return self._new().kinds[number - len(kinds)]

    def depth_of(self, number: int) -> int:
        """Return how many shared types enclose a type or root."""
        depths = self._known.depths
        if number >= len(depths):
            return self._new().depths[number - len(depths)]
        return depths[number]

    def decide(self, number: int, kind: int) -> None:
        """Fix the kind of a root that is undecided."""
        known = len(self._known.kinds)
        if number >= known:
            self._new().kinds[number - known] = kind
        else:
            self._new().decided[number] = kind

    def merge(self) -> None:
        """Add all of it to what is known; to be called once, at the end."""
        known = self._known
        if self._numbers:
            self._numbers.merge(known)
        if self.claims:
            known.decided |= self.claims.decided
        clients = known.clients
        for client, later in self.clients.items():
            if later.end > later.first:
                runs = clients.get(client)
                if runs is None:
                    runs = clients[client] = compact_runs()
                runs.append(later)

    def _new(self) -> _Numbers:
        if self._numbers is None:
            self._numbers = _Numbers(len(self._known.kinds))
        return self._numbers


class _Numbers:
    """New types and roots; most updates have none.

    Attributes:
        kinds: Their kinds; their numbers start at `base`.
        depths: How many shared types enclose each of them.
        roots: The numbers of new roots.
        decided: The kinds of known roots that were undecided.
        duties: What each of them is to `claims`.
        questions: The question that they belong to.
    """

    __slots__ = (
        "base",
        "decided",
        "depths",
        "duties",
        "kinds",
        "questions",
        "roots",
    )

    def __init__(self, base: int) -> None:
        self.base = base
        self.kinds = bytearray()
        self.depths = bytearray()
        self.roots: dict[str, int] = {}
        self.decided: dict[int, int] = {}
        self.duties = bytearray()
        self.questions: dict[int, int] = {}

    def add(self, kind: int, depth: int) -> int:
        self.kinds.append(kind)
        self.depths.append(depth)
        self.duties.append(0)
        return self.base + len(self.kinds) - 1

    def merge(self, known: Known) -> None:
        known.kinds.extend(self.kinds)
        known.depths.extend(self.depths)
        known.roots.update(self.roots)
        known.duties.extend(self.duties)
        known.questions.update(self.questions)
        known.asked.update(self.questions.values())
        for number, kind in self.decided.items():
            known.kinds[number] = kind
