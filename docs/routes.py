"""Writes docs/reference/http-api.md from the OpenAPI document of a relay.

Run `uv run python docs/routes.py` after changing a route; a test says when.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from crdtsync_relay.server import bind, run_relay
from crdtsync_relay.settings import Settings

PAGE = Path(__file__).parent / "reference" / "http-api.md"
START = "## Routes\n"


def main() -> None:
    """Write the routes under what is written by hand."""
    head = PAGE.read_text(encoding="utf-8").partition(START)[0]
    with tempfile.TemporaryDirectory() as data:
        document = anyio.run(fetch, Path(data))
    PAGE.write_text(head + routes(document), encoding="utf-8")


async def fetch(data: Path) -> dict[str, Any]:
    """Ask a relay for its document."""
    stop, started = anyio.Event(), anyio.Event()
    found: dict[str, Any] = {}
    settings = Settings(data, port=0)
    with bind(settings.host, settings.port) as listener:
        address = listener.getsockname()
        async with anyio.create_task_group() as group:
            group.start_soon(
                partial(run_relay, listener=listener.dup()),
                settings,
                lambda _: started.set(),
                stop,
            )
            await started.wait()
            found = await anyio.to_thread.run_sync(_get, address)
            stop.set()
    return found


def _get(address: tuple[str, int]) -> dict[str, Any]:
    connection = HTTPConnection(*address)
    connection.request("GET", "/api/v1/openapi.json")
    document: dict[str, Any] = json.load(connection.getresponse())
    connection.close()
    return document


def routes(document: dict[str, Any]) -> str:
    """The part of the page that is made of the document."""
    base = document["servers"][0]["url"]
    parts = [f"{START}\nWritten by `docs/routes.py` from the OpenAPI document."]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {base}{path}", operation)
    parts.append("## What answers hold")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f"### {name}\n\n{schema['description']}\n\n{_fields(schema)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _operation(title: str, operation: dict[str, Any]) -> list[str]:
    parts = [f"### `{title}`", f"{operation['summary']}. {operation['description']}"]
    if found := operation["parameters"]:
        rows = (
            (each["name"], f"{each['in']}: {_kind(each['schema'])}", _about(each))
            for each in found
        )
        parts.append(_table("parameter", rows))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        parts.append(_fields(content["schema"], "body"))
    answers = ((s, _content(r), r["description"]) for s, r in _answers(operation))
    parts.append(_table("answer", answers))
    return parts


def _answers(operation: dict[str, Any]) -> list[tuple[str, Any]]:
    """The answers that are no errors; those are the same everywhere."""
    found = operation["responses"].items()
    return [(status, each) for status, each in found if status < "400"]


def _content(response: dict[str, Any]) -> str:
    found = response.get("content", {}).items()
    return ", ".join(_kind(c["schema"]) if "schema" in c else k for k, c in found)


def _fields(schema: dict[str, Any], head: str = "field") -> str:
    needed = schema.get("required", ())
    rows = [
        (name, _kind(field), f"{'' if name in needed else '*'}{_about(field)}")
        for name, field in schema["properties"].items()
    ]
    marked = [
        (n, k, f"*optional.* {a[1:]}" if a.startswith("*") else a) for n, k, a in rows
    ]
    return _table(head, marked)


def _about(field: dict[str, Any]) -> str:
    return str(field.get("description", ""))


def _table(head: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| {head} | what | meaning |", "|---|---|---|"]
    for name, kind, about in rows:
        cells = (text.replace("|", "\\|").strip() for text in (kind, about))
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [schema.get("type", "any JSON")]
    if "enum" in schema:
        words = [" or ".join(f"`{word}`" for word in schema["enum"])]
    if "maximum" in schema:
        words.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if "default" in schema:
        words.append(f"by default {json.dumps(schema['default'])}")
    return ", ".join(words)


if __name__ == "__main__":
    main()
