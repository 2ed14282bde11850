"""The json and jsonl forms of a session's content; they hold all that the session says.

One JSON object, or one line per thing with an end mark, so that a file that was cut
short is noticed. docs/reference/exports.md describes both for other programs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

from crdtsync import schema
from crdtsync.errors import DataError, NewerFormat, NotASession
from crdtsync.export.content import Content, object_of
from crdtsync.sanitize import escape_json
from crdtsync.schema import JsonObject, JsonValue, as_text

__all__ = ["decode_json", "decode_jsonl", "encode_json", "encode_jsonl", "is_jsonl"]

FORMAT: Final = "crdtsync-session"
VERSION: Final = 1

# The name of a thing on a jsonl line, by root; `messages` and `meta` are special.
_LINES: Final[Mapping[str, str]] = {
    schema.PARTICIPANTS: "participant",
    schema.TEXTS: "text",
    schema.TURNS: "turn",
    schema.TOOLS: "tool",
    schema.APPROVALS: "approval",
    schema.QUEUE: "queue",
    schema.LEASE: "lease",
    schema.DRAFTS: "draft",
}
_ROOTS: Final = {name: root for root, name in _LINES.items()}

_DEPTH_MAX: Final = 68
"""64 for a value, as admission allows it (T1-8), and 4 for what it is kept in."""
_WHOLE_MAX: Final = 2**63 - 1

_CUT_SHORT: Final = "Copy the file again, or export the session again."


def encode_json(content: Content) -> bytes:
    """Write one indented JSON object; bodies of messages stand with their headers."""
    shown = _with_bodies(content)
    found: JsonObject = {"format": FORMAT, "version": VERSION}
    found.update({root: shown[root] for root in schema.ROOTS if shown.get(root)})
    text = json.dumps(found, ensure_ascii=False, indent=1)
    return (escape_json(text) + "\n").encode()


def encode_jsonl(content: Content) -> bytes:
    """Write one JSON object per line, the last one an end mark."""
    lines = list(_lines(_with_bodies(content)))
    lines.append({"type": "end", "lines": len(lines) + 1})
    texts = (json.dumps(line, ensure_ascii=False) for line in lines)
    return "".join(escape_json(text) + "\n" for text in texts).encode()


def decode_json(data: bytes) -> Content:
    """Read what `encode_json` wrote, or another program in its way.

    Raises:
        NotASession: It is some other JSON.
        NewerFormat: A later version wrote it.
        DataError: It is damaged or cut short.
    """
    found = object_of(_parse(data, data))
    _check_head(found)
    content: dict[str, JsonValue] = {}
    for root, kind in schema.ROOTS.items():
        value = found.get(root)
        wanted = list if kind == "array" else dict
        if value is not None and not isinstance(value, wanted):
            raise DataError(f"`{root}` is not what it should be", hint=_CUT_SHORT)
        content[root] = wanted() if value is None else value
    return _without_bodies(content)


def decode_jsonl(data: bytes) -> Content:
    """Read what `encode_jsonl` wrote; lines of unknown types are skipped.

    Raises:
        NotASession: It is some other file of lines.
        NewerFormat: A later version wrote it.
        DataError: It is damaged or cut short.
    """
    lines = [line for line in data.splitlines() if line.strip()]
    parsed = [
        object_of(_parse(line, lines[0], f"line {number}: "))
        for number, line in enumerate(lines, 1)
    ]
    _check_head(parsed[0] if parsed else {})
    if parsed[-1] != {"type": "end", "lines": len(parsed)}:
        raise DataError(
            "the file is cut short: its end mark is missing", hint=_CUT_SHORT
        )
    content: dict[str, JsonValue] = {schema.META: parsed[0].get("meta")}
    messages: list[JsonValue] = []
    content[schema.MESSAGES] = messages
    maps: dict[str, JsonObject] = {root: {} for root in _LINES}
    for line in parsed[1:-1]:
        kind = as_text(line.get("type"))
        if kind == "message":
            messages.append(line.get("message"))
        elif kind in _ROOTS:
            maps[_ROOTS[kind]][as_text(line.get("id"))] = line.get("value")
    content.update(maps)
    return _without_bodies(content)


def is_jsonl(head: bytes) -> bool:
    """Tell the two forms apart by the first bytes of a file."""
    return re.match(rb'\s*\{\s*"type"\s*:\s*"session"', head) is not None


def _lines(content: Content) -> Iterator[JsonObject]:
    yield {
        "type": "session",
        "format": FORMAT,
        "version": VERSION,
        "meta": content.get(schema.META),
    }
    before, after = _of_root(content, schema.PARTICIPANTS), list(_LINES)[1:]
    yield from before
    for message in _listed(content):
        yield {"type": "message", "message": message}
    for root in after:
        yield from _of_root(content, root)


def _of_root(content: Content, root: str) -> Iterator[JsonObject]:
    for key, value in object_of(content.get(root)).items():
        yield {"type": _LINES[root], "id": key, "value": value}


def _with_bodies(content: Content) -> Content:
    """Put each streamed body to its header, as `body`."""
    texts = dict(object_of(content.get(schema.TEXTS)))
    messages: list[JsonValue] = []
    for header in _listed(content):
        if not isinstance(header, dict):
            messages.append(header)
        elif {"body", "verbatim"} & header.keys():
            # A key of a later version that would be taken for ours.
            messages.append({"verbatim": header})
        else:
            key = as_text(header.get("id"))
            body: JsonObject = {"body": texts.pop(key)} if key in texts else {}
            messages.append({**header, **body})
    return {**content, schema.MESSAGES: messages, schema.TEXTS: texts}


def _without_bodies(content: Content) -> Content:
    texts = dict(object_of(content.get(schema.TEXTS)))
    messages: list[JsonValue] = []
    for message in _listed(content):
        header = message
        if isinstance(message, dict) and "verbatim" in message:
            header = message["verbatim"]
        elif isinstance(message, dict) and "body" in message:
            texts.setdefault(as_text(message.get("id")), message["body"])
            header = {k: v for k, v in message.items() if k != "body"}
        messages.append(header)
    return {**content, schema.MESSAGES: messages, schema.TEXTS: texts}


def _listed(content: Content) -> list[JsonValue]:
    found = content.get(schema.MESSAGES)
    return found if isinstance(found, list) else []


def _check_head(found: JsonObject) -> None:
    if found.get("format") != FORMAT:
        raise _foreign()
    version = found.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError("the file does not say its version", hint=_CUT_SHORT)
    if version > VERSION:
        raise NewerFormat(
            f"the file has version {version}; this program reads up to {VERSION}",
            hint="Update crdtsync and import the file again.",
        )


def _foreign() -> NotASession:
    return NotASession(
        "this is no exported session",
        hint="Import what `crdtsync export --format json`, jsonl or ydoc wrote.",
    )


def _parse(data: bytes, whole: bytes, where: str = "") -> JsonValue:
    try:
        found: JsonValue = json.loads(data.decode(), parse_constant=_refuse_constant)
        _check_value(found, 0)
    except (ValueError, RecursionError) as error:
        if FORMAT.encode() not in whole:
            raise _foreign() from error
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(
            f"{where}the file is damaged or cut short: {reason}", hint=_CUT_SHORT
        ) from error
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_value(value: JsonValue, depth: int) -> None:
    """Refuse what a document cannot hold, before it meets the native code.

    Raises:
        ValueError: A number is too large, a text is no Unicode, or it is too deep.
    """
    if depth > _DEPTH_MAX:
        raise ValueError("nested too deeply")
    match value:
        case str():
            value.encode()
        case int() | float():
            _check_number(value)
        case dict():
            "".join(value).encode()
            for item in value.values():
                _check_value(item, depth + 1)
        case list():
            for item in value:
                _check_value(item, depth + 1)


def _check_number(value: float) -> None:
    fits = isinstance(value, float) or abs(value) <= _WHOLE_MAX
    if not fits or not math.isfinite(value):
        raise ValueError("a number is too large")
