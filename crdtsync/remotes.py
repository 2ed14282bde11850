"""Which relays the sessions of a data folder are linked to; it connects to none.

One file per session and relay, for its owner alone, as it holds a token (X-4): several
processes add and remove without asking each other. Beside it stands what a window
last knew of the link, which is no secret and may be lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from crdtsync.errors import DataError, LogUnwritable
from crdtsync.identity import ID
from crdtsync.links.addresses import Address, SessionLink

__all__ = ["Remote", "Remotes", "Seen"]

REMOTES_MAX: Final = 32
"""Relays of one session; more make nothing safer."""

_SEEN: Final = ".seen"

_T = TypeVar("_T", "Remote", "Seen")


@dataclass(frozen=True, slots=True, repr=False)
class Remote:
    """One relay, or listening window, of a session.

    Attributes:
        name: What it is called: its address without the token.
        url: Of the session's WebSocket there.
        token: Empty for none.
        pin: SHA-256 of its certificate in hex; empty if authorities vouch for it.
        also: Further urls of the same place.
        participant: Whom the token stands for; empty if that was not told.
        person: The name under which it was joined.
        role: What the token allows, as last told; empty if it never was.
    """

    name: str
    url: str
    token: str = ""
    pin: str = ""
    also: tuple[str, ...] = ()
    participant: str = ""
    person: str = ""
    role: str = ""

    def __post_init__(self) -> None:
        # Files hold lists.
        object.__setattr__(self, "also", tuple(self.also))

    def __repr__(self) -> str:
        # Tokens have no business in logs and tracebacks.
        return f"Remote({self.name!r})"

    @classmethod
    def at(cls, link: SessionLink, session: str, token: str) -> Remote:
        """The remote that a link leads to, with a token for it."""
        found = link.address(token, session)
        return cls(link.bases[0], found.url, token, link.pin, found.also)

    @property
    def host(self) -> str:
        """Host and port, as people call it."""
        return self.name.partition("://")[2]

    @property
    def address(self) -> Address:
        """Where to connect."""
        return Address(self.url, self.token, self.pin, self.also)

    @property
    def link(self) -> SessionLink:
        """Where its HTTP routes are."""
        urls = (self.url, *self.also)
        bases = tuple(f"http{url[2:].rpartition('/ws/')[0]}" for url in urls)
        session = self.url.rpartition("/")[2]
        return SessionLink(bases, session, self.token, self.pin)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a window last knew of the link to a remote.

    Attributes:
        window: The window's id; its word on the state counts only while it is open.
        state: As in `LinkState`.
        reason: In words; may be empty.
        safe_seq: Everything of the log up to here is there; None if unknown.
        round_trip_s: The last one measured.
    """

    window: str = ""
    state: str = "offline"
    reason: str = ""
    safe_seq: int | None = None
    round_trip_s: float | None = None


class Remotes:
    """The remembered remotes of a data folder.

    Every method reads the disk.

    Args:
        data: The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._folder = data / "remotes"

    def of(self, session: str) -> list[Remote]:
        """The remotes of a session, by name.

        Raises:
            DataError: One cannot be read.
        """
        try:
            paths = sorted(self._of(session).glob("*.json"))
        except OSError:
            return []
        found = [_read(path, Remote) for path in paths[:REMOTES_MAX]]
        return sorted((r for r in found if r is not None), key=lambda r: r.name)

    def add(self, session: str, remote: Remote) -> None:
        """Remember a remote; one of the same name, or the same certificate, goes.

        Raises:
            LogUnwritable: It cannot be written.
        """
        for other in self.of(session):
            # A listening window that has moved.
            if remote.pin and other.pin == remote.pin and other.name != remote.name:
                self.remove(session, other.name)
        _write(self._path(session, remote.name), asdict(remote))

    def find(self, link: SessionLink) -> Remote | None:
        """The remote that a link leads to: by its address, or by its certificate."""
        for remote in self.of(link.session):
            same = link.pin and remote.pin == link.pin
            if same or remote.name == link.bases[0]:
                return remote
        return None

    def remove(self, session: str, name: str) -> bool:
        """Forget a remote; False if there is none of that name."""
        path = self._path(session, name)
        known = path.exists()
        try:
            path.unlink(missing_ok=True)
            for note in self._notes(session, name):
                note.unlink(missing_ok=True)
        except OSError as error:
            raise LogUnwritable(f"{path} cannot be removed: {error}") from error
        with suppress(OSError):
            path.parent.rmdir()
        return known

    def note_role(self, session: str, name: str, role: str) -> None:
        """Remember what the token of a remote allows, if it is still remembered."""
        known = _read(self._path(session, name), Remote)
        if known is not None and known.role != role:
            self.add(session, replace(known, role=role))

    def seen(self, session: str, name: str) -> list[Seen]:
        """What windows last knew of their links to a remote, the latest first."""
        found = []
        for path in self._notes(session, name):
            with suppress(DataError, OSError):
                seen = _read(path, Seen)
                found += [(path.stat().st_mtime, seen)] if seen else []
        return [seen for _, seen in sorted(found, key=lambda f: f[0], reverse=True)]

    def note_seen(self, session: str, name: str, seen: Seen) -> None:
        """Remember what a window knows of its link, unless the remote was forgotten."""
        path = self._path(session, name)
        if path.exists():
            _write(path.with_suffix(f".{seen.window}{_SEEN}"), asdict(seen))

    def tidy(self, session: str, name: str, windows: Collection[str]) -> int | None:
        """Drop what windows knew that are gone; returns the furthest `safe_seq`.

        Args:
            session: Its id.
            name: The remote's.
            windows: Those that are open.
        """
        seqs = [s.safe_seq for s in self.seen(session, name) if s.safe_seq is not None]
        for path in self._notes(session, name):
            if path.suffixes[0][1:] not in windows:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        return max(seqs, default=None)

    def _notes(self, session: str, name: str) -> list[Path]:
        path = self._path(session, name)
        return list(path.parent.glob(f"{path.stem}.*{_SEEN}"))

    def _of(self, session: str) -> Path:
        if not ID.fullmatch(session):
            raise ValueError("not a session's id")
        return self._folder / session

    def _path(self, session: str, name: str) -> Path:
        # A name may hold anything that an address may.
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        return self._of(session) / f"{digest}.json"


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        known = {f.name: said[f.name] for f in fields(kind) if f.name in said}
        return kind(**known)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read", hint="Move it away, and join again."
        ) from error


def _write(path: Path, said: dict[str, Any]) -> None:
    """Replace a file as a whole, readable for its owner alone from the beginning."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        for folder in (path.parent.parent.parent, path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump(said, file)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise LogUnwritable(
            f"{path} cannot be written: {error.strerror}",
            hint="Free some space, or make the folder writable.",
        ) from error
