"""The reading rule within one stretch of concurrent turns; it sees nothing beyond.

Sets of turns are bits of integers, one bit per turn of the stretch, so that the rule's
pairwise comparisons cost next to nothing. `order` cuts a history into stretches.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from crdtsync.turns.claim import Claim, TurnRecord
from crdtsync.turns.sequence import Unit

Rank = tuple[int, int, str, str, str]
_GRANT_RANK: Final = {"offline": 0, "local": 1, "relay": 2}


def rank(turn: TurnRecord) -> Rank:
    """Compare turns that ran apart; the highest is taken into main first."""
    claim = turn.claim
    if claim is None:
        return (-1, 0, "", "", turn.id)
    return (_GRANT_RANK[claim.grant], claim.epoch, claim.arb, claim.runner, turn.id)


def settles(claim: Claim | None) -> Sequence[str]:
    """Name the turns that a claim says to be over: seen final, or closed."""
    if claim is None:
        return ()
    finals = [turn for turn, seen in claim.after.items() if seen == "final"]
    return [*finals, *claim.closes] if claim.closes else finals


@dataclass(frozen=True, slots=True)
class Told:
    """What a stretch makes of its turns: the order, and the main and stale ones."""

    order: Sequence[str]
    main: Set[str]
    stale: Set[str]


@dataclass(slots=True)
class Stretch:
    """Turns placed in an order in which `after` points back.

    A unit is one turn, or the turns of one cycle of forged references.

    Args:
        places: The place of every turn of the history.
        start: The place of the first turn here.
        base: Turns that the claims before this stretch said to be over.
        turns: The turns of a chain.
        chain: Whether each turn is before the next; then nothing is to be placed.
    """

    places: Mapping[str, int]
    start: int
    base: Set[str]
    turns: list[TurnRecord] = field(default_factory=list)
    chain: bool = False
    _every: int = 0
    _based: int = 0
    _units: list[Unit] = field(default_factory=list)
    _bits: list[int] = field(default_factory=list)
    _past: list[int] = field(default_factory=list)
    _settled: list[int] = field(default_factory=list)
    _unit_at: list[int] = field(default_factory=list)

    def place(self, unit: Unit) -> None:
        """Append a unit whose predecessors are all placed."""
        past, settled = self._look_back(unit)
        bits = self._bits_of([turn.id for turn in unit])
        self._based |= self._bits_of([t.id for t in unit if t.id in self.base])
        self._unit_at += [len(self._units)] * len(unit)
        self._units.append(unit)
        self._bits.append(bits)
        self._past.append(past)
        self._settled.append(settled)
        self.turns += unit
        self._every |= bits

    def _look_back(self, unit: Unit) -> tuple[int, int]:
        """Find a unit's ancestors here, and what it and they say to be over."""
        past = settled = 0
        for turn in unit:
            for at in self._predecessors(turn):
                past |= self._past[at] | self._bits[at]
                settled |= self._settled[at]
            settled |= self._bits_of(settles(turn.claim))
        return past, settled

    def all_before(self, unit: Unit) -> bool:
        """Whether every turn here is `before` a unit that follows."""
        past, settled = self._look_back(unit)
        return past == self._every and not self._every & ~(settled | self._based)

    def read(self, epochs: Mapping[str, int]) -> Told:
        """Apply the rule.

        Args:
            epochs: The highest epoch of each arbiter before the stretch.
        """
        if self.chain:
            return self._read_chain()
        before = [
            past & (settled | self._based)
            for past, settled in zip(self._past, self._settled, strict=True)
        ]
        future = self._future()
        main = self._main(before, future)
        stale = self._stale(main, future, epochs)
        order = [self.turns[at].id for at in self._order(before)]
        return Told(order, self._names(main), self._names(stale))

    def _read_chain(self) -> Told:
        leads = {t.id for t in self.turns if t.claim is not None and not t.void}
        return Told([turn.id for turn in self.turns], leads, frozenset())

    def _future(self) -> list[int]:
        """Find the turns that come after each unit."""
        future = [0] * len(self._units)
        for at in range(len(self._units) - 1, -1, -1):
            for turn in self._units[at]:
                for earlier in self._predecessors(turn):
                    if earlier != at:
                        future[earlier] |= future[at] | self._bits[at]
        return future

    def _main(self, before: Sequence[int], future: Sequence[int]) -> int:
        """Take turns by rank while each is before or after all taken ones."""
        heard = self._hearers(future)
        main = 0
        for at in sorted(range(len(self.turns)), key=self._rank, reverse=True):
            turn, unit = self.turns[at], self._unit_at[at]
            if turn.void or turn.claim is None:
                continue
            everywhere = self._based >> at & 1
            after = future[unit] if everywhere else future[unit] & heard[at]
            if not main & ~(before[unit] | after):
                main |= 1 << at
        return main

    def _hearers(self, future: Sequence[int]) -> list[int]:
        """Find for each turn who says, or comes after one who says, that it is over."""
        heard = [0] * len(self.turns)
        for at, unit in enumerate(self._units):
            for turn in unit:
                for over in settles(turn.claim):
                    place = self.places.get(over, -1) - self.start
                    if 0 <= place < len(heard):
                        heard[place] |= future[at] | self._bits[at]
        return heard

    def _stale(
        self, main: int, future: Sequence[int], epochs: Mapping[str, int]
    ) -> int:
        """Find turns outside main that a higher epoch of their arbiter did not see."""
        stale = 0
        higher = self._higher()
        for at, turn in enumerate(self.turns):
            claim, unit = turn.claim, self._unit_at[at]
            if claim is None or turn.void or main >> at & 1:
                continue
            cycle = self._bits[unit] if len(self._units[unit]) > 1 else 0
            unseen = higher[at] & ~(future[unit] | cycle)
            if unseen or epochs.get(claim.arb, 0) > claim.epoch:
                stale |= 1 << at
        return stale

    def _higher(self) -> list[int]:
        """Find for each turn the turns of the same arbiter with a higher epoch."""
        higher = [0] * len(self.turns)
        seen: dict[str, tuple[int, int, int]] = {}
        for at in sorted(range(len(self.turns)), key=self._epoch, reverse=True):
            claim = self.turns[at].claim
            if claim is None:
                continue
            epoch, above, same = seen.get(claim.arb, (claim.epoch, 0, 0))
            if epoch != claim.epoch:
                above, same = above | same, 0
            higher[at] = above
            seen[claim.arb] = (claim.epoch, above, same | 1 << at)
        return higher

    def _order(self, before: Sequence[int]) -> Iterator[int]:
        """Extend `before` to a line, lowest rank first where it leaves a choice."""
        unplaced = self._every
        ready: list[tuple[Rank, int]] = []
        blocked: dict[int, list[int]] = {}

        def consider(at: int) -> None:
            # The last of the turns it waits for is the likeliest to be placed last.
            waits = before[self._unit_at[at]] & unplaced
            if waits:
                blocked.setdefault(waits.bit_length() - 1, []).append(at)
            else:
                heapq.heappush(ready, (self._rank(at), at))

        for at in range(len(self.turns)):
            consider(at)
        while ready:
            _, at = heapq.heappop(ready)
            unplaced &= ~(1 << at)
            yield at
            for waiting in blocked.pop(at, ()):
                consider(waiting)

    def _predecessors(self, turn: TurnRecord) -> Iterator[int]:
        """Name the units here that a turn comes after, as far as they are placed."""
        if turn.claim is None:
            return
        for seen in turn.claim.after:
            place = self.places.get(seen, -1) - self.start
            if 0 <= place < len(self._unit_at):
                yield self._unit_at[place]

    def _bits_of(self, turns: Iterable[str]) -> int:
        bits = 0
        for turn in turns:
            place = self.places.get(turn, -1) - self.start
            if place >= 0:
                bits |= 1 << place
        return bits

    def _rank(self, at: int) -> Rank:
        return rank(self.turns[at])

    def _epoch(self, at: int) -> int:
        claim = self.turns[at].claim
        return claim.epoch if claim else 0

    def _names(self, bits: int) -> Set[str]:
        return {turn.id for at, turn in enumerate(self.turns) if bits >> at & 1}
