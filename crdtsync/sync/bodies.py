"""JSON bodies of messages: bounded, strict, and HELLO as an object (W-8)."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from crdtsync.errors import ProtocolError
from crdtsync.schema import JsonObject, JsonValue, plain
from crdtsync.sync.lib0 import NUMBER_MAX
from crdtsync.sync.messages import Hello, Limits

__all__ = [
    "JSON_BYTES_MAX",
    "JSON_DEPTH_MAX",
    "hello_from_json",
    "hello_to_json",
    "json_from_text",
    "json_to_text",
]

JSON_BYTES_MAX: Final = 64 * 1024
"""Largest JSON body of a message, in UTF-8 bytes."""

JSON_DEPTH_MAX: Final = 16
"""Deepest nesting of such a body."""

FEATURES_MAX: Final = 64
"""Features one HELLO may name."""

_MARKS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{0,128}", re.ASCII)
_TEXT_CHARS_MAX: Final = 128


def json_to_text(body: JsonObject) -> str:
    """Write a JSON body.

    Raises:
        ValueError: It is too large or too deep to be read by the other end.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if len(text.encode()) > JSON_BYTES_MAX or _is_deep(text):
        raise ValueError("the body of a message is too large or nested too deeply")
    return text


def json_from_text(text: str, bytes_max: int = JSON_BYTES_MAX) -> JsonObject:
    """Read a JSON body.

    Raises:
        ProtocolError: It is too large, too deep, or no JSON object.
    """
    # A character is at least a byte.
    if len(text) > bytes_max or len(text.encode()) > bytes_max:
        raise ProtocolError("W-8: a body is too long")
    if _is_deep(text):
        raise ProtocolError("W-8: a body is nested too deeply")
    try:
        found = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        # Escapes can hold halves of characters, which nobody could send on.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ProtocolError("W-8: a body is no JSON") from error
    if not isinstance(found, dict):
        raise ProtocolError("W-8: a body is no JSON object")
    return {key: plain(value) for key, value in found.items()}


def _is_deep(text: str) -> bool:
    """Whether it is nested too deeply, without building anything."""
    depth = 0
    for found in _MARKS.finditer(text):
        mark = found.group()
        if mark in "[{":
            depth += 1
            if depth > JSON_DEPTH_MAX:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def hello_to_json(hello: Hello) -> JsonObject:
    """Write a HELLO as an object."""
    limits = hello.limits
    return {
        "protocol": hello.protocol,
        "oldest": hello.oldest,
        "end": hello.end,
        "document": hello.document,
        "role": hello.role,
        "participant": hello.participant,
        "limits": {
            "frame_bytes": limits.frame_bytes,
            "presence_bytes": limits.presence_bytes,
            "messages_per_s": limits.messages_per_s,
            "bytes_per_s": limits.bytes_per_s,
        },
        "features": [*sorted(hello.features)],
        "program": hello.program,
        "relay": hello.relay,
    }


def hello_from_json(body: JsonObject) -> Hello:
    """Read a HELLO; what it does not say has its default, the unknown is ignored.

    Raises:
        ProtocolError: Something that is known is of the wrong kind (W-9).
    """
    end = _text(body, "end") or "window"
    if end not in ("relay", "window"):
        raise ProtocolError("W-9: a HELLO of something that is no relay or window")
    limits = body.get("limits", {})
    if not isinstance(limits, dict):
        raise ProtocolError("W-9: the limits of a HELLO are no object")
    return Hello(
        protocol=_number(body, "protocol"),
        oldest=_number(body, "oldest", 1),
        end="relay" if end == "relay" else "window",
        document=_id(body, "document"),
        role=_id(body, "role"),
        participant=_id(body, "participant"),
        limits=Limits(
            frame_bytes=_number(limits, "frame_bytes", 0),
            presence_bytes=_number(limits, "presence_bytes", 0),
            messages_per_s=_number(limits, "messages_per_s", 0),
            bytes_per_s=_number(limits, "bytes_per_s", 0),
        ),
        features=_features(body.get("features", [])),
        program=_text(body, "program"),
        relay=_id(body, "relay"),
    )


def _number(body: JsonObject, key: str, default: int | None = None) -> int:
    value = body.get(key, default)
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ProtocolError(f"W-9: {key} of a HELLO is no number")
    return value


def _text(body: JsonObject, key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX:
        raise ProtocolError(f"W-9: {key} of a HELLO is no short text")
    return value


def _id(body: JsonObject, key: str) -> str:
    value = _text(body, key)
    if not _ID.fullmatch(value):
        raise ProtocolError(f"W-9: {key} of a HELLO is no id")
    return value


def _features(found: JsonValue) -> frozenset[str]:
    if not isinstance(found, list) or len(found) > FEATURES_MAX:
        raise ProtocolError("W-9: the features of a HELLO are no short list")
    names = [name for name in found if isinstance(name, str)]
    if len(names) < len(found):
        raise ProtocolError("W-9: a feature of a HELLO is no text")
    return frozenset(names)


def is_presence(text: str, bytes_max: int) -> bool:
    """Whether a presence state is a JSON object that can be passed on."""
    if len(text) > bytes_max or len(text.encode()) > bytes_max:
        return False
    try:
        json_from_text(text)
    except ProtocolError:
        return False
    return True
