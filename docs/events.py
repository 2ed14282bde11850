"""Writes docs/reference/events.md from the types and docstrings of crdtsync/events.py.

Run `uv run python docs/events.py` after changing an event; a test says when.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from crdtsync import entities, events

PAGE = Path(__file__).parent / "reference" / "events.md"

HEAD = """# Events

Written by `docs/events.py` from the code; a test keeps it true.

Every client reads the same events: windows, plain lines, JSON lines (`--json`) and
Python. Version 1: types and fields are only ever added. A JSON line is

```json
{"v":1,"seq":812,"ts":"...","session":"...","type":"title","actor":{},"data":{}}
```

`seq` is the log's sequence number after which the event holds; the events of one batch
share it, and `watch --since SEQ` goes on after it. `ts` is when this window noticed the
event. `actor` says who caused it and is left out if nobody did. `data` holds the fields
below; empty fields are left out of messages, and only of those. Times are ISO 8601 in
UTC, and for people only. Types marked *delta* come only with `--deltas`.

A stream begins with `session.opened`; `session.closed` ends it, if the session ends
before its reader does. Each `turn.started` is followed by one `turn.ended`, also after
a crash. What comes in at once, such as the turns of a machine that was offline, is told
in reading order: prompt, turn, messages with each tool behind the one after which it
ran, the end of the turn. After `reset` what was shown no longer holds: read the session
anew.
"""

WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "whole number",
    "int | None": "whole number or null",
    "JsonValue": "any JSON",
    "tuple[str, ...]": "list of texts",
    "tuple[JsonValue, ...]": "list",
    "tuple[QueuedPrompt, ...]": "list of queued prompts",
    "tuple[Option, ...]": "list of options",
    "Mapping[str, JsonValue]": "object",
    "Mapping[str, str]": "object of texts",
    "Message": "message",
    "ToolCall": "tool call",
    "Approval": "approval",
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for body in get_args(events.Body):
        mark = " *(delta)*" if body.type in events.DELTA_TYPES else ""
        parts.append(f"## `{body.type}`{mark}\n\n{_described(body)}")
    parts.append("# Values\n\nWhat the fields above hold.")
    for name, kind in (
        ("Actor", events.Actor),
        ("Message", entities.Message),
        ("Queued prompt", events.QueuedPrompt),
        ("Tool call", entities.ToolCall),
        ("Approval", entities.Approval),
        ("Option", entities.Option),
    ):
        parts.append(f"## {name}\n\n{_described(kind)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _described(kind: type) -> str:
    text = inspect.cleandoc(kind.__doc__ or "")
    about, _, listed = text.partition("\nAttributes:\n")
    meanings = _meanings(listed)
    rows = [
        f"| `{field.name}` | {_type(str(field.type))} | {meaning} |"
        for field in fields(kind)
        for meaning in [meanings.get(field.name, "")]
    ]
    table = "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])
    return f"{' '.join(about.split())}\n\n{table}" if rows else about


def _meanings(listed: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if begin := re.match(r"    (\w+): (.*)", line):
            name = begin.group(1)
            found[name] = begin.group(2)
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return {key: text.replace("|", "\\|") for key, text in found.items()}


def _type(annotation: str) -> str:
    if annotation.startswith("Literal["):
        return " or ".join(
            f"`{word}`" for word in re.findall(r'[\'"](\w+)', annotation)
        )
    return WORDS.get(annotation, f"`{annotation}`")


if __name__ == "__main__":
    main()
