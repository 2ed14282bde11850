"""The arbiter's state and the client ids of a store, in SQL.

What a lease means is decided by `turns.arbiter`; this keeps it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from crdtsync.clock import Clock
from crdtsync.log import ClientId, Holding, LeaseRefused
from crdtsync.log.faults import damaged
from crdtsync.log.identity import binding
from crdtsync.log.rows import Place, find
from crdtsync.turns.arbiter import (
    Arbiter,
    Denied,
    Granted,
    LeaseState,
    created_here,
)

CLIENT_ID_BITS = 32
"""Keeps them at five bytes in an update, and an accidental clash at 1 in 10**6."""

POOL_IDS_MAX = 64
"""Returned client ids kept per document; more windows than that take new ones."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keeper:
    """How this store's arbiter tells time and how long its grants live."""

    clock: Clock
    ttl_s: float

    def bind(self, connection: sqlite3.Connection, path: Path) -> None:
        """Give a store that was copied a new arbiter, before its first write (A7).

        The old one may be alive elsewhere: its leases end here, what it would grant is
        unknown (A5), and its returned client ids may be used again over there (D-10).
        """
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        if "store_id" not in meta or "arb" not in meta:
            raise damaged(path, "its identity is missing")
        place = binding(meta["store_id"], path)
        if meta.get("bound") == place:
            return
        connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [("arb", secrets.token_hex(16)), ("bound", place)],
        )
        connection.execute(
            "UPDATE leases SET runner = NULL, turn = NULL, expires = 0, ended = NULL,"
            " quarantine = ?, boot = ?",
            (self.clock.boottime() + self.ttl_s, self.clock.boot_id()),
        )
        connection.execute("DELETE FROM client_ids")

    def create_all(self, connection: sqlite3.Connection, docs: Sequence[str]) -> None:
        """Note that this store made documents: nobody ever held their leases (A5)."""
        now, boot = self.clock.boottime(), self.clock.boot_id()
        made = created_here(arb_of(connection), now=now, boot=boot)
        connection.execute(
            "UPDATE leases SET boot = ?, ended = ? WHERE doc IN"
            " (SELECT id FROM docs WHERE doc IN (SELECT value FROM json_each(?)))",
            (made.boot, made.ended_s, json.dumps(docs)),
        )

    def acquire(
        self,
        connection: sqlite3.Connection,
        place: Place,
        request: tuple[str, int, int],
        *,
        alone: bool,
    ) -> Granted | Denied:
        """Ask the arbiter; `request` is runner, attempt and least epoch."""

        def ask(arbiter: Arbiter) -> Granted | Denied:
            if alone:
                arbiter.state = replace(arbiter.state, quarantine_s=0.0)
            return arbiter.acquire(*request)

        return self.decide(connection, place, ask)

    def decide(
        self,
        connection: sqlite3.Connection,
        place: Place,
        ask: Callable[[Arbiter], T],
    ) -> T:
        """Put a question to the document's arbiter and keep what it changes."""
        key = find(connection, place).key
        before = _read(connection, place, key)
        arbiter = self._arbiter(before)
        answer = ask(arbiter)
        if arbiter.state != before:
            _write(connection, key, arbiter.state)
        return answer

    def check_door(
        self, connection: sqlite3.Connection, place: Place, holding: Holding
    ) -> None:
        """Let only the holder through.

        Raises:
            LeaseRefused: The lease is over or somebody else's.
        """
        key = find(connection, place).key
        arbiter = self._arbiter(_read(connection, place, key))
        if not arbiter.holds(holding.epoch, holding.attempt):
            raise LeaseRefused(place.doc)

    def _arbiter(self, state: LeaseState) -> Arbiter:
        return Arbiter(
            state,
            now=self.clock.boottime(),
            boot=self.clock.boot_id(),
            ttl_s=self.ttl_s,
        )


def _read(connection: sqlite3.Connection, place: Place, key: int) -> LeaseState:
    found = connection.execute(
        "SELECT value, epoch, runner, attempt, turn, expires, boot, quarantine, ended"
        " FROM leases, meta WHERE doc = ? AND key = 'arb'",
        (key,),
    ).fetchone()
    if found is None:
        raise damaged(place.path, "the lease is missing")
    return LeaseState(*found)


def _write(connection: sqlite3.Connection, key: int, state: LeaseState) -> None:
    connection.execute(
        "UPDATE leases SET epoch = ?, runner = ?, attempt = ?, turn = ?, expires = ?,"
        " boot = ?, quarantine = ?, ended = ? WHERE doc = ?",
        (
            state.epoch,
            state.runner,
            state.attempt,
            state.turn,
            state.expires_s,
            state.boot,
            state.quarantine_s,
            state.ended_s,
            key,
        ),
    )


def arb_of(connection: sqlite3.Connection) -> str:
    """Read the id of a store as an arbiter."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'arb'").fetchone()
    return str(found[0]) if found else ""


def lend_client_id(connection: sqlite3.Connection, place: Place) -> ClientId:
    """Take a returned client id out of the pool, or make a new one.

    One that is lent is in no table: if its window crashes, it is never lent again.
    """
    key = find(connection, place).key
    found = connection.execute(
        "SELECT id FROM client_ids WHERE doc = ? LIMIT 1", (key,)
    ).fetchone()
    if found is not None:
        connection.execute(
            "DELETE FROM client_ids WHERE doc = ? AND id = ?", (key, *found)
        )
        return ClientId(found[0], reused=True)
    return ClientId(new_client_id(), reused=False)


def new_client_id() -> int:
    """Make a client id that no other window has."""
    return secrets.randbelow(2**CLIENT_ID_BITS - 1) + 1


def return_client_id(
    connection: sqlite3.Connection, place: Place, client_id: int
) -> None:
    """Put a client id into the pool, unless the pool is full."""
    key = find(connection, place).key
    connection.execute(
        "INSERT OR IGNORE INTO client_ids SELECT ?, ?"
        " WHERE (SELECT count(*) FROM client_ids WHERE doc = ?) < ?",
        (key, client_id, key, POOL_IDS_MAX),
    )
