"""The codec: W-1 to W-12."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Awareness as PycrdtAwareness
from pycrdt import (
    Doc,
    Text,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject
from crdtsync.sync.bodies import JSON_BYTES_MAX, JSON_DEPTH_MAX
from crdtsync.sync.wire import (
    FRAME_BYTES_MAX,
    PART_BYTES_MAX,
    Ack,
    AuthDenied,
    Awareness,
    Check,
    ClientState,
    Evict,
    Hello,
    Lease,
    Limits,
    Message,
    Nack,
    Part,
    Ping,
    Pong,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Unknown,
    Update,
    decode,
    encode,
    encode_update,
    split,
)

NUMBERS = st.integers(0, 2**53 - 1)
TEXTS = st.text(max_size=20)
BYTES = st.binary(max_size=200)
IDS = st.text("abcXYZ019_-", max_size=128)
STATES = st.builds(
    ClientState,
    NUMBERS,
    NUMBERS,
    st.none() | TEXTS.filter(lambda text: text != "null"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(TEXTS, JSON, max_size=4)
HELLOS = st.builds(
    Hello,
    protocol=NUMBERS,
    oldest=NUMBERS,
    end=st.sampled_from(["relay", "window"]),
    document=IDS,
    role=IDS,
    participant=IDS,
    limits=st.builds(Limits, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    features=st.frozensets(TEXTS, max_size=5),
    program=TEXTS,
    relay=IDS,
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(SyncStep1, BYTES),
    st.builds(SyncStep2, BYTES),
    st.builds(Update, BYTES),
    st.builds(Awareness, st.lists(STATES, max_size=4).map(tuple)),
    st.builds(AuthDenied, TEXTS),
    st.just(QueryAwareness()),
    HELLOS,
    st.builds(Ack, NUMBERS),
    st.builds(Nack, NUMBERS, TEXTS, TEXTS),
    st.builds(Lease, BODIES),
    st.builds(Evict, NUMBERS, NUMBERS, st.booleans()),
    st.builds(Ping, NUMBERS),
    st.builds(Pong, NUMBERS),
    st.builds(Check, BYTES),
    st.builds(Part, NUMBERS, BYTES),
)


def refused(frame: bytes) -> str:
    """The rule that a frame breaks."""
    with pytest.raises(ProtocolError) as caught:
        decode(frame)
    return str(caught.value).split(":")[0]


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_every_message_comes_back_as_it_was_sent(messages: list[Message]) -> None:
    assert decode(encode(*messages)) == messages


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_protocol_error(frame: bytes) -> None:
    try:
        messages = decode(frame)
    except ProtocolError:
        return
    assert messages


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_no_mutation_raises_anything_but_a_protocol_error(
    messages: list[Message], rng: random.Random
) -> None:
    frame = encode(*messages)
    for _ in range(5):
        try:
            decode(mutated(frame, rng))
        except ProtocolError:
            continue


def mutated(frame: bytes, rng: random.Random) -> bytes:
    data = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                del data[at : at + rng.randint(1, 8)]
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 2 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case _:
                data[at : at + 1] = b"\xff" * rng.randint(1, 9)
    return bytes(data)


def test_layer_1_is_what_pycrdt_writes_byte_for_byte() -> None:
    doc: Doc[Text] = Doc(client_id=2**32 - 1)
    doc.get("t", type=Text).insert(0, "naïve 😀" * 40)
    vector, update = doc.get_state(), doc.get_update()
    asked = create_sync_message(Doc())
    assert encode(SyncStep1(vector)) == create_sync_message(doc)
    assert encode(SyncStep2(update)) == handle_sync_message(asked[1:], doc)
    assert encode(Update(update)) == create_update_message(update)
    assert decode(create_update_message(update)) == [Update(update)]


def test_ascii_presence_is_what_pycrdt_writes_byte_for_byte() -> None:
    awareness = PycrdtAwareness(Doc(client_id=300))
    awareness.set_local_state({"user": "ana"})
    theirs = create_awareness_message(awareness.encode_awareness_update([300]))
    assert encode(*decode(theirs)) == theirs


def test_lengths_of_texts_count_bytes() -> None:
    """W-4; pycrdt's own encoder counts characters, so that this is cut there."""
    state = ClientState(1, 2, '{"name":"Zoë 😀"}')
    frame = encode(Awareness((state,)))
    assert frame.hex() == "0118010102147b226e616d65223a225a6fc3ab20f09f9880227d"
    assert decode(frame) == [Awareness((state,))]


def test_a_state_that_says_null_is_gone() -> None:
    frame = bytes.fromhex("0108 01 07 09 04") + b"null"
    assert decode(frame) == [Awareness((ClientState(7, 9, None),))]


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        ("", "W-1"),
        ("03" * 1001, "W-1"),
        ("01 06 01 01 01 01 61 00", "W-1"),
        ("80 00", "W-2"),
        ("ff ff ff ff ff ff ff 10", "W-2"),
        ("ff ff ff ff ff ff ff ff 01", "W-2"),
        ("80", "W-3"),
        ("00 02 05 01", "W-3"),
        ("00 02 ff ff ff ff ff ff ff 0f 01", "W-3"),
        ("69 02 01", "W-3"),
        ("01 05 01 01 01 09 61", "W-3"),
        ("01 02 ff 7f", "W-3"),
        ("02 00 01 ff", "W-4"),
        ("00 03 00", "W-5"),
        ("02 01 00", "W-5"),
        ("69 00", "W-3"),
        ("67 04 03 5b 31 5d", "W-8"),
        ("67 04 03 7b 7d 7d", "W-8"),
    ],
)
def test_a_broken_rule_is_named(frame: str, rule: str) -> None:
    assert refused(bytes.fromhex(frame)) == rule


def test_a_thousand_messages_fit_into_a_frame() -> None:
    assert decode(b"\x03" * 1000) == [QueryAwareness()] * 1000


def test_a_frame_beyond_the_limit_is_refused_unread() -> None:
    assert refused(bytes(FRAME_BYTES_MAX + 1)) == "W-1"


def test_the_largest_number_is_the_largest_of_javascript() -> None:
    assert encode(Ping(2**53 - 1)).hex() == "6908ffffffffffffff0f"
    with pytest.raises(ValueError, match=r"2\*\*53"):
        encode(Ping(2**53))
    with pytest.raises(ValueError, match="0"):
        encode(Ping(-1))


def test_unknown_types_are_passed_over() -> None:
    """W-6"""
    later = bytes.fromhex("c8 01 03 61 62 63")
    assert decode(later + encode(Ping(1))) == [Unknown(200), Ping(1)]
    assert decode(encode(Ping(1)) + b"\x09whatever") == [Ping(1), Unknown(9)]
    with pytest.raises(ValueError, match="unknown"):
        encode(Unknown(200))


def test_fields_of_a_later_version_are_passed_over() -> None:
    """W-7"""
    longer = bytes.fromhex("65 05 07") + b"more"
    assert decode(longer + encode(Ping(1))) == [Ack(7), Ping(1)]


def with_body(kind: int, text: str) -> bytes:
    """A message whose only field is this text, whatever it is."""
    data = text.encode()
    body = varuint(len(data)) + data
    return varuint(kind) + varuint(len(body)) + body


def varuint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(128 | number & 127)
        number >>= 7
    out.append(number)
    return bytes(out)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":NaN}',
        '{"a":1e999}',
        '{"a":-Infinity}',
        '{"a":"\\ud83d"}',
        "null",
        "",
        '{"a":1} {}',
        "{" * 40000,
        "[" * 65536,
        "[]" * 32768,
        '{"a":' * 17 + "1" + "}" * 17,
        '{"a":"' + "x" * JSON_BYTES_MAX + '"}',
        '{"a":"' + "é" * (JSON_BYTES_MAX // 2) + '"}',
        '{"a":' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:24],
)
def test_a_body_that_is_no_small_json_object_is_refused(text: str) -> None:
    assert refused(with_body(103, text)) == "W-8"


def test_brackets_within_texts_are_no_nesting() -> None:
    body: JsonObject = {"a": '[{"\\' * 100}
    assert decode(encode(Lease(body))) == [Lease(body)]


def test_a_body_that_nobody_would_read_is_not_written() -> None:
    deep: JsonObject = {}
    for _ in range(JSON_DEPTH_MAX):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="nested"):
        encode(Lease(deep))
    with pytest.raises(ValueError, match="JSON"):
        encode(Lease({"a": float("nan")}))
    with pytest.raises(ValueError, match="surrogates"):
        encode(Lease({"a": "\ud83d"}))


def test_a_hello_needs_no_more_than_its_version() -> None:
    """W-9"""
    text = json.dumps({"protocol": 3, "later": [1], "limits": {"later": 1}})
    frame = with_body(100, text)
    assert decode(frame) == [Hello(3)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"protocol": "1"},
        {"protocol": True},
        {"protocol": 1, "oldest": -1},
        {"protocol": 1, "end": "server"},
        {"protocol": 1, "end": 1},
        {"protocol": 1, "document": "../etc"},
        {"protocol": 1, "document": "x" * 129},
        {"protocol": 1, "limits": []},
        {"protocol": 1, "limits": {"frame_bytes": 1.5}},
        {"protocol": 1, "features": "x"},
        {"protocol": 1, "features": [1]},
        {"protocol": 1, "features": ["x"] * 65},
        {"protocol": 1, "program": "x" * 129},
        {"protocol": 1, "relay": "a b"},
    ],
    ids=str,
)
def test_a_hello_of_wrong_fields_is_refused(body: JsonObject) -> None:
    assert refused(with_body(100, json.dumps(body))) == "W-9"


@pytest.mark.parametrize(
    "size", [0, PART_BYTES_MAX, PART_BYTES_MAX + 1, 3 * PART_BYTES_MAX]
)
def test_parts_put_together_are_the_frame(size: int) -> None:
    """W-10"""
    frame = encode(Update(bytes(size)))
    sent = split(frame)
    if len(frame) <= PART_BYTES_MAX:
        assert sent == (frame,)
        return
    parts = [decode(each)[0] for each in sent]
    assert all(isinstance(part, Part) for part in parts)
    assert b"".join(part.data for part in parts if isinstance(part, Part)) == frame
    assert isinstance(parts[-1], Part)
    assert parts[-1].left == 0
    assert max(map(len, sent)) <= PART_BYTES_MAX + 16


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 16_383, 16_384, 70_000])
def test_an_update_alone_in_its_frame_is_read_like_among_others(size: int) -> None:
    update = bytes(size)
    frame = encode_update(update)
    assert frame == encode(Update(update))
    assert decode(frame) == [Update(update)]
    assert decode(frame + frame) == [Update(update), Update(update)]


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        ("0002", "W-3"),  # no length
        ("000202aa", "W-3"),  # one byte too few
        ("000200aa", "W-3"),  # too many: another message begins
        ("00028100aa", "W-2"),  # a length that is written too long
        ("000281", "W-3"),  # half a length
        ("00028001" + "aa" * 127, "W-3"),
    ],
)
def test_an_update_alone_in_its_frame_breaks_the_same_rules(
    frame: str, rule: str
) -> None:
    with pytest.raises(ProtocolError, match=rule):
        decode(bytes.fromhex(frame))
