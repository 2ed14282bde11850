"""State vectors from outside: read, made canonical, compared by digest (W-11).

The native code trusts the counts in them, so they are checked before it sees one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from crdtsync.errors import ProtocolError
from crdtsync.sync.lib0 import Reader, Writer

__all__ = [
    "DIGEST_BYTES",
    "EMPTY_VECTOR",
    "digest",
    "lacks",
    "read_vector",
    "write_vector",
]

DIGEST_BYTES: Final = 16
"""Length of the digest in a CHECK."""

EMPTY_VECTOR: Final = b"\0"
"""The state vector of a document that has seen nothing."""

# Clocks are 32-bit with a sign in the native code.
_CLOCK_END: Final = 2**31
_ENTRY_BYTES_MIN: Final = 2


def read_vector(data: bytes) -> dict[int, int]:
    """Read a state vector: how many elements of each client its sender has.

    Raises:
        ProtocolError: It is none.
    """
    reader = Reader(data)
    count = reader.number()
    if count * _ENTRY_BYTES_MIN > reader.left:
        raise ProtocolError("W-11: a state vector announces more than it holds")
    vector: dict[int, int] = {}
    for _ in range(count):
        client, clock = reader.number(), reader.number()
        if clock >= _CLOCK_END or client in vector:
            raise ProtocolError("W-11: a state vector counts wrongly")
        vector[client] = clock
    if not reader.at_end:
        raise ProtocolError("W-11: bytes are left over after a state vector")
    return vector


def write_vector(vector: Mapping[int, int]) -> bytes:
    """Write a state vector in one certain order, without clients of nothing."""
    entries = sorted((client, clock) for client, clock in vector.items() if clock)
    writer = Writer()
    writer.number(len(entries))
    for client, clock in entries:
        writer.number(client)
        writer.number(clock)
    return writer.done()


def digest(state_vector: bytes) -> bytes:
    """Digest a state vector so that equal ones have equal digests.

    Raises:
        ProtocolError: It is no state vector.
    """
    canonical = write_vector(read_vector(state_vector))
    return hashlib.blake2b(canonical, digest_size=DIGEST_BYTES).digest()


def lacks(theirs: bytes, ours: bytes) -> bool:
    """Whether a document with the first state vector lacks anything of the second.

    Raises:
        ProtocolError: One is no state vector.
    """
    known = read_vector(theirs)
    return any(known.get(c, 0) < clock for c, clock in read_vector(ours).items())
