"""Puts frames together again that came in parts (W-10); it reads no message."""

from __future__ import annotations

from crdtsync.errors import ProtocolError
from crdtsync.sync.messages import Part

__all__ = ["Assembly", "TooLarge"]


class TooLarge(ProtocolError):
    """A frame is announced that is larger than allowed."""


class Assembly:
    """The frame that is coming in parts, if any.

    Args:
        bytes_max: Largest frame; only what has arrived takes memory.
    """

    __slots__ = ("_bytes_max", "_left", "_pieces")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._left = 0
        self._pieces: list[bytes] = []

    def add(self, part: Part) -> bytes | None:
        """Take a part; returns the frame with its last one.

        Raises:
            TooLarge: The frame would be too large.
            ProtocolError: The part does not follow the one before it.
        """
        whole = part.left + len(part.data)
        if not part.data or (self._pieces and whole != self._left):
            raise ProtocolError("W-10: a part is empty or does not fit the last one")
        if not self._pieces and whole > self._bytes_max:
            raise TooLarge(f"a frame of {whole} bytes; {self._bytes_max} are allowed")
        self._pieces.append(part.data)
        self._left = part.left
        return None if part.left else self._whole()

    def clear(self) -> None:
        """Forget what has come so far."""
        self._pieces.clear()
        self._left = 0

    def _whole(self) -> bytes:
        frame = b"".join(self._pieces)
        self.clear()
        return frame
