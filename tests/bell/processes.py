"""Windows in processes of their own, for the tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).with_name("window.py")


@contextmanager
def window(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a window until the end of the block; it is open when the block starts."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), name],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()
