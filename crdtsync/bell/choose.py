"""Which bell this platform has. It opens one and adds nothing to it."""

from __future__ import annotations

import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from crdtsync.bell import Bell
from crdtsync.bell.polling import open_polling_bell
from crdtsync.bell.unix import open_unix_bell

__all__ = ["open_bell"]


def open_bell(folder: Path, name: str) -> AbstractAsyncContextManager[Bell]:
    """Open a window's bell, of the one kind that all windows of this machine use.

    The platform alone decides, never an error: windows with different kinds of bells
    would not hear each other.

    Args:
        folder: From `runtime_folder`.
        name: The window's id, `[A-Za-z0-9_-]{1,64}`.

    Raises:
        ValueError: The name is no window id.
        UsageError: A living window has that name, or there are too many.
        DataError: The folder is not private to this user, or its path is too long.
    """
    if hasattr(socket, "AF_UNIX"):
        return open_unix_bell(folder, name)
    return open_polling_bell(folder, name)
