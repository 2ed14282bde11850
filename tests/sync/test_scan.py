from __future__ import annotations

from array import array

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import scan
from tests.sync.encoder import (
    TRUE,
    deletions,
    gc,
    ident,
    nested_arrays,
    number,
    section,
    skip,
    string,
    struct,
    text,
    update,
    values,
)

CLIENT = 7
TYPED = struct(4, string("a"), parent="t")
NAN = struct(6, text("k") + text("NaN"), parent="t")
WHOLE = update(section(CLIENT, 0, TYPED))


def one(made: bytes) -> bytes:
    return update(section(CLIENT, 0, made))


def embed(json: str) -> bytes:
    return one(struct(5, text(json), parent="t"))


BREAKING = {
    "T1-1 nothing at all": ("T1-1", b""),
    "T1-1 bytes left over": ("T1-1", WHOLE + b"\x00"),
    "T1-1 ends early": ("T1-1", WHOLE[:-1]),
    "T1-1 too many clients": ("T1-1", b"\x7f" + WHOLE[1:]),
    "T1-1 too many structs": ("T1-1", b"\x01\x7f" + WHOLE[2:]),
    "T1-1 text too long": ("T1-1", one(struct(4, b"\x7fa", parent="t"))),
    "T1-1 name too long": ("T1-1", b"\x01\x01\x07\x00\x04\x01\x7fa\x01a\x00"),
    "T1-1 too many values": ("T1-1", one(struct(8, b"\x7f" + TRUE, parent="a"))),
    "T1-1 list too long": (
        "T1-1",
        one(struct(8, values(b"\x75\x7f" + TRUE), parent="a")),
    ),
    "T1-1 value too long": ("T1-1", one(struct(8, values(b"\x77\x7fa"), parent="a"))),
    "T1-1 binary too long": ("T1-1", one(struct(3, b"\x7fa", parent="a"))),
    "T1-1 too many deletions": ("T1-1", b"\x00\x7f\x07\x01\x00\x01"),
    "T1-1 too many ranges": ("T1-1", b"\x00\x01\x07\x7f\x00\x01"),
    "T1-2 not shortest": ("T1-2", one(b"\x04\x01\x01t\x81\x00a")),
    "T1-2 client not shortest": ("T1-2", b"\x01\x01\x87\x00\x00" + TYPED + b"\x00"),
    "T1-2 huge": ("T1-2", b"\xff" * 9),
    "T1-2 client of 2**53": ("T1-2", update(section(2**53, 0, TYPED))),
    "T1-2 clock of 2**31": ("T1-2", update(section(CLIENT, 2**31, TYPED))),
    "T1-2 counts to 2**31": ("T1-2", update(section(CLIENT, 2**31 - 1, TYPED))),
    "T1-2 long and deleted": ("T1-2", one(struct(1, number(2**31), parent="t"))),
    "T1-2 deletes to 2**31": (
        "T1-2",
        update(deleted=[deletions(CLIENT, (2**31 - 1, 1))]),
    ),
    "T1-3 empty section": ("T1-3", update(section(CLIENT, 0), section(8, 0, TYPED))),
    "T1-3 empty GC": ("T1-3", one(gc(0) + b"\x00")),
    "T1-3 empty Skip": ("T1-3", one(skip(0) + b"\x00")),
    "T1-3 empty text": ("T1-3", one(struct(4, string(""), parent="t"))),
    "T1-3 no values": ("T1-3", one(struct(8, values(), parent="a"))),
    "T1-3 empty deleted": ("T1-3", one(struct(1, number(0), parent="a"))),
    "T1-3 no ranges": ("T1-3", b"\x00\x01\x07\x00\x00\x00"),
    "T1-3 empty range": ("T1-3", update(deleted=[deletions(CLIENT, (0, 0))])),
    "T1-4 client twice": (
        "T1-4",
        update(section(CLIENT, 0, TYPED), section(CLIENT, 1, TYPED)),
    ),
    "T1-4 deletions twice": (
        "T1-4",
        update(deleted=[deletions(CLIENT, (0, 1)), deletions(CLIENT, (1, 1))]),
    ),
    "T1-4 ranges overlap": (
        "T1-4",
        update(deleted=[deletions(CLIENT, (0, 2), (1, 2))]),
    ),
    "T1-4 ranges descend": (
        "T1-4",
        update(deleted=[deletions(CLIENT, (5, 1), (1, 1))]),
    ),
    "T1-5 JSON": ("T1-5", one(struct(2, b"\x01" + text("1"), parent="a"))),
    "T1-5 move": ("T1-5", one(struct(11, b"\x00\x00\x00", parent="a"))),
    "T1-5 reserved bit": ("T1-5", one(b"\x14" + TYPED[1:])),
    "T1-5 GC with a neighbour": ("T1-5", one(b"\x80\x08\x00\x01")),
    "T1-5 Skip with a neighbour": ("T1-5", one(b"\x8a\x08\x00\x01")),
    "T1-5 XML hook": ("T1-5", one(struct(7, b"\x05", parent="a"))),
    "T1-5 weak link": ("T1-5", one(struct(7, b"\x07", parent="a"))),
    "T1-5 undefined type": ("T1-5", one(struct(7, b"\x0f", parent="a"))),
    "T1-6 parent info": ("T1-6", one(b"\x04\x02\x01t\x01a")),
    "T1-6 own future": ("T1-6", one(struct(4, string("a"), origin=(CLIENT, 0)))),
    "T1-6 right in own future": (
        "T1-6",
        one(struct(4, string("a"), right=(CLIENT, 9))),
    ),
    "T1-6 parent in own future": (
        "T1-6",
        one(struct(4, string("a"), parent=(CLIENT, 0))),
    ),
    "T1-7 text": ("T1-7", one(struct(4, b"\x02\xc3\x28", parent="t"))),
    "T1-7 surrogate": ("T1-7", one(struct(4, b"\x03\xed\xa0\x80", parent="t"))),
    "T1-7 root": ("T1-7", one(b"\x04\x01\x01\xff\x01a")),
    "T1-7 key": ("T1-7", one(b"\x28\x01\x01m\x01\xff\x01\x78")),
    "T1-7 value": ("T1-7", one(struct(8, values(b"\x77\x01\xff"), parent="a"))),
    "T1-7 key of a value": (
        "T1-7",
        one(struct(8, values(b"\x76\x01\x01\xff\x78"), parent="a")),
    ),
    "T1-8 unknown value": ("T1-8", one(struct(8, values(b"\x73"), parent="a"))),
    "T1-8 too deep": ("T1-8", one(struct(8, values(nested_arrays(65)), parent="a"))),
    "T1-8 maps too deep": (
        "T1-8",
        one(struct(8, values(b"\x76\x01\x01k" * 65 + TRUE), parent="a")),
    ),
    "T1-8 integer too long": (
        "T1-8",
        one(struct(8, values(b"\x7d" + b"\xff" * 10 + b"\x01"), parent="a")),
    ),
    "T1-8 options": ("T1-8", one(struct(9, text("guid") + TRUE, parent="a"))),
    "T1-8 options too deep": (
        "T1-8",
        one(struct(9, text("g") + b"\x76\x01\x01k" + nested_arrays(65), parent="a")),
    ),
    "T1-9 not JSON": ("T1-9", embed("{")),
    "T1-9 NaN": ("T1-9", one(NAN)),
    "T1-9 infinite": ("T1-9", embed("-Infinity")),
    "T1-9 overflows": ("T1-9", embed("1e999")),
    "T1-9 half a character": ("T1-9", embed('"\\ud800"')),
    "T1-9 too deep": ("T1-9", embed("[" * 65 + "]" * 65)),
    "T1-9 too long": ("T1-9", embed('"' + "a" * (1 << 20) + '"')),
}


@pytest.mark.parametrize("name", BREAKING)
def test_refuses_what_breaks_the_rule(name: str) -> None:
    rule, data = BREAKING[name]
    with pytest.raises(UpdateRefused) as refused:
        scan(data)
    assert refused.value.rule == rule


SESSION_BREAKING = {
    "format": struct(6, text("bold") + text("true"), parent="t"),
    "embed": struct(5, text("{}"), parent="t"),
    "sub-document": struct(9, text("guid") + b"\x76\x00", parent="a"),
    "XML element": struct(7, b"\x03" + text("p"), parent="a"),
    "XML fragment": struct(7, b"\x04", parent="a"),
    "XML text": struct(7, b"\x06", parent="a"),
}


@pytest.mark.parametrize("name", SESSION_BREAKING)
def test_only_a_session_refuses_what_sessions_never_hold(name: str) -> None:
    made = one(SESSION_BREAKING[name])
    assert len(scan(made).sections) == 1
    with pytest.raises(UpdateRefused) as refused:
        scan(made, session=True)
    assert refused.value.rule == "T1-10"


PASSING = {
    "nothing": update(),
    "text": WHOLE,
    "largest client": update(section(2**53 - 1, 0, TYPED)),
    "largest clock": update(section(CLIENT, 2**31 - 2, TYPED)),
    "deepest value": one(struct(8, values(nested_arrays(64)), parent="a")),
    "every value": one(
        struct(
            8,
            values(
                b"\x74\x02\x00\xff",
                b"\x75\x02" + TRUE * 2,
                b"\x76\x01" + text("é") + b"\x79",
                b"\x77" + text("é"),
                b"\x7a" + bytes(8),
                b"\x7b" + bytes(8),
                b"\x7c" + bytes(4),
                b"\x7d\xbf\x01",
                b"\x7e",
                b"\x7f",
            ),
            parent="a",
        )
    ),
    "deepest JSON": embed("[" * 64 + "]" * 64),
    "many shallow JSON values": embed("[" + "[0.5]," * 100 + "1e300]"),
    "long key": one(
        struct(8, values(b"\x76\x01" + text("k" * 200) + TRUE), parent="a")
    ),
    "brackets in a JSON text": embed('"' + "[{" * 200 + '\\""'),
    "adjacent ranges": update(deleted=[deletions(CLIENT, (0, 2), (2, 2))]),
    "gaps": one(gc(3)),
}


@pytest.mark.parametrize("name", PASSING)
def test_lets_pass_what_is_at_the_limit(name: str) -> None:
    scan(PASSING[name])


def test_says_what_the_update_holds() -> None:
    scanned = scan(
        update(
            section(CLIENT, 4, struct(4, string("a😀b😀"), origin=(9, 200)), gc(2)),
            deleted=[deletions(9, (300, 2))],
        )
    )
    [(client, clock, [(ref, length, origin, *rest, inside), gap])] = scanned.sections
    assert (client, clock, ref, length, origin) == (CLIENT, 4, 4, 6, (9, 200))
    assert rest == [None, None, None]
    assert isinstance(inside, array)
    assert list(inside) == [2, 5]
    assert gap[:2] == (0, 2)
    assert scanned.deletions == [(9, [(300, 2)])]


def test_a_refusal_is_for_people() -> None:
    with pytest.raises(UpdateRefused) as refused:
        scan(WHOLE + b"\x00")
    assert str(refused.value) == "The update has bytes left over after its end."
    assert refused.value.hint


@given(st.binary(max_size=80))
@example(ident((2**53 - 1, 2**31 - 1)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    rule = "T1-0"
    try:
        scan(data)
    except UpdateRefused as refused:
        rule = refused.rule
    assert rule.startswith("T1-")


@given(st.data())
def test_no_part_of_an_update_is_one(data: st.DataObject) -> None:
    whole = PASSING["every value"]
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UpdateRefused):
        scan(whole[:cut])
