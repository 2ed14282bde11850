"""The bounds of the HTTP API (I-4, X-5); those that may be set are in `limits`."""

from __future__ import annotations

from typing import Final

MESSAGE_BODY_BYTES_MAX: Final = 7 * 1024 * 1024
"""Largest body of a request that holds a message: JSON makes six bytes of one."""

PAGE_BYTES_MAX: Final = 1024 * 1024
"""A page of messages ends after so many bytes of text, and has one at least."""

PAGE_MAX: Final = 200
"""Most entries of one page."""

PAGE: Final = 50
"""Entries of a page unless somebody says otherwise."""

DESKS_MAX: Final = 64
"""Sessions that are read or written through the API at the same time."""

STREAMS_PER_SESSION_MAX: Final = 200
"""Event streams of one session."""

STREAM_PIECE_BYTES: Final = 64 * 1024
"""Events are written to a stream in pieces of about this size."""

REPLAYED_ROWS_MAX: Final = 20_000
"""Rows of the log from which missed events are derived; of more, a `reset` is told."""

REPLAYS_AT_ONCE_MAX: Final = 2
"""Streams that catch up from the log at the same time; each loads the session."""

SNAPSHOTS_AT_ONCE_MAX: Final = 2
"""Snapshots written at the same time; each loads the session."""

ANSWER_S: Final = 30.0
"""Longest wait of a request for the disk, or for its turn."""

CALLERS_MAX: Final = 10_000
"""Callers whose budgets are remembered."""

RETRY_MS: Final = 1000
"""Clients of a stream that broke are told to wait so long before they come back."""
