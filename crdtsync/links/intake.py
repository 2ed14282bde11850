"""What comes into a session from outside: admitted, applied, logged, held (Q3, Q4).

Admission needs an index of the document, so this follows everything that enters it. It
speaks no protocol: links bring it updates, and take nothing back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio.to_thread

from crdtsync import schema
from crdtsync.errors import UpdateRefused
from crdtsync.session import Session
from crdtsync.session.replica import Ticket
from crdtsync.sync.admission import (
    INLINE_BYTES_MAX,
    Admitted,
    DocIndex,
    Parking,
    Scanned,
)
from crdtsync.sync.worker import try_apply
from crdtsync.turns.queue import hold_for_peer, hold_on_merge, recent
from crdtsync.view import SessionView

__all__ = ["Intake", "open_intake"]

EMPTY_UPDATE: Final = b"\0\0"
"""The update that says nothing."""

TYPED_MAX: Final = 1000
"""Prompts of this window whose age is remembered; older ones count as old."""


class Intake:
    """The one way into a session for updates of others.

    Args:
        session: Open and writable.
        index: Of its document, up to now.
    """

    def __init__(self, session: Session, index: DocIndex) -> None:
        self._session = session
        self._index = index
        self._parking = Parking()
        self._taking = False
        self._typed_s: dict[str, float] = {}
        self._broken: UpdateRefused | None = None

    def note(self, update: bytes, by: str) -> None:
        """Follow the document: something has entered it, here or through the log."""
        if not update or self._taking:
            return
        try:
            scanned = self._index.scan(update)
            admission = self._index.check(scanned)
        except UpdateRefused as refusal:
            # Nobody who writes here is to suffer for it: only links end.
            self._broken = refusal
            return
        if isinstance(admission, Admitted):
            self._index.commit(admission)
        if by == self._session.bell.name:
            now = self._session.place.clock.boottime()
            self._typed_s.update(dict.fromkeys(_queued(scanned), now))
            while len(self._typed_s) > TYPED_MAX:
                del self._typed_s[next(iter(self._typed_s))]

    async def take(self, update: bytes, origin: str, *, hold: bool = False) -> None:
        """Admit an update, apply it and send it on its way to the disk.

        What builds on something unknown waits, and is applied with what it waited for.

        Args:
            update: From outside; nothing is known of it.
            origin: For its row in the log.
            hold: Its sender does not hold prompts back by itself: those that become
                pending by it wait for a person (Q4).

        Raises:
            UpdateRefused: It breaks a rule of admission. T2-1: too much waits; the
                sender has to be synchronised anew.
            LogUnwritable: Too much waits for the disk; nothing was applied.
            LogDamaged: The document is half changed; the session has to be reopened.
        """
        if self._broken is not None:
            raise self._broken
        if update == EMPTY_UPDATE:
            return
        if len(update) > INLINE_BYTES_MAX:
            state = self._session.replica.document.state()
            await try_apply(state, update, roots=schema.ROOTS)
        self._admit(update, origin, 0, hold=hold)
        while ready := self._parking.take_ready(self._index):
            for parked in ready:
                self._admit(parked.update, origin, parked.tries + 1, hold=hold)

    def _admit(self, update: bytes, origin: str, tries: int, *, hold: bool) -> None:
        # What a viewer writes reaches nobody.
        hold = hold and not self._session.read_only
        scanned = self._index.scan(update)
        admission = self._index.check(scanned)
        if not isinstance(admission, Admitted):
            self._parking.park(update, admission, tries=tries)
            return
        self._taking = True
        try:
            ticket = self._apply(update, origin, hold=hold and _may_wake(scanned))
        finally:
            self._taking = False
        self._index.commit(admission)
        if ticket.update:
            # What comes from outside may change what a prompt means (Q3).
            self._typed_s.clear()

    def _apply(self, update: bytes, origin: str, *, hold: bool) -> Ticket:
        replica = self._session.replica
        if not hold:
            return replica.take_in(update, origin)
        before = {p.prompt for p in self._session.view.pending if not p.held}
        with replica.edit() as (edit, ticket):
            edit.apply(update)
            merged = SessionView(replica.document)
            held = hold_on_merge(before, merged.queue.values(), merged.turns.values())
            for prompt in held:
                edit.set_queue(prompt, {"held": True})
        return ticket

    def hold_for(self, state_vector: bytes) -> bytes:
        """Hold the prompts that another end lacks (Q3); returns all that it lacks.

        Args:
            state_vector: The other end's, checked.
        """
        session = self._session
        document, view = session.replica.document, session.view
        missing = document.diff(state_vector)
        lacking = _queued(self._index.scan(missing))
        now = session.place.clock.boottime()
        fresh = recent(self._typed_s, now, session.place.timing.hold_after_s)
        queue, turns = view.queue.values(), view.turns.values()
        held = hold_for_peer(queue, turns, lacking, fresh)
        if not held:
            return missing
        with session.replica.edit() as (edit, _):
            for prompt in held:
                edit.set_queue(prompt, {"held": True})
        return document.diff(state_vector)


@asynccontextmanager
async def open_intake(session: Session) -> AsyncGenerator[Intake]:
    """Build the index of a session's document and keep it in step.

    Raises:
        UpdateRefused: The document holds what admission does not let in, so that
            nothing can be checked against it.
    """
    replica = session.replica
    meanwhile: list[tuple[bytes, str]] = []

    def wait(update: bytes, by: str) -> None:
        meanwhile.append((update, by))

    replica.watchers.append(wait)
    try:
        state = replica.document.state()
        index = await anyio.to_thread.run_sync(
            DocIndex.from_update, state, schema.ROOTS
        )
    finally:
        replica.watchers.remove(wait)
    intake = Intake(session, index)
    for update, by in meanwhile:
        intake.note(update, by)
    replica.watchers.append(intake.note)
    try:
        yield intake
    finally:
        replica.watchers.remove(intake.note)


def _queued(scanned: Scanned) -> frozenset[str]:
    """The prompts whose queue entry an update makes."""
    return frozenset(
        key
        for _, _, structs in scanned.sections
        for _, _, _, _, parent, key, _ in structs
        if parent == schema.QUEUE and key is not None
    )


def _may_wake(scanned: Scanned) -> bool:
    """Whether a prompt may become pending by an update (Q4)."""
    void = any(
        key == "void" for _, _, structs in scanned.sections for *_, key, _ in structs
    )
    return void or bool(_queued(scanned))
