"""Runs `compaction.fold` in a process of its own, with a deadline.

For documents so big that a thread would stop the event loop (pycrdt holds the
interpreter's lock), and for updates that may crash or hang the decoder. It knows no
database.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Sequence

from crdtsync.log import Stored
from crdtsync.log.compaction import Folded, FoldMismatch, fold

FOLD_HERE_BYTES_MAX = 256 * 1024
"""Largest document folded in this process; takes some milliseconds."""

FOLD_HERE_ROWS_MAX = 2_500
"""Most rows folded in this process."""

FOLD_S_MAX = 120.0
"""Longest time for folding one document; 100,000 messages take about 2 s."""

DECODE_S_MAX = 60.0
"""Longest time for decoding one document that is not trusted."""

_LENGTH = struct.Struct("<I")


class FoldFailed(Exception):
    """The updates could not be folded: malformed, or they crash or hang the decoder."""


def fold_apart(stored: Stored) -> Folded | None:
    """Fold a document, big ones in a child process; blocks.

    Raises:
        FoldFailed: It cannot be folded. The log is good as it is.
    """
    size_bytes = len(stored.snapshot) + sum(map(len, stored.updates))
    small = (
        size_bytes <= FOLD_HERE_BYTES_MAX and len(stored.updates) <= FOLD_HERE_ROWS_MAX
    )
    if not stored.updates:
        return None
    if small:
        try:
            return fold(stored.snapshot, stored.updates)
        except (FoldMismatch, ValueError, RuntimeError, IndexError) as fault:
            raise FoldFailed(str(fault)) from fault
    return fold_in_child(stored.snapshot, stored.updates)


def fold_in_child(
    snapshot: bytes, updates: Sequence[bytes], *, deadline_s: float = FOLD_S_MAX
) -> Folded | None:
    """Fold in a child process, which may crash or hang without harm; blocks.

    Raises:
        FoldFailed: The child died, took longer than the deadline, or refused.
    """
    # -P: the working folder is not trusted, and -m would import from it.
    command = [sys.executable, "-P", "-m", __name__]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            input=_pack([snapshot, *updates]),
            capture_output=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise FoldFailed(f"decoding took more than {deadline_s:g} s") from fault
    if child.returncode:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        cause = last[0] if last else f"exit status {child.returncode}"
        raise FoldFailed(f"decoding failed: {cause}")
    parts = _unpack(child.stdout)
    if not parts:
        return None
    kept = tuple(index for (index,) in _LENGTH.iter_unpack(parts[2]))
    return Folded(parts[0], parts[1], kept)


def decodes(
    snapshot: bytes, updates: Sequence[bytes], *, deadline_s: float = DECODE_S_MAX
) -> str:
    """Decode updates in a child process, which may crash or hang.

    Returns:
        Why it failed, in words; empty if it did not.
    """
    try:
        fold_in_child(snapshot, updates, deadline_s=deadline_s)
    except FoldFailed as fault:
        return str(fault)
    return ""


def first_undecodable(
    snapshot: bytes, updates: Sequence[bytes], *, deadline_s: float = DECODE_S_MAX
) -> int | None:
    """Find the first update that crashes or hangs the decoder; None if all decode.

    Takes up to log2(n) + 1 times the deadline.
    """
    if not decodes(snapshot, updates, deadline_s=deadline_s):
        return None
    good, bad = 0, len(updates)
    while bad - good > 1:
        middle = (good + bad) // 2
        if decodes(snapshot, updates[:middle], deadline_s=deadline_s):
            bad = middle
        else:
            good = middle
    return bad - 1


def _pack(parts: Sequence[bytes]) -> bytes:
    packed: list[bytes] = []
    for part in parts:
        packed.append(_LENGTH.pack(len(part)))
        packed.append(part)
    return b"".join(packed)


def _unpack(data: bytes) -> list[bytes]:
    parts: list[bytes] = []
    position = 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        parts.append(data[position : position + length])
        position += length
    return parts


def main() -> None:
    """Be the child: fold what comes on stdin."""
    _forbid_core_dumps()
    snapshot, *updates = _unpack(sys.stdin.buffer.read())
    folded = fold(snapshot, updates)
    if folded is not None:
        kept = b"".join(map(_LENGTH.pack, folded.kept))
        sys.stdout.buffer.write(_pack([folded.snapshot, folded.state_vector, kept]))


def _forbid_core_dumps() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
