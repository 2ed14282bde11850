"""Writes exported sessions to files; it knows no form of an export itself."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crdtsync.errors import LogUnwritable, UsageError
from crdtsync.export import FORMATS, Redaction
from crdtsync_cli.routing import nearest

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["export_bytes", "write_file"]


async def export_bytes(
    session: Session, form: str, redact: Redaction | None = None
) -> bytes:
    """Export a session as it is now.

    Raises:
        UsageError: There is no such form.
    """
    for known in FORMATS:
        if known == form:
            # The document belongs to this thread, and must not change meanwhile.
            return session.export(known, redact=redact)
    near = nearest(form, FORMATS)
    raise UsageError(
        f"there is no export format {form!r}",
        hint=f"Did you mean {near}?"
        if near
        else f"Choose one of {', '.join(FORMATS)}.",
    )


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; blocks.

    Raises:
        LogUnwritable: It cannot be written; what was there is as it was.
    """
    path = path.expanduser()
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(data)
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(draft).unlink()
            raise
    except OSError as error:
        raise LogUnwritable(
            f"{path} cannot be written: {error.strerror}",
            hint="Choose another file with -o, or make room.",
        ) from error
