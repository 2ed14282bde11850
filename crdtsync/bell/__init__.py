"""The bell seam: the lossy hint "the log grew" between windows of one machine.

Implementations: `bell.memory`, `bell.unix` (datagram sockets) and `bell.polling`
(where AF_UNIX is missing). All pass tests/seams/test_bell.py. A bell may lose, repeat
and reorder; sequence numbers repair what it loses.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["PAYLOAD_BYTES_MAX", "Bell"]

PAYLOAD_BYTES_MAX = 4096
"""Largest payload of one ring; presence states are bounded to fit."""


class Bell(Protocol):
    """One window's bell, open for as long as the window is."""

    @property
    def name(self) -> str:
        """This window's id, unique among the windows of the session."""
        ...

    def ring(self, payload: bytes = b"") -> tuple[str, ...]:
        """Send a payload to every other window; never blocks, never raises.

        Returns:
            Names of windows found dead while ringing; their sockets are removed.

        Raises:
            ValueError: The payload is longer than `PAYLOAD_BYTES_MAX`.
        """
        ...

    async def wait(self) -> list[bytes]:
        """Wait until something arrived, and return all payloads that did.

        A ring whose payload was dropped because this window was slow counts as b"".
        """
        ...

    def others(self) -> tuple[str, ...]:
        """Names of the other windows that are alive, checked now."""
        ...
