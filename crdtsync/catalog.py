"""Which sessions a data folder holds, and what they are called here.

The sessions' files are the truth; `catalog.db` adds local names and a summary for
listing, and is made anew from the files if it is lost. It opens no session.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crdtsync.errors import DataError, LogUnwritable, SessionNotFound, UsageError
from crdtsync.identity import ID
from crdtsync.log.schema import create_file

_SUFFIX = ".db"
_BUSY_MS = 5000
_PREFIX_CHARS_MIN = 8
_TOLD_MAX = 5
_TABLE = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    opened_at TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL DEFAULT '',
    messages INTEGER NOT NULL DEFAULT 0,
    people TEXT NOT NULL DEFAULT '[]'
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One session of a data folder.

    Attributes:
        name: What it is called here.
        opened_at: When it was last opened here, ISO 8601 UTC; "" for never.
        active_at: When its file last changed, ISO 8601 UTC.
        messages: As of when a window here was last closed.
        people: Names, likewise.
        path: Its file.
        missing: Whether the file is gone.
    """

    id: str
    name: str
    created_at: str
    opened_at: str
    title: str
    messages: int
    people: tuple[str, ...]
    path: Path
    active_at: str
    missing: bool


class Catalog:
    """The sessions of one data folder.

    Every method reads the disk; several processes may use one folder.

    Args:
        data: The data folder; made, for its owner only, when something is written.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self._folder = data / "sessions"
        self._path = data / "catalog.db"

    def path(self, session: str) -> Path:
        """The file of a session id."""
        return self._folder / f"{session}{_SUFFIX}"

    def entries(self) -> list[Entry]:
        """All sessions, the last active first.

        Raises:
            DataError: The folder cannot be read.
        """
        if not self._files() and not self._path.is_file():
            return []
        with suppress(LogUnwritable):
            self._adopt()
        with self._open() as db:
            rows = db.execute("SELECT * FROM sessions").fetchall() if db else []
        known = {row["id"] for row in rows}
        found = [self._entry(row) for row in rows]
        # A read-only folder without a catalog still lists its files.
        found += [self._bare(i) for i in self._files() if i not in known]
        return sorted(found, key=lambda e: (e.active_at, e.id), reverse=True)

    def find(self, text: str) -> Entry:
        """Find a session by its name, its id or the beginning of its id.

        Raises:
            SessionNotFound: There is none.
            UsageError: Several ids begin so.
        """
        entries = self.entries()
        for entry in entries:
            if text in (entry.name, entry.id):
                return entry
        long_enough = len(text) >= _PREFIX_CHARS_MIN
        begun = [e for e in entries if long_enough and e.id.startswith(text)]
        if len(begun) == 1:
            return begun[0]
        if begun:
            raise UsageError(
                f"several sessions begin with {text}",
                hint=f"Use a name: {', '.join(e.name for e in begun[:_TOLD_MAX])}",
            )
        raise SessionNotFound(
            f"there is no session {text!r} here", hint=_near(text, entries)
        )

    def last_opened(self) -> Entry | None:
        """The session that was opened last here, if any."""
        opened = [e for e in self.entries() if e.opened_at and not e.missing]
        return max(opened, key=lambda e: e.opened_at, default=None)

    def add(
        self, session: str, name: str, created_at: str, *, opened_at: str = ""
    ) -> Entry:
        """Make the file of a new session and give it its local name: both or none.

        Raises:
            UsageError: The name is taken, or the session has another one here.
            LogUnwritable: The folder cannot be written, or the disk is full.
        """
        path = self.path(session)
        made = False
        try:
            with self._write() as db:
                # Another process may have found the file first and called it its id.
                done = db.execute(
                    "INSERT INTO sessions (id, name, created_at, opened_at) "
                    "VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                    "SET name = excluded.name WHERE name = id",
                    (session, name, created_at, opened_at),
                )
                if not done.rowcount:
                    raise UsageError(f"this session is here already: {session}")
                # Whoever sees the name finds the file: the name is not told before.
                made = not path.exists()
                create_file(path)
        except BaseException as error:
            if made:
                path.unlink(missing_ok=True)
            if not isinstance(error, sqlite3.IntegrityError):
                raise
            raise UsageError(
                f"there already is a session {name!r} here",
                hint=f"Choose another name, or open it: crdtsync open {name}",
            ) from error
        return self.find(session)

    def rename(self, session: str, name: str) -> None:
        """Call a session otherwise from now on.

        Raises:
            UsageError: The name is taken.
        """
        try:
            with self._write() as db:
                query = "UPDATE sessions SET name = ? WHERE id = ?"
                db.execute(query, (name, session))
        except sqlite3.IntegrityError as error:
            raise UsageError(f"there already is a session {name!r} here") from error

    def remove(self, session: str) -> None:
        """Forget a session that nobody has open, and delete its file."""
        with self._write() as db:
            db.execute("DELETE FROM sessions WHERE id = ?", (session,))
            path = self.path(session)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def note_opened(self, session: str, at: str) -> None:
        """Remember that a session was opened; `last_opened` goes by it."""
        with self._write() as db:
            query = "UPDATE sessions SET opened_at = ? WHERE id = ?"
            db.execute(query, (at, session))

    def note_summary(
        self, session: str, title: str, messages: int, people: tuple[str, ...]
    ) -> None:
        """Remember what listing shows of a session."""
        with self._write() as db:
            db.execute(
                "UPDATE sessions SET title = ?, messages = ?, people = ? WHERE id = ?",
                (title, messages, json.dumps(people), session),
            )

    def free_name(self, wanted: str) -> str:
        """Return the name, or the first of name-2, name-3, ... that is not taken."""
        taken = {entry.name for entry in self.entries()}
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _files(self) -> list[str]:
        try:
            found = [path for path in self._folder.iterdir() if path.suffix == _SUFFIX]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(
                f"{self._folder} cannot be read: {error.strerror}",
                hint="Check its permissions, or choose another one with --data.",
            ) from error
        return [path.stem for path in found if ID.fullmatch(path.stem)]

    def _adopt(self) -> None:
        """Name the files that came without the catalog, such as copied ones."""
        with self._open() as db:
            known = (
                {r["id"] for r in db.execute("SELECT id FROM sessions")}
                if db
                else set()
            )
        strange = sorted(set(self._files()) - known)
        if not strange:
            return
        with self._write() as db:
            for session in strange:
                created = _iso(self.path(session).stat().st_mtime)
                db.execute(
                    "INSERT OR IGNORE INTO sessions (id, name, created_at) "
                    "VALUES (?, ?, ?)",
                    (session, session, created),
                )

    def _entry(self, row: sqlite3.Row) -> Entry:
        path = self.path(row["id"])
        active = _modified(path)
        return Entry(
            id=row["id"],
            name=row["name"],
            created_at=row["created_at"],
            opened_at=row["opened_at"],
            title=row["title"],
            messages=row["messages"],
            people=tuple(json.loads(row["people"])),
            path=path,
            active_at=_iso(active) if active else row["created_at"],
            missing=active is None,
        )

    def _bare(self, session: str) -> Entry:
        path = self.path(session)
        at = _iso(_modified(path) or 0.0)
        return Entry(session, session, at, "", "", 0, (), path, at, missing=False)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        """Open the catalog to read; None if there is none or it is damaged."""
        if not self._path.is_file():
            yield None
            return
        # "immutable" would miss other processes; a rollback journal needs no -shm.
        uri = f"{self._path.resolve().as_uri()}?mode=ro"
        try:
            db = sqlite3.connect(uri, uri=True, timeout=_BUSY_MS / 1000)
        except sqlite3.Error:
            yield None
            return
        with closing(db):
            db.row_factory = sqlite3.Row
            yield db if self._is_readable(db) else None

    def _is_readable(self, db: sqlite3.Connection) -> bool:
        """Whether the catalog is what it should be.

        Raises:
            DataError: Another process keeps it locked.
        """
        try:
            db.execute("SELECT name, people FROM sessions LIMIT 1")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise DataError(
                    f"{self._path} is locked by another process", hint="Try again."
                ) from error
            return False
        return True

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Open the catalog to write, in one transaction.

        Raises:
            LogUnwritable: The folder cannot be written.
        """
        try:
            for folder in (self.data, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._set_aside_if_damaged()
            with closing(sqlite3.connect(self._path, timeout=_BUSY_MS / 1000)) as db:
                self._path.chmod(0o600)
                with db:
                    db.execute(_TABLE)
                    yield db
        except sqlite3.IntegrityError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise LogUnwritable(
                f"{self._path} cannot be written: {error}",
                hint="Free some space, make the folder writable, or choose --data.",
            ) from error

    def _set_aside_if_damaged(self) -> None:
        """Names are lost with a damaged catalog, sessions are not: begin a new one."""
        if not self._path.is_file():
            return
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_MS / 1000)) as db:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_suffix(".damaged"))


def _modified(path: Path) -> float | None:
    """When a database last changed: its file or its write-ahead log."""
    times = []
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            times.append(name.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=None)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _near(text: str, entries: list[Entry]) -> str:
    near = difflib.get_close_matches(text, [entry.name for entry in entries], n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Make it with: crdtsync open {text}" if ID.fullmatch(text) else ""
