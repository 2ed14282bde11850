"""Brings sessions in from files: a new one (import), or into an open one (merge).

What comes in is admitted first (X-1), and nothing pending comes out of it: prompts wait
for a person's release, in the same transaction (Q4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from crdtsync import schema
from crdtsync.catalog import Catalog
from crdtsync.clock import Clock, SystemClock
from crdtsync.document import Document
from crdtsync.errors import DataError, NotASession, UpdateRefused, UsageError
from crdtsync.export import import_session
from crdtsync.identity import check_session_name, new_id
from crdtsync.limits import MERGE_BYTES_MAX
from crdtsync.log.inuse import is_open_here
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.session import Session, stamp
from crdtsync.sync.admission import INLINE_BYTES_MAX, Admitted, DocIndex
from crdtsync.sync.worker import try_apply
from crdtsync.turns.queue import hold_on_merge
from crdtsync.view import SessionView

SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Brought:
    """A session made from a file.

    Attributes:
        id: The new session's id.
        name: What it is called here.
        format: The form of the file.
        messages: How many it has.
        held: Prompts that wait for a release.
    """

    id: str
    name: str
    format: str
    messages: int
    held: int


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge brought.

    Attributes:
        messages: Messages that were not here before.
        turns: Turns that were not here before.
        held: Prompts that wait for a release.
        apart: Turns that now stand beside the main line.
    """

    messages: int
    turns: int
    held: tuple[str, ...]
    apart: tuple[str, ...]


async def import_file(
    path: Path, *, data: Path, name: str | None = None, clock: Clock | None = None
) -> Brought:
    """Make a new session from an exported file.

    A ydoc file keeps its session id, so that it can be merged later, unless a session
    of that id is here already: then the new one is a copy with an id of its own.

    Args:
        path: A json, jsonl or ydoc export.
        data: The data folder.
        name: What to call it here; by default after its title.
        clock: For times and ids.

    Raises:
        UsageError: The name is taken, or no session can be called so.
        DataError: The file cannot be read as a session; nothing was made.
    """
    clock = clock or SystemClock()
    content = await anyio.to_thread.run_sync(_read_file, path)
    catalog = Catalog(data)
    if name is not None and catalog.free_name(check_session_name(name)) != name:
        raise UsageError(f"there already is a session {name!r} here")
    copy_id = new_id(clock.now())
    found = import_session(content, copy_id=copy_id)
    if found.session_id in {entry.id for entry in catalog.entries()}:
        found = import_session(content, copy_id=copy_id, as_copy=True)
    called = name or catalog.free_name(_name_from(found.title, path))
    session = found.session_id
    async with open_sqlite_log(catalog.path(session), clock=clock) as log:
        await log.create(session)
        await log.append(session, [found.update], origin="import", after=0)
    await anyio.to_thread.run_sync(catalog.add, session, called, stamp(clock))
    return Brought(session, called, found.format, found.messages, len(found.held))


async def merge_from(session: Session, source: Path) -> Merge:
    """Bring in what a file, or another data folder, knows of this session.

    Args:
        session: Open and writable.
        source: A ydoc export of the session, its `.db` file, or a data folder that
            holds it. It is only read.

    Raises:
        UsageError: The source is not there, or holds other sessions only.
        DataError: It is damaged or no session; nothing was merged.
    """
    session.check_writable()
    updates = await _updates_of(session.id, source, session.place.clock)
    try:
        await _check_same_session(session.id, updates)
        _admit(session, updates)
    except UpdateRefused as error:
        raise DataError(
            f"{source} is refused: {error}",
            hint="It is damaged, or no crdtsync wrote it; nothing was merged.",
        ) from error
    return await _apply(session, updates)


def _admit(session: Session, updates: Sequence[bytes]) -> None:
    """Check all updates against this document, before any is applied."""
    index = DocIndex.from_update(session.replica.document.state(), schema.ROOTS)
    for update in updates:
        admitted = index.check(index.scan(update))
        if not isinstance(admitted, Admitted):
            raise DataError(
                "it lacks a part of its own history",
                hint="Export the session again with --format ydoc.",
            )
        index.commit(admitted)


async def _apply(session: Session, updates: Sequence[bytes]) -> Merge:
    view = session.view
    before = {p.prompt for p in view.pending if not p.held}
    messages, turns = view.message_count, set(view.turns)
    with session.replica.edit() as (edit, ticket):
        for update in updates:
            edit.apply(update)
        # Read anew, as the view folds the change only after the transaction.
        merged = SessionView(session.replica.document)
        held = hold_on_merge(before, merged.queue.values(), merged.turns.values())
        for prompt in held:
            edit.set_queue(prompt, {"held": True})
    await ticket.wait()
    classes = view.reading.classes
    return Merge(
        messages=view.message_count - messages,
        turns=len(view.turns) - len(turns),
        held=held,
        apart=tuple(t for t, c in classes.items() if c in {"parallel", "stale"}),
    )


async def _updates_of(session: str, source: Path, clock: Clock) -> list[bytes]:
    folder = anyio.Path(source)
    if await folder.is_dir():
        path = Catalog(source).path(session)
        if not await anyio.Path(path).is_file():
            raise UsageError(
                f"{source} does not hold this session",
                hint=f"It would be the file sessions/{session}.db in it.",
            )
        return await _read_log(session, path, clock)
    if is_open_here(source):
        # It is a session's file, and reading it as bytes would drop SQLite's locks.
        return await _read_log(session, source, clock)
    content = await anyio.to_thread.run_sync(_read_file, source)
    if content.startswith(SQLITE_MAGIC):
        return await _read_log(session, source, clock)
    if content.lstrip()[:1] in (b"{", b"<", b"#"):
        raise NotASession(
            f"{source} cannot be merged: it is a copy without the session's history",
            hint="Merge a ydoc export or a data folder; `crdtsync import` takes json.",
        )
    return [content]


async def _read_log(session: str, path: Path, clock: Clock) -> list[bytes]:
    async with open_sqlite_log(
        path, clock=clock, must_exist=True, read_only=True
    ) as log:
        stored = await log.load(session)
    return [update for update in (stored.snapshot, *stored.updates) if update]


async def _check_same_session(session: str, updates: Sequence[bytes]) -> None:
    """Try the updates on a fresh document, large ones in a process of their own."""
    index = DocIndex(schema.ROOTS)
    for update in updates:
        if len(update) > INLINE_BYTES_MAX:
            await try_apply(b"", update, roots=schema.ROOTS)
        admitted = index.check(index.scan(update))
        if isinstance(admitted, Admitted):
            index.commit(admitted)
    found = SessionView(Document.load(updates)).meta.id
    if found != session:
        raise UsageError(
            "that is another session" if found else "that holds no session",
            hint="Import it as a session of its own: crdtsync import FILE",
        )


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MERGE_BYTES_MAX:
            raise DataError(
                f"{path} is larger than {MERGE_BYTES_MAX // 2**20} MiB",
                hint="Merge the data folder that holds the session instead.",
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _name_from(title: str, path: Path) -> str:
    text = "".join(
        c if c.isascii() and c.isalnum() else "-" for c in title or path.stem
    )
    return "-".join(part for part in text.lower().split("-") if part)[:48] or "imported"
