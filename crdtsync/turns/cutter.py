"""Cuts a history where all turns up to there are before all that follow.

Between two cuts lies a chain, or a stretch in which turns are concurrent and must be
compared. It compares no ranks and classifies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crdtsync.turns.claim import TurnRecord
from crdtsync.turns.sequence import Unit
from crdtsync.turns.stretch import Stretch, settles


class Cutter:
    """One pass over a history.

    Args:
        units: From `in_sequence`.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._places: dict[str, int] = {}
        unit_at: dict[str, int] = {}
        for number, unit in enumerate(units):
            for turn in unit:
                self._places[turn.id] = len(self._places)
                unit_at[turn.id] = number
        self._arriving: list[list[int]] = [[] for _ in units]
        for number, unit in enumerate(units):
            self._arriving[_ready_at(unit, unit_at, number)].append(number)
        self._base: set[str] = set()
        self._chain: list[TurnRecord] = []
        self._open: list[Unit] = []
        self._stretch: Stretch | None = None
        self._next_up: set[int] = set()
        # A unit that forbids a cut forbids every cut until it is placed itself.
        self._objector = -1

    def stretches(self) -> Iterator[Stretch]:
        """Give the whole history, cut wherever it can be cut."""
        for number, unit in enumerate(self._units):
            if self._may_cut(number):
                yield from self._cut()
            self._next_up.discard(number)
            self._open.append(unit)
            if self._stretch is not None:
                self._stretch.place(unit)
        if self._open:
            yield from self._cut()
        if self._chain:
            yield self._take_chain()

    def _may_cut(self, number: int) -> bool:
        """Ask the units that could come next; later ones come after one of them."""
        arriving = self._arriving[number]
        if not self._next_up and len(arriving) == 1 == len(self._open):
            return self._follows(self._units[number])
        self._next_up.update(arriving)
        if self._objector >= number or not self._open:
            return False
        for other in self._next_up:
            if not self._follows(self._units[other]):
                self._objector = other
                return False
        return True

    def _follows(self, unit: Unit) -> bool:
        if len(self._open) == 1 == len(self._open[0]) and len(unit) == 1:
            return self._is_before(self._open[0][0], unit[0])
        if self._stretch is None:
            start = self._places[self._open[0][0].id]
            self._stretch = Stretch(self._places, start, self._base)
            for placed in self._open:
                self._stretch.place(placed)
        return self._stretch.all_before(unit)

    def _is_before(self, turn: TurnRecord, later: TurnRecord) -> bool:
        """Whether a turn alone since the last cut is before one that follows."""
        if later.claim is None or turn.id not in later.claim.after:
            return False
        return (
            later.claim.after[turn.id] == "final"
            or turn.id in later.claim.closes
            or turn.id in self._base
            or turn.id in settles(turn.claim)
        )

    def _cut(self) -> Iterator[Stretch]:
        turns = [turn for unit in self._open for turn in unit]
        if len(turns) == 1:
            self._chain += turns
        else:
            if self._chain:
                yield self._take_chain()
            start = self._places[turns[0].id]
            stretch = self._stretch or Stretch(self._places, start, self._base)
            if self._stretch is None:
                for unit in self._open:
                    stretch.place(unit)
            yield stretch
        for turn in turns:
            self._base.update(settles(turn.claim))
        self._open = []
        self._stretch = None

    def _take_chain(self) -> Stretch:
        chain, self._chain = self._chain, []
        return Stretch({}, 0, frozenset(), turns=chain, chain=True)


def _ready_at(unit: Unit, unit_at: Mapping[str, int], number: int) -> int:
    """Find the step from which on all known predecessors of a unit are placed."""
    ready = 0
    for turn in unit:
        for seen in turn.claim.after if turn.claim is not None else ():
            at = unit_at.get(seen, number)
            if ready <= at != number:
                ready = at + 1
    return ready
