"""From an exception to a line on stderr and an exit code; it handles nothing else."""

from __future__ import annotations

import logging
import os
import sys

import typer

from crdtsync.errors import CrdtSyncError, UsageError
from crdtsync_cli.calling import Call
from crdtsync_cli.printer import NobodyReads

__all__ = ["end", "innermost"]

INTERRUPTED = 130
"""The exit code of a run ended by Ctrl-C or a signal."""
FAILED = 1

_log = logging.getLogger(__name__)


def end(error: BaseException, call: Call) -> int:
    """Tell people what went wrong and return the exit code."""
    error = innermost(error)
    match error:
        case NobodyReads() | BrokenPipeError():
            _drop_output()
            return 0
        case KeyboardInterrupt() | typer.Abort():
            return INTERRUPTED
        case SystemExit(code=code):
            return code if isinstance(code, int) else FAILED
        case CrdtSyncError():
            _log.debug("ended by an error", exc_info=error)
            _tell(call, error)
            return error.exit_code
        case typer.TyperException():
            _tell(call, UsageError(error.format_message(), hint=_see_help(error)))
            return error.exit_code
        case _:
            _log.error("unexpected error", exc_info=error)
            told = CrdtSyncError(
                f"unexpected {type(error).__name__}: {error}",
                hint="Nothing that was sent is lost. Run it again with --log-file FILE,"
                " and report what the file says.",
            )
            _tell(call, told)
            return FAILED


def innermost(error: BaseException) -> BaseException:
    """The one error that matters of a group of concurrent ones.

    A task that fails cancels its siblings; what they say while ending is noise, but
    an error of this program is preferred over any other.
    """
    while isinstance(error, BaseExceptionGroup):
        known = error.subgroup((CrdtSyncError, NobodyReads))
        error = (known or error).exceptions[0]
    return error


def _tell(call: Call, error: CrdtSyncError) -> None:
    try:
        call.tell(error)
    except OSError:
        return


def _see_help(error: typer.TyperException) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "crdtsync")
    return f"See `{path} --help`."


def _drop_output() -> None:
    """Let nothing be flushed at exit into a pipe that nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
