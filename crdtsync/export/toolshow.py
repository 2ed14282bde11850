"""What a tool call got and gave, as pieces of text for people; no markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Final

from crdtsync.entities import ToolCall
from crdtsync.sanitize import clean_line, clean_text
from crdtsync.schema import JsonValue, as_object, as_text

__all__ = ["DETAIL_CHARS_MAX", "Detail", "details_of"]

DETAIL_CHARS_MAX: Final = 20_000
"""More of one piece is not shown to people; json, jsonl and ydoc keep all of it."""

_DIFF_LINES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Detail:
    """One piece.

    Attributes:
        label: "Input", "Output", "Change of src/a.py".
        text: Safe to show, at most `DETAIL_CHARS_MAX` and a remark.
        language: For highlighting: "json", "diff", "sh" or "".
    """

    label: str
    text: str
    language: str = ""


def details_of(tool: ToolCall) -> tuple[Detail, ...]:
    """List what a tool call got and gave."""
    return tuple(_all(tool))


def _all(tool: ToolCall) -> Iterator[Detail]:
    if places := ", ".join(filter(None, map(_place, tool.locations))):
        yield Detail("Files", places)
    if tool.input is not None and tool.input not in ({}, [], ""):
        yield _input(tool.input)
    results = [one for block in tool.content for one in _content(as_object(block))]
    yield from results
    if tool.output.strip() and not _is_told(tool.output, results):
        yield Detail("Output", _bounded(tool.output))


def _is_told(output: str, results: list[Detail]) -> bool:
    """Whether an output only wraps, in JSON, a text that is a result already."""
    try:
        value = json.loads(output)
    except ValueError:
        value = output
    values = list(value.values()) if isinstance(value, dict) else [value]
    told = {result.text for result in results}
    return all(isinstance(one, str) and _bounded(one) in told for one in values)


def _input(value: JsonValue) -> Detail:
    if isinstance(value, dict):
        command = value.get("command")
        if isinstance(command, str) and len(value) == 1:
            return Detail("Command", _bounded(command), "sh")
    if isinstance(value, str):
        return Detail("Input", _bounded(value))
    return Detail("Input", _bounded(_json(value)), "json")


def _content(block: dict[str, JsonValue]) -> Iterator[Detail]:
    match as_text(block.get("type")):
        case "diff":
            path = clean_line(as_text(block.get("path")))
            old, new = as_text(block.get("oldText")), as_text(block.get("newText"))
            yield Detail(f"Change of {path}", _bounded(_diff(old, new)), "diff")
        case "content":
            inner = as_object(block.get("content"))
            text = as_text(inner.get("text"))
            if text.strip():
                yield Detail("Result", _bounded(text))
            elif inner and as_text(inner.get("type")) != "text":
                kind = clean_line(as_text(inner.get("type"))) or "something"
                yield Detail("Result", f"({kind}, not shown here)")
        case "terminal":
            pass
        case _ if block:
            yield Detail("Content", _bounded(_json(block)), "json")


def _diff(old: str, new: str) -> str:
    before, after = clean_text(old).splitlines(), clean_text(new).splitlines()
    if len(before) + len(after) > _DIFF_LINES_MAX:
        return "\n".join(f"+{line}" for line in after)
    lines = list(unified_diff(before, after, lineterm="", n=3))
    return "\n".join(lines[2:])


def _place(value: JsonValue) -> str:
    found = as_object(value)
    path, line = clean_line(as_text(found.get("path"))), found.get("line")
    return f"{path}:{line}" if path and isinstance(line, int) else path


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _bounded(text: str) -> str:
    text = clean_text(text).strip("\n")
    if len(text) <= DETAIL_CHARS_MAX:
        return text
    left = len(text) - DETAIL_CHARS_MAX
    return f"{text[:DETAIL_CHARS_MAX]}\n[{left:,} more characters are not shown]"
