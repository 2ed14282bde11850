"""Names of things and people: session and message ids, participants, machines.

It opens no session; the only file it knows is `identity.json` of a data folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
import uuid
from datetime import datetime
from pathlib import Path

from crdtsync.errors import DataError, LogUnwritable, UsageError
from crdtsync.log.identity import machine_id
from crdtsync.private_files import write_once

NAME_CHARS_MAX = 64
"""Longest name of a person, an agent or a session."""

ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""What an id may look like (X-3)."""

WINDOW_BYTES = 6
"""Random bytes in a window's id."""

_WINDOW = re.compile(rf"[0-9a-f]{{{2 * WINDOW_BYTES}}}", re.ASCII)

_last_ms = 0
_last_count = 0


def new_id(at: datetime) -> str:
    """Make a UUIDv7 (RFC 9562, 5.7), ascending within this process (D-8).

    Args:
        at: Wall time; its milliseconds become the first 48 bits.
    """
    global _last_ms, _last_count  # noqa: PLW0603 - one order for the whole process
    ms = int(at.timestamp() * 1000)
    if ms > _last_ms:
        _last_ms, _last_count = ms, secrets.randbelow(1 << 10)
    else:
        _last_count += 1
        if _last_count >= 1 << 12:
            _last_ms, _last_count = _last_ms + 1, 0
    number = (_last_ms & ((1 << 48) - 1)) << 80
    number |= 0x7 << 76 | _last_count << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def check_session_name(name: str) -> str:
    """Return the name if a session may be called so locally.

    Raises:
        UsageError: It may not; the message says what may.
    """
    if ID.fullmatch(name) and len(name) <= NAME_CHARS_MAX and name[0] != "-":
        return name
    raise UsageError(
        f"{_shown(name)} cannot be the name of a session",
        hint=f"Use up to {NAME_CHARS_MAX} letters, digits, '-' and '_', such as "
        f"{_slug(name) or 'fix-parser'}.",
    )


def check_person_name(name: str) -> str:
    """Return a person's or an agent's name, trimmed.

    Raises:
        UsageError: It is empty, too long, or holds control characters.
    """
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX:
        raise UsageError(
            f"a name has 1 to {NAME_CHARS_MAX} characters",
            hint="Choose another one with --name.",
        )
    if any(unicodedata.category(char)[0] == "C" for char in name):
        raise UsageError(
            f"the name {_shown(name)} holds control characters",
            hint="Choose another one with --name.",
        )
    return name


def session_name_from(title: str) -> str:
    """A local name made of a session's title; empty if nothing of it will do."""
    return _slug(title)


class Identity:
    """Who the users of a data folder are.

    Args:
        key: Random, made once per data folder; it keeps the ids of two people with
            the same name on two machines apart.
        machine: Names the reach of the local arbiter (05: 1.3).
    """

    def __init__(self, key: str, machine: str) -> None:
        self._key = key
        self.machine = machine

    def participant(self, name: str, kind: str) -> str:
        """The id of a person or an agent of this name in this data folder."""
        text = f"{self._key}\n{kind}\n{name}"
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{_slug(name) or kind}-{digest}"


def runner_id(participant: str, window: str) -> str:
    """The id of the runner in a participant's window; `owner_of` reads it."""
    return f"{participant}_{window}"


def owner_of(runner: str) -> str:
    """The participant whose window a runner id names; "" if it names none."""
    owner, _, window = runner.rpartition("_")
    return owner if _WINDOW.fullmatch(window) else ""


def new_window() -> str:
    """Make a window's id."""
    return secrets.token_hex(WINDOW_BYTES)


def load_identity(data: Path) -> Identity:
    """Read the identity of a data folder, making it at first use.

    Raises:
        DataError: The file is not what this program wrote.
        LogUnwritable: There is none and none can be written.
    """
    path = data / "identity.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = _make(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    try:
        key = json.loads(text)["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged", hint="Move it away; a new one will be made."
        ) from error
    return Identity(str(key), _machine(data))


def _make(path: Path) -> str:
    """Write a new identity; if another process was faster, read that one's."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_once(path, json.dumps({"key": secrets.token_hex(16)}))
    except OSError as error:
        raise LogUnwritable(
            f"the data folder {path.parent} cannot be written: {error.strerror}",
            hint="Choose another one with --data, or make this one writable.",
        ) from error


def _machine(data: Path) -> str:
    """One name per data folder and machine; a copy of the folder has another."""
    found = data.stat()
    text = f"{machine_id()}\n{found.st_dev}:{found.st_ino}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:32]


def _shown(text: str) -> str:
    return repr(text if len(text) <= NAME_CHARS_MAX else text[:NAME_CHARS_MAX] + "…")
