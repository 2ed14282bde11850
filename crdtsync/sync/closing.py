"""Why a connection is closed: one enum of codes, and what they mean to people.

It closes nothing. Codes from 4400 are this program's, after those of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["WORDS", "CloseCode", "NackCode", "is_final", "words"]


class CloseCode(IntEnum):
    """The WebSocket close codes that both ends use."""

    NORMAL = 1000
    GOING_AWAY = 1001
    RESTART = 1012
    PROTOCOL_ERROR = 4400
    UNAUTHORISED = 4401
    FORBIDDEN = 4403
    NO_SUCH_SESSION = 4404
    VERSION = 4406
    AUTH_TIMEOUT = 4408
    SLOW_CONSUMER = 4409
    REPLACED = 4410
    WRONG_DOCUMENT = 4412
    TOO_LARGE = 4413
    RATE_LIMITED = 4429
    SILENT = 4499
    LOAD_ERROR = 4500


class NackCode(StrEnum):
    """Why one update was not taken; the connection stays."""

    DENIED = "denied"
    READ_ONLY = "read-only"
    INVALID = "invalid"
    TOO_LARGE = "too-large"
    RATE_LIMITED = "rate-limited"
    WRONG_DOCUMENT = "wrong-document"


WORDS: Final[Mapping[CloseCode, str]] = MappingProxyType(
    {
        CloseCode.NORMAL: "closed",
        CloseCode.GOING_AWAY: "the other side has gone",
        CloseCode.RESTART: "the relay restarts",
        CloseCode.PROTOCOL_ERROR: "one of the two programs broke the protocol",
        CloseCode.UNAUTHORISED: "the token is missing, wrong, expired or revoked",
        CloseCode.FORBIDDEN: "the token does not allow this",
        CloseCode.NO_SUCH_SESSION: "there is no such session",
        CloseCode.VERSION: "the two programs are of versions that cannot talk",
        CloseCode.AUTH_TIMEOUT: "the other side never said who it is",
        CloseCode.SLOW_CONSUMER: "this side read too slowly",
        CloseCode.REPLACED: "another connection took this one's place",
        CloseCode.WRONG_DOCUMENT: "there is another session under this address",
        CloseCode.TOO_LARGE: "something was larger than the other side takes",
        CloseCode.RATE_LIMITED: "too much was sent in too short a time",
        CloseCode.SILENT: "nothing was heard for two beats",
        CloseCode.LOAD_ERROR: "the session could not be loaded there",
    }
)
"""What to tell a person; a reason that came along is more precise."""

_FINAL: Final = frozenset(
    {
        CloseCode.UNAUTHORISED,
        CloseCode.FORBIDDEN,
        CloseCode.NO_SUCH_SESSION,
        CloseCode.VERSION,
        CloseCode.REPLACED,
        CloseCode.WRONG_DOCUMENT,
        CloseCode.TOO_LARGE,
    }
)


def is_final(code: int) -> bool:
    """Whether connecting again cannot help before a person has done something."""
    return code in _FINAL


def words(code: int) -> str:
    """Say a close code in words, also one of somebody else's."""
    try:
        return WORDS[CloseCode(code)]
    except ValueError:
        return f"the connection was closed with code {code}"
