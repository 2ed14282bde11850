"""Bounds of the session shell (I-4); other parts keep their own themselves."""

from __future__ import annotations

from typing import Final

MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Largest text of one message, in UTF-8 bytes; beyond it a file is the better place."""

TITLE_CHARS_MAX: Final = 200
"""Longest title of a session."""

EVENTS_WAITING_MAX: Final = 20_000
"""Events one reader may leave unread; then it gets one `reset` instead of them."""

UNSAVED_UPDATES_MAX: Final = 10_000
"""Updates that may wait for a disk that cannot be written; then edits are refused."""

ROWS_AT_ONCE_MAX: Final = 1000
"""Rows read from the log in one query."""

ROWS_ONE_BY_ONE_MAX: Final = 64
"""So many rows are folded one by one, each with its own `seq`; more go at once."""

RETRY_UNWRITABLE_S: Final = 2.0
"""Pause before updates are tried again on a disk that could not be written."""

NAMING_TRIES_MAX: Final = 3
"""How often a name is given that other processes take at the same instant."""

FLUSH_AT_CLOSE_S: Final = 5.0
"""How long closing waits for the last updates to be on disk."""

MERGE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Largest file that is imported or merged."""
