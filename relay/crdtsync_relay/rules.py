"""What holds in a session beside its tokens: the relay's settings, and the owner's own.

Each is looked up when it matters; nothing here sends anybody away.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from crdtsync.log.writer import Worker
from crdtsync_relay.limits import TOKENS_PER_SESSION_MAX

__all__ = ["NUMBERS", "Rules", "SessionRules", "rules_of"]

DAYS_MAX: Final = 3650
"""Longest time that a rule counts in days."""

_EVERY: Final = ""
"""In the place of a session: the operator's rules, for where an owner said nothing."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What an operator decides for all sessions, and an owner for one.

    Attributes:
        participants_max: People who may have a token.
        viewers_note: Whether viewers may write notes.
        idle_token_days: Tokens that nobody used for so long are revoked; 0 for never.
        keep_days: A session that nobody opened for so long is removed from the relay;
            0 for never. Windows keep theirs.
    """

    participants_max: int = TOKENS_PER_SESSION_MAX
    viewers_note: bool = False
    idle_token_days: int = 0
    keep_days: int = 0


NUMBERS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "participants_max": (1, TOKENS_PER_SESSION_MAX),
        "idle_token_days": (0, DAYS_MAX),
        "keep_days": (0, DAYS_MAX),
    }
)
"""The rules that are numbers, with the lowest and the highest."""


class Rules:
    """The rules of all sessions, in a table beside the tokens.

    Args:
        reader: Reads only.
        writer: Runs what writes.
    """

    def __init__(self, reader: sqlite3.Connection, writer: Worker) -> None:
        self._reader = reader
        self._writer = writer

    def of(self, session: str) -> SessionRules:
        """What holds in a session."""
        return rules_of(self._reader, session)

    async def begin(self, rules: SessionRules) -> None:
        """Let the operator's rules hold wherever an owner said nothing else."""
        await self._writer.run(lambda c: _keep(c, _EVERY, asdict(rules)))

    async def change(
        self, session: str, changes: Mapping[str, int | bool]
    ) -> SessionRules:
        """Change some rules of a session; returns what holds then."""
        await self._writer.run(
            lambda c: _keep(c, session, {**_said(c, session), **changes})
        )
        return self.of(session)


def rules_of(connection: sqlite3.Connection, session: str) -> SessionRules:
    """What holds in a session, as one connection sees it."""
    said: dict[str, Any] = _said(connection, _EVERY) | _said(connection, session)
    return SessionRules(**said)


def _said(connection: sqlite3.Connection, session: str) -> dict[str, int | bool]:
    row = connection.execute(
        "SELECT rules FROM relay_rules WHERE session = ?", (session,)
    ).fetchone()
    return dict(json.loads(row[0])) if row else {}


def _keep(
    connection: sqlite3.Connection, session: str, rules: Mapping[str, int | bool]
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO relay_rules VALUES (?, ?)", (session, json.dumps(rules))
    )
