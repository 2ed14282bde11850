from __future__ import annotations

import pytest

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex, Pending, Roots
from crdtsync.sync.admission.growth import Growth
from tests.sync.encoder import (
    TRUE,
    Id,
    deletions,
    gc,
    number,
    section,
    skip,
    string,
    struct,
    text,
    update,
    values,
)

ROOTS: Roots = {"a": "array", "m": "map", "t": "text"}
ANNA, BEN, CARLA = 1001, 1002, 1003

ARRAY_TYPE, MAP_TYPE, TEXT_TYPE = b"\x00", b"\x01", b"\x02"


def value(**place: object) -> bytes:
    return struct(8, values(TRUE), **place)  # type: ignore[arg-type]


def typed(characters: str, **place: object) -> bytes:
    return struct(4, string(characters), **place)  # type: ignore[arg-type]


def shared(kind: bytes, **place: object) -> bytes:
    return struct(7, kind, **place)  # type: ignore[arg-type]


def admit(index: DocIndex, data: bytes) -> None:
    admission = index.check(index.scan(data))
    assert isinstance(admission, Admitted)
    index.commit(admission)


def index_after(*updates: bytes, session: bool = False) -> DocIndex:
    index = DocIndex(ROOTS, session=session)
    for data in updates:
        admit(index, data)
    return index


def missing(index: DocIndex, data: bytes) -> tuple[Id, ...]:
    admission = index.check(index.scan(data))
    assert isinstance(admission, Pending)
    return admission.missing


def test_each_writer_continues_the_other() -> None:
    index = index_after(
        update(section(ANNA, 0, typed("hello", parent="t"))),
        update(section(BEN, 0, typed("!", origin=(ANNA, 4)))),
        update(section(ANNA, 5, typed(",", origin=(ANNA, 4), right=(BEN, 0)))),
        update(deleted=[deletions(ANNA, (0, 6)), deletions(BEN, (0, 1))]),
    )
    assert index.knows(ANNA, 5)
    assert not index.knows(ANNA, 6)


class TestWaits:
    """T2-1"""

    @pytest.mark.parametrize(
        ("data", "needed"),
        [
            (update(section(ANNA, 3, typed("a", parent="t"))), (ANNA, 2)),
            (update(section(ANNA, 0, typed("a", origin=(BEN, 4)))), (BEN, 4)),
            (update(section(ANNA, 0, typed("a", right=(BEN, 4)))), (BEN, 4)),
            (update(section(ANNA, 0, typed("a", parent=(BEN, 4)))), (BEN, 4)),
            (update(section(ANNA, 0, skip(3), typed("a", parent="t"))), (ANNA, 2)),
            (update(deleted=[deletions(BEN, (1, 1), (3, 2))]), (BEN, 4)),
        ],
        ids=["gap", "origin", "right origin", "parent", "skip", "deletion"],
    )
    def test_for_what_it_builds_on(self, data: bytes, needed: Id) -> None:
        index = index_after()
        assert missing(index, data) == (needed,)
        assert not index.knows(ANNA, 0)

    def test_not_for_what_the_same_update_brings_later(self) -> None:
        first = section(BEN, 0, typed("ab", parent="t"))
        second = section(ANNA, 0, typed("c", origin=(BEN, 1)))
        third = section(CARLA, 0, typed("d", origin=(ANNA, 0)))
        index = index_after(update(third, second, first))
        assert index.knows(CARLA, 0)

    def test_for_others_only(self) -> None:
        second = section(ANNA, 0, typed("c", origin=(BEN, 1)))
        third = section(CARLA, 0, typed("d", origin=(ANNA, 0)))
        assert missing(index_after(), update(third, second)) == ((BEN, 1),)

    def test_and_may_be_refused_afterwards(self) -> None:
        index = index_after()
        data = update(section(ANNA, 0, typed("é", origin=(BEN, 0))))
        assert missing(index, data) == ((BEN, 0),)
        admit(index, update(section(BEN, 0, value(parent="a"))))
        with pytest.raises(UpdateRefused) as refused:
            index.check(index.scan(data))
        assert refused.value.rule == "T2-4"

    def test_sections_in_the_worst_order_take_no_quadratic_time(self) -> None:
        # Each section builds on the one after it.
        count = 8_000
        sections = [
            section(client, 0, value(origin=(client + 1, 0))) for client in range(count)
        ]
        sections.append(section(count, 0, value(parent="a")))
        index = index_after(update(*sections))
        assert index.knows(0, 0)


def nested(depth: int) -> bytes:
    """Maps inside each other, the outermost in a root."""
    inner = [shared(MAP_TYPE, parent=(ANNA, at), key="k") for at in range(depth - 1)]
    return update(section(ANNA, 0, shared(MAP_TYPE, parent="m", key="k"), *inner))


WORLD = update(
    section(
        ANNA,
        0,
        typed("ab😀", parent="t"),  # clocks 0-3, the pair is 2-3
        value(parent="a"),  # 4
        value(parent="m", key="k"),  # 5
        value(parent="m", key="other"),  # 6
        shared(ARRAY_TYPE, parent="m", key="list"),  # 7
        shared(b"\x04", parent="m", key="xml"),  # 8
        gc(2),  # 9-10
        struct(1, number(2), parent="a"),  # 11-12
    )
)


BREAKING = {
    "T2-2 parent is a value": ("T2-2", value(parent=(ANNA, 4))),
    "T2-2 parent is text": ("T2-2", value(parent=(ANNA, 0))),
    "T2-4 text in an array": ("T2-4", typed("a", parent="a")),
    "T2-4 text inherits an array": ("T2-4", typed("a", origin=(ANNA, 4))),
    "T2-4 text before a value": ("T2-4", typed("a", right=(ANNA, 4))),
    "T2-4 text after what was deleted": ("T2-4", typed("a", origin=(ANNA, 12))),
    "T2-4 text in a nested array": ("T2-4", typed("a", parent=(ANNA, 7))),
    "T2-4 embed in an array": ("T2-4", struct(5, text("{}"), parent="a")),
    "T2-4 format in an array": ("T2-4", struct(6, text("k") + text("1"), parent="a")),
    "T2-4 value in a fragment": ("T2-4", value(parent=(ANNA, 8))),
    "T2-4 list in a map": ("T2-4", value(parent="m")),
    "T2-4 format in an entry": (
        "T2-4",
        struct(6, text("k") + text("1"), parent="m", key="k"),
    ),
    "T2-4 embed in an entry": ("T2-4", struct(5, text("{}"), parent="m", key="k")),
    "T2-5 neighbours apart": ("T2-5", value(origin=(ANNA, 4), right=(ANNA, 0))),
    "T2-5 the same neighbour": ("T2-5", value(origin=(ANNA, 4), right=(ANNA, 4))),
    "T2-5 one collected": ("T2-5", value(origin=(ANNA, 9), right=(ANNA, 4))),
    "T2-5 other collected": ("T2-5", value(origin=(ANNA, 4), right=(ANNA, 9))),
    "T2-5 entries of two keys": ("T2-5", value(origin=(ANNA, 5), right=(ANNA, 6))),
    "T2-5 entry before another": ("T2-5", value(right=(ANNA, 5))),
    "T2-7 after half": ("T2-7", typed("a", origin=(ANNA, 2))),
    "T2-7 before half": ("T2-7", typed("a", right=(ANNA, 3))),
}


@pytest.mark.parametrize("name", BREAKING)
def test_refuses_what_breaks_the_rule(name: str) -> None:
    rule, made = BREAKING[name]
    index = index_after(WORLD)
    with pytest.raises(UpdateRefused) as refused:
        index.check(index.scan(update(section(BEN, 0, made))))
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("T2-3", nested(33)),
        ("T2-6", update(section(ANNA, 12, struct(1, number(2), parent="t")))),
        (
            "T2-6",
            update(section(ANNA, 12, struct(1, number(2), parent="m", key="k"))),
        ),
        ("T2-7", update(deleted=[deletions(ANNA, (0, 3))])),
        ("T2-7", update(deleted=[deletions(ANNA, (3, 1))])),
    ],
    ids=["deep", "continues elsewhere", "in an entry", "deletes up to", "deletes from"],
)
def test_refuses_also(rule: str, data: bytes) -> None:
    index = DocIndex(ROOTS, session=False)
    if rule != "T2-3":
        admit(index, WORLD)
    with pytest.raises(UpdateRefused) as refused:
        index.check(index.scan(data))
    assert refused.value.rule == rule


def test_refuses_to_continue_half_a_character() -> None:
    index = index_after(update(section(ANNA, 0, typed("a", parent="t"))))
    with pytest.raises(UpdateRefused) as refused:
        # Of this character the first half would be known already.
        index.check(index.scan(update(section(ANNA, 0, typed("😀", parent="t")))))
    assert refused.value.rule == "T2-7"


def test_an_update_that_overlaps_what_is_known_continues_it() -> None:
    index = index_after(WORLD)
    admit(index, update(section(ANNA, 12, struct(1, number(2), parent="a"))))
    assert index.knows(ANNA, 13)


def test_the_deepest_types_are_let_in() -> None:
    assert index_after(nested(32)).knows(ANNA, 31)


def test_what_lies_in_something_collected_is_let_in() -> None:
    index = index_after(
        WORLD,
        update(section(BEN, 0, shared(MAP_TYPE, parent=(ANNA, 9), key="k"))),
        update(
            section(BEN, 1, typed("a", parent=(BEN, 0)), typed("b", origin=(BEN, 1)))
        ),
        update(section(CARLA, 0, value(parent=(ANNA, 11)))),
    )
    assert index.knows(BEN, 2)


USES = {
    "text": typed("a", parent="new"),
    "array": value(parent="new"),
    "map": value(parent="new", key="k"),
}


class TestUnknownRoots:
    @pytest.mark.parametrize("first", USES)
    @pytest.mark.parametrize("second", USES)
    def test_of_a_session_take_the_kind_of_their_first_use(
        self, first: str, second: str
    ) -> None:
        index = index_after(update(section(ANNA, 0, USES[first])), session=True)
        assert index.kind_of("new") == first
        later = index.scan(update(section(BEN, 0, USES[second])))
        if first == second or (first, second) in [
            # Values may stand in text, and everything may have entries.
            ("text", "array"),
            ("text", "map"),
            ("array", "map"),
        ]:
            assert isinstance(index.check(later), Admitted)
            return
        with pytest.raises(UpdateRefused) as refused:
            index.check(later)
        assert refused.value.rule == "T2-4"

    def test_of_a_session_wait_for_a_use_that_tells(self) -> None:
        index = index_after(
            update(section(ANNA, 0, struct(1, number(1), parent="new"))), session=True
        )
        assert index.kind_of("new") is None
        admit(index, update(section(ANNA, 1, typed("a", origin=(ANNA, 0)))))
        assert index.kind_of("new") == "text"

    def test_of_other_documents_take_anything(self) -> None:
        index = index_after(
            *(update(section(i, 0, use)) for i, use in enumerate(USES.values()))
        )
        assert index.kind_of("new") is None


def known(index: DocIndex) -> object:
    """Everything an index remembers."""
    memory = index.known
    clients = {
        client: [
            list(getattr(runs, slot)) for slot in ("starts", "containers", "pairs")
        ]
        + [runs.end, list(runs.type_clocks), list(runs.type_numbers)]
        for client, runs in memory.clients.items()
    }
    return clients, dict(memory.roots), bytes(memory.kinds), bytes(memory.depths)


class TestCheckAndCommit:
    @pytest.mark.parametrize("name", BREAKING)
    def test_a_refused_update_leaves_no_trace(self, name: str) -> None:
        index = index_after(WORLD)
        before = known(index)
        good = section(
            BEN,
            0,
            shared(MAP_TYPE, parent="new root", key="new key"),
            typed("😀", parent="another root"),
        )
        bad = section(CARLA, 0, BREAKING[name][1])
        with pytest.raises(UpdateRefused):
            index.check(index.scan(update(good, bad)))
        assert known(index) == before

    def test_a_pending_or_uncommitted_update_leaves_no_trace(self) -> None:
        index = index_after(WORLD)
        before = known(index)
        new = section(BEN, 0, shared(MAP_TYPE, parent="new root", key="new key"))
        early = section(CARLA, 0, value(origin=(CARLA + 1, 0)))
        assert isinstance(index.check(index.scan(update(new, early))), Pending)
        assert isinstance(index.check(index.scan(update(new))), Admitted)
        assert known(index) == before

    def test_a_check_is_void_after_another_commit(self) -> None:
        index = index_after()
        scanned = index.scan(update(section(ANNA, 0, value(parent="a"))))
        first, second = index.check(scanned), index.check(scanned)
        assert isinstance(first, Admitted)
        assert isinstance(second, Admitted)
        assert isinstance(second.growth, Growth)
        index.commit(first)
        with pytest.raises(ValueError, match="another update was committed"):
            index.commit(second)

    def test_the_same_update_again_changes_nothing(self) -> None:
        index = index_after(WORLD)
        before = known(index)
        admit(index, WORLD)
        assert known(index) == before

    def test_a_stored_state_makes_the_same_index(self) -> None:
        index = DocIndex.from_update(WORLD, ROOTS, session=False)
        assert known(index) == known(index_after(WORLD))

    def test_half_a_stored_state_is_refused(self) -> None:
        half = update(section(ANNA, 1, value(parent="a")))
        with pytest.raises(UpdateRefused) as refused:
            DocIndex.from_update(half, ROOTS)
        assert refused.value.rule == "T2-1"

    def test_an_index_is_small(self) -> None:
        texts = 10_000
        made = (
            shared(TEXT_TYPE, parent="m", key=f"{at:036}")
            + typed("x" * 63, parent=(ANNA, at * 64))
            for at in range(texts)
        )
        head = number(2 * texts) + number(ANNA) + number(0)
        data = update(head + b"".join(made))
        runs = DocIndex.from_update(data, ROOTS).known.clients[ANNA]
        held = sum(
            len(slot) * slot.itemsize  # type: ignore[attr-defined]
            for slot in (runs.starts, runs.containers, runs.type_clocks)
        )
        assert held == texts * (2 * 12 + 4)
