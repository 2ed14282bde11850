"""Names and folders of bells: where windows of one session meet. It opens no socket."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from crdtsync.errors import DataError, UsageError

__all__ = [
    "NAME_CHARS_MAX",
    "SOCKET_PATH_BYTES_MAX",
    "SOCKET_SUFFIX",
    "WINDOWS_MAX",
    "check_name",
    "is_name",
    "name_taken",
    "private_folder",
    "runtime_folder",
    "too_many",
]

WINDOWS_MAX = 64
"""Windows of one session on one machine; each costs every other one descriptor."""

NAME_CHARS_MAX = 64
"""Longest window id."""

SOCKET_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107
"""`sun_path` of the platform without its closing NUL."""

SOCKET_SUFFIX = ".sock"

_HASH_CHARS = 10
"""Hex characters that tell sessions apart; short, as socket paths are."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether a text may be a window id."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Refuse a window id that could become anything but a plain file name.

    Raises:
        ValueError: It does not match `[A-Za-z0-9_-]{1,64}`.
    """
    if not is_name(name):
        raise ValueError(f"not a window id: {name!r}")


def runtime_folder(data_folder: Path, session: str) -> Path:
    """Make and return the folder in which the windows of a session meet.

    The same for every process of this user with the same data folder, however it was
    reached and whatever its environment: a login without `XDG_RUNTIME_DIR` (cron, su)
    still finds `/run/user/UID`, and `TMPDIR` is not looked at.

    Raises:
        DataError: The folder belongs to someone else or is open to others.
    """
    key = f"{data_folder.resolve()}\0{session}".encode("utf-8", "surrogateescape")
    place = hashlib.sha256(key).hexdigest()[:_HASH_CHARS]
    folder = private_folder(_runtime_base(place)) / place
    return private_folder(folder)


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user may enter, or check that an old one is so.

    Raises:
        DataError: It is no folder, someone else's, or open to others.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise DataError(
            f"cannot make the folder {folder}: {error.strerror}",
            hint="Set XDG_RUNTIME_DIR to a folder of your own.",
        ) from error
    if not stat.S_ISDIR(status.st_mode) or not _is_mine(status):
        raise DataError(
            f"{folder} is not a folder of this user",
            hint="Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
        )
    if sys.platform != "win32" and stat.S_IMODE(status.st_mode) & 0o077:
        raise DataError(
            f"{folder} is open to other users", hint=f"Run: chmod 700 {folder}"
        )
    return folder


def _runtime_base(place: str) -> Path:
    """Choose the parent of session folders: the login's runtime folder, else /tmp."""
    if sys.platform == "win32":
        return Path(tempfile.gettempdir()) / "crdtsync"
    uid = os.getuid()
    candidates = [os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"]
    longest = len(f"/{place}/{SOCKET_SUFFIX}") + NAME_CHARS_MAX
    for candidate in map(Path, filter(os.path.isabs, candidates)):
        base = candidate / "crdtsync"
        fits = len(os.fsencode(base)) + longest <= SOCKET_PATH_BYTES_MAX
        if fits and _is_private(candidate):
            return base
    return Path("/tmp") / f"crdtsync-{uid}"  # noqa: S108 - ownership is verified


def _is_private(folder: Path) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    mode = stat.S_IMODE(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and _is_mine(status) and not mode & 0o077


def _is_mine(status: os.stat_result) -> bool:
    return sys.platform == "win32" or status.st_uid == os.getuid()


def name_taken(name: str) -> UsageError:
    """Word the refusal of a second window under a living window's name."""
    return UsageError(
        f"a window named {name} is open already", hint="Give each window its own id."
    )


def too_many() -> UsageError:
    """Word the refusal of a window beyond `WINDOWS_MAX`."""
    return UsageError(
        f"{WINDOWS_MAX} windows of this session are open already",
        hint="Close one of them.",
    )
