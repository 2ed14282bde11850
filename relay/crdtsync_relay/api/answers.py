"""Answers of the HTTP API: JSON, and errors in one shape `{"error", "hint"}`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from crdtsync.errors import (
    AccessDenied,
    CrdtSyncError,
    OperationFailed,
    ProtocolError,
    SessionNotFound,
    UsageError,
)
from crdtsync.sanitize import escape_json
from crdtsync.schema import JsonObject
from crdtsync_relay.api.desk import Unavailable

__all__ = ["Refusal", "answer", "answer_error", "error_answer", "nothing"]

HEADERS: Final = MappingProxyType(
    {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
)
"""Of every answer."""

_RETRY_AFTER_S: Final = 2

_STATUSES: Final[Mapping[type[CrdtSyncError], int]] = MappingProxyType(
    {
        SessionNotFound: 404,
        AccessDenied: 403,
        UsageError: 400,
        ProtocolError: 400,
        OperationFailed: 409,
    }
)
"""Of errors, the more special ones first; others are the relay's own trouble."""

_logger = logging.getLogger(__name__)


class Refusal(CrdtSyncError):
    """A request is not answered as asked.

    Attributes:
        status: Of HTTP.
        headers: Besides those of every answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = headers or {}


def answer(body: JsonObject, status: int = 200) -> Response:
    """Make an answer with a JSON body."""
    return _json(body, status, {})


def nothing() -> Response:
    """Make an answer without a body: it is done."""
    return Response(status_code=204, headers=dict(HEADERS))


def answer_error(error: CrdtSyncError) -> Response:
    """Make the answer to a request that failed."""
    text, hint = str(error), error.hint
    if isinstance(error, Refusal):
        return error_answer(error.status, text, hint, error.headers)
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return error_answer(status, text, hint)
    if not isinstance(error, Unavailable):
        _logger.error("a request failed: %s", text)
        text = "the relay cannot do that now"
    headers = {"Retry-After": str(_RETRY_AFTER_S)}
    return error_answer(503, text, "Try again later.", headers)


def error_answer(
    status: int, text: str, hint: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Make the answer that says why not."""
    return _json({"error": text, "hint": hint}, status, headers or {})


def _json(body: JsonObject, status: int, headers: Mapping[str, str]) -> Response:
    text = escape_json(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
    return Response(
        f"{text}\n",
        status,
        {**HEADERS, **headers},
        media_type="application/json",
    )
