from __future__ import annotations

import random
from itertools import groupby

import pytest

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex, Parking, Pending
from crdtsync.sync.admission.rules import PARKED_TRIES_MAX
from tests.sync.corpus import deliveries, roots_of
from tests.sync.encoder import section, string, struct, update

ANNA = 1001


def typed(clock: int) -> bytes:
    """One character after the one before it."""
    before = {"origin": (ANNA, clock - 1)} if clock else {"parent": "t"}
    return update(section(ANNA, clock, struct(4, string("a"), **before)))


def pending(index: DocIndex, data: bytes) -> Pending:
    admission = index.check(index.scan(data))
    assert isinstance(admission, Pending)
    return admission


def receive(index: DocIndex, parking: Parking, data: bytes, tries: int = 0) -> None:
    """Let an update in as a replica does, and whatever waited for it."""
    match index.check(index.scan(data)):
        case Pending() as early:
            parking.park(data, early, tries=tries)
        case Admitted() as admitted:
            index.commit(admitted)
            while ready := parking.take_ready(index):
                for parked in ready:
                    receive(index, parking, parked.update, parked.tries + 1)


def test_updates_in_any_order_are_all_let_in() -> None:
    documents = groupby(deliveries(5, 600), key=lambda delivery: delivery.document)
    for document, group in documents:
        updates = sorted({d.update for d in group if d.replica is not None})
        random.Random(document).shuffle(updates)  # noqa: S311 - repeatable
        index = DocIndex(roots_of(document), session=bool(document % 2))
        parking = Parking()
        for data in updates:
            receive(index, parking, data)
        assert len(parking) == 0


def test_hands_back_only_what_waits_for_nothing() -> None:
    index, parking = DocIndex({"t": "text"}), Parking()
    for clock in (3, 1, 2):
        parking.park(typed(clock), pending(index, typed(clock)))
    assert parking.take_ready(index) == []
    receive(index, parking, typed(0))
    assert index.knows(ANNA, 3)
    assert len(parking) == 0


def test_keeps_an_update_once() -> None:
    index, parking = DocIndex({"t": "text"}), Parking()
    for _ in range(3):
        parking.park(typed(1), pending(index, typed(1)))
    assert len(parking) == 1


@pytest.mark.parametrize(
    "parking",
    [Parking(bytes_max=4 * len(typed(1))), Parking(updates_max=4)],
    ids=["bytes", "updates"],
)
def test_refuses_what_it_has_no_room_for(parking: Parking) -> None:
    index = DocIndex({"t": "text"})
    for clock in (1, 2, 3, 4):
        parking.park(typed(clock), pending(index, typed(clock)))
    with pytest.raises(UpdateRefused) as refused:
        parking.park(typed(5), pending(index, typed(5)))
    assert refused.value.rule == "T2-1"
    assert len(parking) == 4
    receive(index, parking, typed(0))
    parking.park(typed(9), pending(index, typed(9)))
    assert len(parking) == 1


def test_gives_up_on_an_update_that_always_waits_for_more() -> None:
    index, parking = DocIndex({"t": "text"}), Parking()
    early = pending(index, typed(1))
    parking.park(typed(1), early, tries=PARKED_TRIES_MAX)
    with pytest.raises(UpdateRefused) as refused:
        parking.park(typed(2), early, tries=PARKED_TRIES_MAX + 1)
    assert refused.value.rule == "T2-1"
