"""Puts turns in a sequence in which `after` points back; it ranks nothing.

An honest document has no cycles. A forged one may, and must neither hang a reader nor
make two readers differ, so the turns of a cycle stay together as one unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crdtsync.turns.claim import TurnRecord

Unit = Sequence[TurnRecord]


def in_sequence(turns: Mapping[str, TurnRecord]) -> list[Unit]:
    """List units of turns, each after everything it names.

    These are the strongly connected components of `after`, by Tarjan's algorithm
    without recursion: a history is deeper than a stack.
    """
    search = _Search(turns)
    for root in turns:
        if root not in search.index:
            search.run(root)
    return search.units


class _Search:
    """The state of one depth-first search."""

    def __init__(self, turns: Mapping[str, TurnRecord]) -> None:
        self.units: list[Unit] = []
        self.index: dict[str, int] = {}
        self._turns = turns
        self._low: dict[str, int] = {}
        self._stack: list[str] = []
        self._on_stack: set[str] = set()
        self._work: list[tuple[str, Iterator[str]]] = []

    def run(self, root: str) -> None:
        """Visit everything that can be reached from a turn."""
        self._open(root)
        while self._work:
            here, names = self._work[-1]
            for name in names:
                if name not in self.index:
                    self._open(name)
                    break
                if name in self._on_stack:
                    self._low[here] = min(self._low[here], self.index[name])
            else:
                self._close(here)

    def _open(self, turn: str) -> None:
        self.index[turn] = self._low[turn] = len(self.index)
        self._stack.append(turn)
        self._on_stack.add(turn)
        claim = self._turns[turn].claim
        names = claim.after if claim is not None else ()
        known = (name for name in names if name in self._turns)
        self._work.append((turn, known))

    def _close(self, turn: str) -> None:
        self._work.pop()
        if self._work:
            parent = self._work[-1][0]
            self._low[parent] = min(self._low[parent], self._low[turn])
        if self._low[turn] == self.index[turn]:
            unit: list[TurnRecord] = []
            while not unit or unit[-1].id != turn:
                name = self._stack.pop()
                self._on_stack.discard(name)
                unit.append(self._turns[name])
            self.units.append(unit)
