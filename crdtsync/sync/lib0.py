"""Numbers, lengths and texts as lib0 writes them (docs: protocol, W-2 to W-4).

It knows no message; whatever is wrong with the bytes is a `ProtocolError`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from crdtsync.errors import ProtocolError

__all__ = ["NUMBER_BYTES_MAX", "NUMBER_MAX", "Reader", "Writer"]

NUMBER_BYTES_MAX: Final = 8
"""A number takes at most so many bytes."""

NUMBER_MAX: Final = 2**53 - 1
"""Largest number that every Yjs client holds exactly."""


_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80

# The two classes have methods of this name.
_Bytes: TypeAlias = bytes


class Reader:
    """Reads bytes from front to back and checks every length before using it."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._end = len(data)

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return self._at == self._end

    @property
    def left(self) -> int:
        """How many bytes were not read yet."""
        return self._end - self._at

    def number(self) -> int:
        """Read a varUint."""
        at = self._at
        if at < self._end and (byte := self._data[at]) < _MORE:
            # Nearly all are so small.
            self._at = at + 1
            return byte
        return self._long_number()

    def _long_number(self) -> int:
        number = shift = 0
        for size in range(NUMBER_BYTES_MAX):
            if self._at == self._end:
                raise ProtocolError("W-3: it ends within a number")
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & _SEVEN_BITS) << shift
            if byte < _MORE:
                if (size and not byte) or number > NUMBER_MAX:
                    break
                return number
            shift += 7
        raise ProtocolError("W-2: a number is too large or not in its shortest form")

    def bytes(self) -> bytes:
        """Read a length and so many bytes."""
        end = self.number() + self._at
        if end > self._end:
            raise ProtocolError("W-3: a length goes beyond the end")
        found = self._data[self._at : end]
        self._at = end
        return found

    def text(self) -> str:
        """Read a length in bytes and so much UTF-8."""
        try:
            return self.bytes().decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("W-4: a text is not UTF-8") from error

    def skip(self) -> None:
        """Leave everything that was not read yet."""
        self._at = self._end


class Writer:
    """Collects what a `Reader` reads."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def number(self, number: int) -> None:
        """Write a varUint.

        Raises:
            ValueError: It is below 0 or above `NUMBER_MAX`.
        """
        if not 0 <= number <= NUMBER_MAX:
            raise ValueError("a number is between 0 and 2**53 - 1")
        while number > _SEVEN_BITS:
            self._out.append(_MORE | (number & _SEVEN_BITS))
            number >>= 7
        self._out.append(number)

    def bytes(self, data: bytes) -> None:
        """Write a length and the bytes."""
        self.number(len(data))
        self._out += data

    def text(self, text: str) -> None:
        """Write a length in bytes and the text in UTF-8.

        Raises:
            ValueError: It holds half a character.
        """
        self.bytes(text.encode())

    def done(self) -> _Bytes:
        """Return all that was written."""
        return _Bytes(self._out)
