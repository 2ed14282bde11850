"""Files for their owner alone, made once; it knows nothing of what they hold."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_once"]


def write_once(path: Path, text: str) -> str:
    """Make a file of mode 0600, as a whole.

    Returns:
        What it holds: another text if another process was faster.

    Raises:
        OSError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        _publish(draft, path)
        return path.read_text(encoding="utf-8")
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Give a complete file its name, unless another process was faster."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    except OSError:  # A file system without hard links.
        if not path.exists():
            draft.rename(path)
