"""The client id under which the API writes into a session, lent by the log (D-10)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio

from crdtsync.errors import LogUnwritable
from crdtsync.log.sqlite import SqliteLog
from crdtsync.session import Session

__all__ = ["Lent", "lend_client_id"]


@dataclass(slots=True)
class Lent:
    """A client id for the session that writes under it."""

    client_id: int | None
    read_only: str = ""
    session: Session | None = None


@asynccontextmanager
async def lend_client_id(log: SqliteLog, name: str) -> AsyncGenerator[Lent]:
    """Borrow a client id; without one nothing is written."""
    try:
        lent = Lent((await log.lend_client_id(name)).value)
    except LogUnwritable as error:
        yield Lent(None, str(error))
        return
    try:
        yield lent
    finally:
        # What is not on disk may have been passed on: then nobody writes under it.
        if lent.session is None or not lent.session.replica.unsaved:
            with anyio.CancelScope(shield=True), suppress(LogUnwritable):
                await log.return_client_id(name, lent.client_id or 0)
