"""The reading rule of the design, word for word and quadratic: an oracle for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crdtsync.turns.claim import Claim, TurnRecord

GRANT = {"offline": 0, "local": 1, "relay": 2}
NO_CLAIM = Claim(0, "", "offline", "", "", "", ())


@dataclass(frozen=True)
class Literal16:
    order: tuple[str, ...]
    main: frozenset[str]
    classes: dict[str, str]


class Literal:
    """final, ancestors, before, rank, main, class and order, as written down."""

    def __init__(self, records: Sequence[TurnRecord]) -> None:
        self.turns = {t.id: t for t in records}
        self.claims = {t.id: t.claim or NO_CLAIM for t in records}
        self.ancestors = {t: self._anc(t) for t in self.turns}

    def _anc(self, turn: str) -> set[str]:
        found: set[str] = set()
        todo = list(self.claims[turn].after)
        while todo:
            other = todo.pop()
            if other not in found:
                found.add(other)
                if other in self.claims:
                    todo += self.claims[other].after
        return found

    def before(self, a: str, s: str) -> bool:
        if a not in self.ancestors[s] or s in self.ancestors[a]:
            return False
        speakers = ({s} | self.ancestors[s]) & self.turns.keys()
        return any(
            self.claims[x].after.get(a) == "final" or a in self.claims[x].closes
            for x in speakers
        )

    def rank(self, turn: str) -> tuple[int, int, str, str, str]:
        claim = self.claims[turn]
        if self.turns[turn].claim is None:
            return (-1, 0, "", "", turn)
        return (GRANT[claim.grant], claim.epoch, claim.arb, claim.runner, turn)

    def read(self) -> Literal16:
        able = [t for t, r in self.turns.items() if not r.void and r.claim]
        main: list[str] = []
        for t in sorted(able, key=self.rank, reverse=True):
            if all(self.before(t, m) or self.before(m, t) for m in main):
                main.append(t)
        classes = {t: self._class(t, main) for t in self.turns}
        return Literal16(tuple(self._order()), frozenset(main), classes)

    def _class(self, turn: str, main: list[str]) -> str:
        if self.turns[turn].void:
            return "void"
        if turn in main:
            return "main"
        claim = self.claims[turn]
        stale = self.turns[turn].claim is not None and any(
            r.claim is not None
            and r.claim.arb == claim.arb
            and r.claim.epoch > claim.epoch
            and turn not in self.ancestors[s]
            for s, r in self.turns.items()
        )
        return "stale" if stale else "parallel"

    def _order(self) -> list[str]:
        order: list[str] = []
        todo = set(self.turns)
        while todo:
            free = [
                t for t in todo if not any(u != t and self.before(u, t) for u in todo)
            ] or list(todo)
            order.append(min(free, key=self.rank))
            todo.discard(order[-1])
        return order
