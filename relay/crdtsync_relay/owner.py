"""The owner's token, made on first start and kept where only the owner reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import anyio.to_thread

from crdtsync.errors import LogUnwritable
from crdtsync_relay.access import Access

__all__ = ["owner_token"]

OWNER_FILE: Final = "owner-token"
"""In the data folder, mode 0600. Without it a new one is made, the old one revoked.

A store that does not know the token in it, such as a new one, learns it.
"""

TOKEN_CHARS_MAX: Final = 256


async def owner_token(data: Path, access: Access) -> str:
    """Make the owner's token if there is none; returns it then, else nothing.

    Raises:
        LogUnwritable: The file cannot be written.
    """
    path = data / OWNER_FILE
    kept = await anyio.to_thread.run_sync(_read, path)
    if kept is not None:
        if kept and not access.tokens(""):
            await access.grant("owner", session="", participant="", token=kept)
        return ""
    # Whoever removes the file wants the old one to be good for nothing.
    for former in access.tokens(""):
        await access.revoke(former.id)
    token, _ = await access.grant("owner", session="", participant="")
    try:
        await anyio.to_thread.run_sync(_write, path, token)
    except OSError as error:
        raise LogUnwritable(f"{path} cannot be written: {error.strerror}") from error
    return token


def _read(path: Path) -> str | None:
    """The token in the file; empty if that is no token, None without a file."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    token = text[:TOKEN_CHARS_MAX].strip()
    return token if re.fullmatch(r"cs1_[A-Za-z0-9_-]{43}", token) else ""


def _write(path: Path, token: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
