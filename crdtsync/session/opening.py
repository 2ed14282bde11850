"""Opens a session: finds or makes it, loads it, and keeps it in step."""

from __future__ import annotations

import getpass
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import anyio
import anyio.to_thread
from platformdirs import user_data_path

from crdtsync.agents.tasks import open_tasks
from crdtsync.bell import Bell
from crdtsync.bell.choose import open_bell
from crdtsync.bell.folder import runtime_folder
from crdtsync.bell.memory import MemoryExchange
from crdtsync.catalog import Catalog, Entry
from crdtsync.clock import Clock, SystemClock
from crdtsync.document import Document
from crdtsync.entities import Participant
from crdtsync.errors import DataError, LogUnwritable, SessionNotFound, UsageError
from crdtsync.identity import (
    Identity,
    check_person_name,
    check_session_name,
    load_identity,
    new_id,
    new_window,
)
from crdtsync.limits import FLUSH_AT_CLOSE_S, NAMING_TRIES_MAX
from crdtsync.log.sqlite import SqliteLog, open_sqlite_log
from crdtsync.remotes import Remote, Remotes
from crdtsync.session import Session
from crdtsync.session.company import PRESENT
from crdtsync.session.folding import fold_log, fold_now_and_then
from crdtsync.session.naming import as_called
from crdtsync.session.place import Place, stamp
from crdtsync.turns.timing import Timing

Mode: TypeAlias = Literal["member", "writer", "reader"]
"""A member is seen by the others; a writer writes unseen; a reader writes nothing."""

FOLLOW_S = 4.0
"""The log is looked at so often even if no bell rings."""


def default_data_folder() -> Path:
    """Where sessions are kept unless somebody says otherwise."""
    return user_data_path("crdtsync", appauthor=False)


def login_name() -> str:
    """The name of the person at this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"


@asynccontextmanager
async def open_session(  # noqa: PLR0913 - every option stands alone
    session: str | None = None,
    *,
    data: Path | None = None,
    name: str | None = None,
    create: bool = True,
    mode: Mode = "member",
    clock: Clock | None = None,
    timing: Timing | None = None,
) -> AsyncGenerator[Session]:
    """Open a session of this machine; the replica follows the log while it is open.

    Errors of the block come out as they are. So does what ends the session from
    within: then the block is cancelled first.

    Args:
        session: Its local name, its id or the first eight characters of the id. None
            is the one opened last here, or else a new one.
        data: The data folder; `default_data_folder()` if None.
        name: The person's name; the login name if None.
        create: Whether a name that is not known makes a new session.
        mode: See `Mode`. What cannot be written is opened as by a reader.
        clock: The machine's clock; another one only in tests.
        timing: Times of turns; the same in every window of a session.

    Raises:
        SessionNotFound: It does not exist, and `create` is false.
        UsageError: A name that nothing can be called.
        DataError: The file is damaged, foreign, too new or cannot be read; the message
            says what to do, and the file is as it was.
    """
    person = check_person_name(login_name() if name is None else name)
    wish = _Wish(
        catalog=Catalog(data or default_data_folder()),
        session=session,
        person=person,
        create=create and mode != "reader",
        mode=mode,
        clock=clock or SystemClock(),
        timing=timing or Timing(),
    )
    entry = await anyio.to_thread.run_sync(_find_or_make, wish)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(
            open_sqlite_log(
                entry.path,
                clock=wish.clock,
                ttl_s=wish.timing.ttl_s,
                must_exist=True,
                read_only=mode == "reader",
            )
        )
        place = await anyio.to_thread.run_sync(_place, wish, entry, log)
        bell = await stack.enter_async_context(_bell(place))
        client_id = None
        if not place.read_only:
            await log.create(entry.id)
            # Before loading: it may come from a window whose last updates are not
            # in what was loaded before, and no clock may be used twice (D-10).
            client_id = (await log.lend_client_id(entry.id)).value
        opened = await _load(place, log, bell, client_id)
        tasks = await stack.enter_async_context(open_tasks())
        tasks.start_soon(_follow, opened)
        tasks.start_soon(opened.replica.save_forever)
        tasks.start_soon(opened.company.attend)
        if client_id is not None:
            tasks.start_soon(fold_now_and_then, log, entry.id)
        try:
            if opened.head == 0:
                await opened.flush()
            if client_id is not None:
                tasks.start_soon(_note_opened, wish, entry)
            yield opened
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await _close(opened, wish.catalog, log, client_id)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What `open_session` was asked for."""

    catalog: Catalog
    session: str | None
    person: str
    create: bool
    mode: Mode
    clock: Clock
    timing: Timing


def _find_or_make(wish: _Wish) -> Entry:
    """Find the session; make it unless another process does so at this instant."""
    tries = NAMING_TRIES_MAX
    while True:
        entry = _find(wish)
        if entry is not None:
            return entry
        catalog, at = wish.catalog, stamp(wish.clock)
        name = check_session_name(wish.session or catalog.free_name("session"))
        tries -= 1
        try:
            return catalog.add(new_id(wish.clock.now()), name, at, opened_at=at)
        except UsageError:
            if not tries:
                raise


def _find(wish: _Wish) -> Entry | None:
    catalog, text = wish.catalog, wish.session
    try:
        entry = catalog.last_opened() if text is None else catalog.find(text)
    except SessionNotFound:
        if not wish.create:
            raise
        return None
    if entry is None and not wish.create:
        raise SessionNotFound(
            "there is no session here yet", hint="Make one: crdtsync open NAME"
        )
    if entry is not None and entry.missing:
        raise SessionNotFound(
            f"the file of session {entry.name} is gone: {entry.path}",
            hint="Put it back, or choose another name.",
        )
    return entry


def _place(wish: _Wish, entry: Entry, log: SqliteLog) -> Place:
    read_only = ""
    if wish.mode == "reader":
        read_only = "this window only reads"
    elif log.unwritable is not None:
        read_only = str(log.unwritable)
    try:
        identity = load_identity(wish.catalog.data)
    except LogUnwritable as error:
        # A reader of a foreign folder needs no identity of its own there.
        identity = Identity(entry.id, "reader")
        read_only = read_only or str(error)
    remotes = Remotes(wish.catalog.data).of(entry.id)
    return Place(
        id=entry.id,
        name=entry.name,
        me=_person(wish, identity, remotes),
        window=new_window(),
        data=wish.catalog.data,
        identity=identity,
        clock=wish.clock,
        timing=wish.timing,
        seen=wish.mode == "member" and not read_only,
        read_only=read_only,
        linked=bool(remotes),
        viewer=bool(remotes) and all(r.role == "viewer" for r in remotes),
    )


def _person(wish: _Wish, identity: Identity, remotes: list[Remote]) -> Participant:
    """The person, under the id that a relay vouches for if there is one."""
    key = identity.participant(wish.person, "person")
    for remote in remotes:
        if remote.participant and remote.person == wish.person:
            key = remote.participant
    return Participant(key, wish.person, "person", stamp(wish.clock))


@asynccontextmanager
async def _bell(place: Place) -> AsyncGenerator[Bell]:
    """Open the bell; a reader that may not have one looks at the log every 4 s."""
    async with AsyncExitStack() as stack:
        try:
            folder = runtime_folder(place.data, place.id)
            bell = await stack.enter_async_context(open_bell(folder, place.window))
        except (DataError, OSError):
            if not place.read_only:
                raise
            alone = MemoryExchange().open(place.window)
            bell = await stack.enter_async_context(alone)
        yield bell


async def _load(
    place: Place, log: SqliteLog, bell: Bell, client_id: int | None
) -> Session:
    """Load the document; an empty one is seeded, unless others have its beginning."""
    stored = await log.load(place.id)
    updates = (stored.snapshot, *stored.updates) if stored.snapshot else stored.updates
    document = Document.load(updates, client_id=client_id)
    place = as_called(place, document)
    opened = Session(place, document, log, bell, head=stored.head)
    if opened.read_only:
        return opened
    if stored.head == 0 and not place.linked:
        seed(opened)
    if place.seen and place.me.id not in opened.view.participants:
        with opened.replica.edit() as (edit, _):
            opened.introduce(edit, opened.me)
    return opened


def seed(session: Session) -> None:
    """Write down what a session is; once, by whoever begins it."""
    with session.replica.edit() as (edit, _):
        edit.seed(
            {
                "id": session.id,
                "title": session.name,
                "created_at": session.now(),
                "created_by": session.me.id,
            }
        )


async def _note_opened(wish: _Wish, entry: Entry) -> None:
    """Remember what was opened last; nobody waits for it, and no full disk matters."""
    with anyio.CancelScope(shield=True), suppress(LogUnwritable):
        at = stamp(wish.clock)
        await anyio.to_thread.run_sync(wish.catalog.note_opened, entry.id, at)


async def _follow(session: Session) -> None:
    """Apply what other windows write, as the bell tells or a while later."""
    while True:
        payloads: list[bytes] = [b""]
        with anyio.move_on_after(FOLLOW_S):
            payloads = await session.bell.wait()
        behind = False
        for payload in payloads:
            if payload.startswith(PRESENT):
                session.company.receive(payload[len(PRESENT) :])
            else:
                behind = session.replica.hear(payload) or behind
        if behind:
            # A file that cannot be read for a moment is read at the next beat.
            with suppress(LogUnwritable):
                await session.replica.catch_up()


async def _close(
    session: Session, catalog: Catalog, log: SqliteLog, client_id: int | None
) -> None:
    """Write what is left, give the client id back, fold the log, say goodbye."""
    session.company.leave()
    if client_id is None:
        session.close("closed")
        return
    saved = False
    with anyio.move_on_after(FLUSH_AT_CLOSE_S), suppress(DataError):
        await session.flush()
        await log.return_client_id(session.id, client_id)
        saved = True
    session.close("closed" if saved else "not everything is saved")
    if saved:
        if not session.bell.others():
            await fold_log(log, session.id, idle=True)
        with suppress(LogUnwritable):
            await anyio.to_thread.run_sync(_note_summary, session, catalog)


def _note_summary(session: Session, catalog: Catalog) -> None:
    view = session.view
    people = tuple(p.name for p in view.participants.values() if p.kind == "person")
    catalog.note_summary(session.id, view.meta.title, view.message_count, people)
