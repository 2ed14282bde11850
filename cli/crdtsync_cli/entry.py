"""The console script: answers help, version and completion at once, else runs the app.

Nothing slow is imported here. The pages served are the app's own, written by
`docs/pages.py` and compared with it by the tests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

__all__ = ["main"]

_COLUMNS_MIN = 80
"""The stored pages are as the app prints them on terminals at least this wide."""
_HELP_WORDS_MAX = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    page = _page(words, os.environ)
    if page is not None:
        sys.stdout.write(page)
        return 0
    if words[:1] == ["__complete"]:
        from crdtsync_cli.completing import complete  # noqa: PLC0415 - only for a shell

        return complete(words[1:])
    from crdtsync_cli.app import run  # noqa: PLC0415 - it takes 150 ms to import

    return run(words)


def _page(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The stored page that answers these arguments, if one does."""
    if not words or len(words) > _HELP_WORDS_MAX or words[-1] not in _PAGES:
        return None
    kind = _PAGES[words[-1]]
    command = words[0] if len(words) > 1 else "crdtsync"
    if kind == "version":
        command = "version" if len(words) == 1 else "-"
    elif _columns(environ) < _COLUMNS_MIN:
        return None
    if not command.isalpha() or (command == "version" and kind == "help"):
        return None
    path = f"{os.path.dirname(__file__)}/pages/{command}.txt"  # noqa: PTH120 - slow
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow
            return file.read()
    except OSError:
        return None


_PAGES = {"--help": "help", "--version": "version"}


def _columns(environ: Mapping[str, str]) -> int:
    """How wide the parser would take the terminal to be."""
    try:
        columns = int(environ.get("COLUMNS", "0"))
        return columns or os.get_terminal_size(1).columns or _COLUMNS_MIN
    except (OSError, ValueError):
        return _COLUMNS_MIN
