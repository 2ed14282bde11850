"""The interactive window: an input line under the terminal's own scrollback."""

from __future__ import annotations

from crdtsync_cli.terminal.look import look_from
from crdtsync_cli.terminal.screen import run_screen

__all__ = ["look_from", "run_screen"]
