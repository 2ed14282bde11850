"""Plain WebSocket messages, read and written as wsproto does it."""

from __future__ import annotations

import pytest
from crdtsync_relay.framing import end_of_plain, header, payload
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, Event, Ping, TextMessage

SIZES = [0, 1, 3, 125, 126, 127, 1000, 65_535]


def from_client(event: Event) -> bytes:
    return bytes(Connection(ConnectionType.CLIENT).send(event))


@given(st.binary(max_size=300), st.binary(max_size=9), st.binary(max_size=9))
def test_a_message_is_read_wherever_it_stands(
    said: bytes, before: bytes, after: bytes
) -> None:
    data = before + from_client(BytesMessage(data=said)) + after
    end = end_of_plain(data, len(before))
    assert end == len(data) - len(after)
    assert payload(data, len(before), end) == said


@pytest.mark.parametrize("size", SIZES)
def test_a_part_of_a_message_ends_behind_the_data(size: int) -> None:
    whole = from_client(BytesMessage(data=bytes(size)))
    assert end_of_plain(whole, 0) == len(whole)
    for have in {1, 2, 3, 4, 5, len(whole) - 1}:
        assert end_of_plain(whole[:have], 0) > have


@pytest.mark.parametrize("size", [*SIZES, 65_536, 100_000])
def test_a_message_is_written_as_others_do(size: int) -> None:
    said = bytes(size)
    server = Connection(ConnectionType.SERVER)
    assert header(size) + said == server.send(BytesMessage(data=said))


@pytest.mark.parametrize(
    "data",
    [
        from_client(TextMessage(data="text")),
        from_client(Ping(payload=b"x")),
        from_client(BytesMessage(data=b"a part", message_finished=False)),
        from_client(BytesMessage(data=bytes(65_536))),
        bytes(Connection(ConnectionType.SERVER).send(BytesMessage(data=b"unmasked"))),
        b"\xc2\x81keyyx",
        b"\x82\xfe\x00\x05keyyxxxxx",
        b"",
    ],
    ids=["text", "ping", "part", "large", "unmasked", "reserved", "long", "nothing"],
)
def test_anything_else_is_not_plain(data: bytes) -> None:
    assert end_of_plain(data, 0) == 0
