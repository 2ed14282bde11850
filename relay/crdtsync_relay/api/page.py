"""The OpenAPI document as a page for people: one HTML file, no script, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt

from crdtsync.schema import JsonObject

__all__ = ["POLICY", "render_page"]

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
"""The page needs no more than its own styles."""

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem;
  padding: 1rem 1.5rem 4rem; }
h1 { margin-bottom: 0; }
h2 { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
code, pre { background: var(--soft); border-radius: 4px; font: 14px/1.5 ui-monospace,
  monospace; padding: .1em .3em; }
pre { overflow-x: auto; padding: .8em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .3em .6em .3em 0;
  text-align: left; vertical-align: top; }
.method { display: inline-block; font-weight: 700; min-width: 4.5em; }
nav li { list-style: none; } nav ul { padding: 0; }
.soft { opacity: .7; }
"""

_markdown = MarkdownIt("commonmark", {"html": False})


def render_page(document: JsonObject) -> str:
    """Write the page."""
    return "\n".join(_page(document)) + "\n"


def _page(document: Any) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(info['title'])}: HTTP API</title>"
    yield f"<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(info['title'])}: HTTP API</h1>"
    yield f'<p class="soft">{escape(info["version"])} · '
    yield '<a href="openapi.json">openapi.json</a></p>'
    yield _markdown.render(info["description"])
    base = document["servers"][0]["url"]
    operations = [
        (method.upper(), base + path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    yield "<nav><ul>"
    for method, path, operation in operations:
        name, about = escape(operation["operationId"]), escape(operation["summary"])
        yield f'<li><span class="method">{method}</span> <a href="#{name}">'
        yield f"<code>{escape(path)}</code></a> {about}</li>"
    yield "</ul></nav>"
    for each in operations:
        yield from _operation(*each)
    yield "<h1>What answers hold</h1>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2>'
        yield from _schema(schema)
    yield "</body>\n</html>"


def _operation(method: str, path: str, operation: Any) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<h2 id="{name}"><span class="method">{method}</span> '
    yield f"<code>{escape(path)}</code></h2>"
    yield f"<p><strong>{escape(operation['summary'])}.</strong></p>"
    yield _markdown.render(operation["description"])
    if operation["parameters"]:
        yield "<h3>Parameters</h3>"
        yield from _table(
            (
                parameter["name"],
                f"{parameter['in']}, {_kind(parameter['schema'])}"
                f"{', needed' if parameter['required'] else ''}",
                parameter["description"],
            )
            for parameter in operation["parameters"]
        )
    if "requestBody" in operation:
        yield "<h3>Body</h3>"
        content = operation["requestBody"]["content"]
        yield from _schema(content["application/json"]["schema"])
    yield "<h3>Answers</h3><table>"
    for status, response in operation["responses"].items():
        yield f"<tr><td><code>{escape(status)}</code></td>"
        yield f"<td>{escape(response['description'])} {_contents(response)}</td></tr>"
    yield "</table>"


def _contents(response: Any) -> str:
    return ", ".join(
        f"<code>{escape(kind)}</code> {_kind_link(content.get('schema', {}))}"
        for kind, content in response.get("content", {}).items()
    )


def _schema(schema: Any) -> Iterator[str]:
    if about := schema.get("description"):
        yield f"<p>{escape(about)}</p>"
    needed = schema.get("required", ())
    yield from _table(
        (
            name,
            f"{_kind(field)}{', needed' if name in needed else ''}",
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    )


def _table(rows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    yield "<table>"
    for name, kind, about in rows:
        yield f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td>"
        yield f"<td>{_markdown.renderInline(about)}</td></tr>"
    yield "</table>"


def _kind(schema: Any) -> str:
    """Say in a few words what a value is."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [str(schema.get("type", "any JSON"))]
    if "enum" in schema:
        words = [" or ".join(schema["enum"])]
    if "minimum" in schema and "maximum" in schema:
        words.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if "default" in schema:
        words.append(f"{json.dumps(schema['default'])} by default")
    return ", ".join(words)


def _kind_link(schema: Any) -> str:
    if "$ref" not in schema:
        return escape(_kind(schema)) if schema else ""
    name = escape(_kind(schema))
    return f'<a href="#{name}">{name}</a>'
