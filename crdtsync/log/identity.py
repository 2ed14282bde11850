"""Tells whether a database file is still the one it was made as (05-turns: A7).

It only names machines and files; what follows from a change is decided in `leases`.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from functools import lru_cache
from pathlib import Path

_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_RANDOM_MAC_BIT = 1 << 40
"""Set by `uuid.getnode` when it found no network card and made a number up."""


@lru_cache(maxsize=1)
def machine_id() -> str:
    """Name this machine by something that a copied data folder does not carry."""
    for name in _MACHINE_ID_FILES:
        try:
            found = Path(name).read_text().strip()
        except OSError:
            continue
        if found:
            return found
    node = uuid.getnode()
    return socket.gethostname() if node & _RANDOM_MAC_BIT else f"{node:012x}"


def file_id(path: Path) -> tuple[int, int]:
    """Return device and inode; `mv` keeps them, every kind of copy changes them."""
    found = os.stat(path)  # noqa: PTH116 - on the path of every commit
    return found.st_dev, found.st_ino


def binding(store_id: str, path: Path) -> str:
    """Name the place of a store: the same string as long as it was not copied."""
    device, inode = file_id(path)
    text = f"{store_id}\n{machine_id()}\n{device}:{inode}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
