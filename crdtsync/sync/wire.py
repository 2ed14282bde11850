"""The wire format: messages to and from bytes (docs: protocol, W-1 to W-12).

Layer 1 is y-protocols byte for byte; layer 2 is `crdtsync.v1`. It knows no connection,
no document and no order of messages; anything malformed raises `ProtocolError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, Literal, TypeAlias

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject
from crdtsync.sync.bodies import (
    hello_from_json,
    hello_to_json,
    json_from_text,
    json_to_text,
)
from crdtsync.sync.lib0 import Reader, Writer
from crdtsync.sync.messages import (
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
)

__all__ = [
    "FRAME_BYTES_MAX",
    "LAYER_2",
    "MESSAGES_PER_FRAME_MAX",
    "PART_BYTES_MAX",
    "SUBPROTOCOL",
    "Ack",
    "AuthDenied",
    "Awareness",
    "Check",
    "ClientState",
    "Evict",
    "Hello",
    "Lease",
    "Limits",
    "Message",
    "Nack",
    "Part",
    "Ping",
    "Pong",
    "QueryAwareness",
    "SyncStep1",
    "SyncStep2",
    "Unknown",
    "Update",
    "decode",
    "encode",
    "encode_update",
    "short_update",
    "split",
]

SUBPROTOCOL: Final = "crdtsync.v1"
"""Offered in the WebSocket handshake by who speaks layer 2."""

FRAME_BYTES_MAX: Final = 128 * 1024 * 1024
"""Largest frame, whole or in parts: a session of 100,000 messages takes 44 MB."""

PART_BYTES_MAX: Final = 256 * 1024
"""Larger frames travel in parts, so that nobody is taken for dead meanwhile."""

MESSAGES_PER_FRAME_MAX: Final = 1000
"""Messages in one frame; more are a fault of the peer."""

_SYNC, _AWARENESS, _AUTH, _QUERY = 0, 1, 2, 3
_STEPS: Final = (SyncStep1, SyncStep2, Update)
_DENIED: Final = 0
_LAYER_2_FIRST: Final = 100

_UPDATE: Final = b"\0\2"
_MORE: Final = 0x80
# Where an update begins whose length takes one byte, or two.
_SHORT_AT: Final = 3
_MIDDLE_AT: Final = 4

_Field: TypeAlias = Literal["number", "flag", "text", "bytes", "json", "hello"]

LAYER_2: Final[Mapping[int, tuple[type[Message], tuple[_Field, ...]]]] = {
    100: (Hello, ("hello",)),
    101: (Ack, ("number",)),
    102: (Nack, ("number", "text", "text")),
    103: (Lease, ("json",)),
    104: (Evict, ("number", "number", "flag")),
    105: (Ping, ("number",)),
    106: (Pong, ("number",)),
    107: (Check, ("bytes",)),
    108: (Part, ("number", "bytes")),
}
"""Types of layer 2, and their fields in the order in which they are written."""

_TYPES: Final = {kind: number for number, (kind, _) in LAYER_2.items()}


def encode(*messages: Message) -> bytes:
    """Encode messages into one frame.

    Raises:
        ValueError: A number is out of range, a text holds half a character, a JSON
            body is too large, or an `Unknown` was given.
    """
    out = Writer()
    for message in messages:
        _write(out, message)
    return out.done()


def encode_update(update: bytes) -> bytes:
    """Encode an update into a frame; what a relay does most."""
    size = len(update)
    if size < _MORE:
        return b"\0\2%c%b" % (size, update)
    return encode(Update(update))


def split(frame: bytes) -> tuple[bytes, ...]:
    """Split a frame into those to be sent, for a peer that speaks layer 2 (W-10)."""
    if len(frame) <= PART_BYTES_MAX:
        return (frame,)
    return tuple(
        encode(
            Part(
                max(0, len(frame) - at - PART_BYTES_MAX),
                frame[at : at + PART_BYTES_MAX],
            )
        )
        for at in range(0, len(frame), PART_BYTES_MAX)
    )


def decode(frame: bytes) -> list[Message]:
    """Decode every message of a frame; it is consumed exactly.

    Raises:
        ProtocolError: The frame breaks a rule; close the connection.
    """
    if not frame or len(frame) > FRAME_BYTES_MAX:
        raise ProtocolError("W-1: a frame is empty or too large")
    if update := short_update(frame):
        return [Update(update)]
    reader = Reader(frame)
    messages: list[Message] = []
    while not reader.at_end:
        if len(messages) == MESSAGES_PER_FRAME_MAX:
            raise ProtocolError("W-1: too many messages in one frame")
        messages.append(_read(reader))
    return messages


def short_update(frame: bytes) -> bytes:
    """Return the update that is the whole frame, as nearly always; else nothing.

    It has at least one byte, and fewer than 16 KiB.
    """
    if not frame.startswith(_UPDATE):
        return b""
    size = len(frame)
    if size > _SHORT_AT and frame[2] == size - _SHORT_AT < _MORE:
        return frame[_SHORT_AT:]
    if size > _MIDDLE_AT and frame[2] >= _MORE > frame[3]:
        told = frame[2] - _MORE | frame[3] << 7
        return frame[_MIDDLE_AT:] if told == size - _MIDDLE_AT >= _MORE else b""
    return b""


def _read(reader: Reader) -> Message:
    kind = reader.number()
    if kind == _SYNC:
        return _read_sync(reader)
    if kind == _AWARENESS:
        return _read_awareness(Reader(reader.bytes()))
    if kind == _AUTH:
        if reader.number() != _DENIED:
            raise ProtocolError("W-5: an unknown message of the auth protocol")
        return AuthDenied(reader.text())
    if kind == _QUERY:
        return QueryAwareness()
    if kind < _LAYER_2_FIRST:
        # Layer 1 gives no lengths, so that nothing behind it can be read (W-6).
        reader.skip()
        return Unknown(kind)
    body = Reader(reader.bytes())
    return _read_layer_2(kind, body) if kind in LAYER_2 else Unknown(kind)


def _read_sync(reader: Reader) -> Message:
    step = reader.number()
    if step >= len(_STEPS):
        raise ProtocolError("W-5: an unknown step of the sync protocol")
    return _STEPS[step](reader.bytes())


def _read_awareness(reader: Reader) -> Message:
    states = []
    for _ in range(reader.number()):
        client, clock, text = reader.number(), reader.number(), reader.text()
        states.append(ClientState(client, clock, None if text == "null" else text))
    if not reader.at_end:
        raise ProtocolError("W-1: bytes are left over in an awareness message")
    return Awareness(tuple(states))


def _read_layer_2(kind: int, body: Reader) -> Message:
    made, layout = LAYER_2[kind]
    # What a later version has added behind the known fields is left unread (W-7).
    values: list[Any] = [_FIELD_READERS[form](body) for form in layout]
    # A HELLO comes whole out of its JSON body.
    message: Message = values[0] if made is Hello else made(*values)
    return message


def _read_json(body: Reader) -> JsonObject:
    return json_from_text(body.text())


def _read_hello(body: Reader) -> Hello:
    return hello_from_json(_read_json(body))


_FIELD_READERS: Final[Mapping[_Field, Callable[[Reader], object]]] = {
    "number": Reader.number,
    "flag": lambda body: body.number() != 0,
    "text": Reader.text,
    "bytes": Reader.bytes,
    "json": _read_json,
    "hello": _read_hello,
}


def _write(out: Writer, message: Message) -> None:
    match message:
        case SyncStep1(data):
            _write_sync(out, 0, data)
        case SyncStep2(data):
            _write_sync(out, 1, data)
        case Update(data):
            _write_sync(out, 2, data)
        case Awareness(states):
            _write_awareness(out, states)
        case AuthDenied(reason):
            out.number(_AUTH)
            out.number(_DENIED)
            out.text(reason)
        case QueryAwareness():
            out.number(_QUERY)
        case _:
            _write_layer_2(out, message)


def _write_sync(out: Writer, step: int, data: bytes) -> None:
    out.number(_SYNC)
    out.number(step)
    out.bytes(data)


def _write_awareness(out: Writer, states: tuple[ClientState, ...]) -> None:
    body = Writer()
    body.number(len(states))
    for entry in states:
        body.number(entry.client)
        body.number(entry.clock)
        body.text("null" if entry.state is None else entry.state)
    out.number(_AWARENESS)
    out.bytes(body.done())


def _write_layer_2(out: Writer, message: Message) -> None:
    kind = _TYPES.get(type(message))
    if kind is None:
        raise ValueError("a message of an unknown type cannot be written")
    body = Writer()
    _, layout = LAYER_2[kind]
    for form, field in zip(layout, fields(message), strict=False):
        if form == "hello":
            _FIELD_WRITERS[form](body, message)
        else:
            _FIELD_WRITERS[form](body, getattr(message, field.name))
    out.number(kind)
    out.bytes(body.done())


_FIELD_WRITERS: Final[Mapping[_Field, Callable[[Writer, Any], None]]] = {
    "number": Writer.number,
    "flag": lambda body, value: body.number(int(value)),
    "text": Writer.text,
    "bytes": Writer.bytes,
    "json": lambda body, value: body.text(json_to_text(value)),
    "hello": lambda body, value: body.text(json_to_text(hello_to_json(value))),
}
