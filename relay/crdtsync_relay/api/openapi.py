"""The OpenAPI document, made from the operations that are mounted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from crdtsync.schema import JsonObject, JsonValue
from crdtsync_relay.api.fields import Field, Fields
from crdtsync_relay.api.operations import PATH, Content, Operation
from crdtsync_relay.api.schemas import SCHEMAS, ref

__all__ = ["BASE", "describe"]

BASE: Final = "/api/v1"
"""Under this path the API is mounted."""

_ABOUT: Final = """Read and write the sessions of a crdtsync relay.

Bodies are JSON. An error is `{"error": TEXT, "hint": TEXT}`. A token goes into the
header `Authorization: Bearer TOKEN`, and nowhere else. A relay on this machine that
asks nobody for a token answers requests of this machine without one.

A session that the token does not cover is answered like one that does not exist. What
is written through the API is written under the caller's name; the relay adds nothing.
No other web site may call it: it sends no CORS headers."""

_ERRORS: Final[Mapping[int, str]] = {
    400: "The request makes no sense.",
    401: "The token is missing, wrong, expired or revoked.",
    403: "Not with this token, or not from there.",
    404: "There is none, or not for this token.",
    409: "Not as things are now.",
    413: "The body is too large.",
    429: "Too much in too short a time.",
    503: "Not now.",
}

_RETRIED: Final = (429, 503)

_RIGHTS: Final[Mapping[str, str]] = {
    "anybody": "Needs no token.",
    "token": "For any good token.",
    "read": "For everybody in the session.",
    "note": "For owners and editors; for viewers only notes, where they may.",
    "write": "For owners and editors.",
    "approve": "For owners, and for editors who may approve.",
    "own": "For owners.",
}


def describe(operations: Sequence[Operation]) -> JsonObject:
    """Write the document."""
    paths: dict[str, JsonValue] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        assert isinstance(path, dict)  # noqa: S101 - made above
        path[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "crdtsync relay",
            "version": version("crdtsync"),
            "summary": "Sessions of AI agents that people share.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`cs1_` and 43 characters, from an invite or from "
                    "an owner.",
                }
            },
        },
    }


def _operation(operation: Operation) -> JsonObject:
    more = f"{operation.more}\n\n{_RIGHTS[operation.right]}".strip()
    found: JsonObject = {
        "operationId": operation.name,
        "summary": operation.about,
        "description": more,
        "parameters": [*_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        found["requestBody"] = {
            "required": any(field.needed for field in operation.body.values()),
            "content": {"application/json": {"schema": _body(operation.body)}},
        }
    if operation.right == "anybody":
        found["security"] = []
    return found


def _parameters(operation: Operation) -> list[JsonObject]:
    names = re.findall(r"{(\w+)}", operation.path)
    return [
        *(_parameter("path", name, PATH[name], needed=True) for name in names),
        *(_parameter("query", *item) for item in operation.query.items()),
        *(_parameter("header", *item) for item in operation.headers.items()),
    ]


def _parameter(
    place: str, name: str, field: Field, *, needed: bool = False
) -> JsonObject:
    schema = field.schema()
    return {
        "name": name,
        "in": place,
        "description": schema.pop("description"),
        "required": needed or field.needed,
        "schema": schema,
    }


def _body(fields: Fields) -> JsonObject:
    return {
        "type": "object",
        "properties": {name: field.schema() for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.needed],
        "additionalProperties": False,
    }


def _responses(operation: Operation) -> JsonObject:
    found = {str(code): _response(it) for code, it in operation.contents.items()}
    for status in sorted(_statuses(operation)):
        headers = {"Retry-After": "Seconds."} if status in _RETRIED else {}
        content = Content(_ERRORS[status], ref("Error"), headers)
        found[str(status)] = _response(content)
    return {**found}


def _statuses(operation: Operation) -> set[int]:
    """The errors that an operation may be answered with."""
    statuses = {400, 503, *operation.errors}
    if operation.right != "anybody":
        statuses |= {401, 403, 429}
    if "{" in operation.path:
        statuses.add(404)
    if operation.body is not None:
        statuses.add(413)
    return statuses


def _response(content: Content) -> JsonObject:
    found: JsonObject = {"description": content.about}
    if content.schemas:
        found["content"] = {
            kind: {"schema": schema} if schema else {}
            for kind, schema in content.schemas.items()
        }
    if content.headers:
        found["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in content.headers.items()
        }
    return found
