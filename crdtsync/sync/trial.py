"""A process of its own in which a large update is tried.

It is run as `python -m crdtsync.sync.trial`: it reads a request on stdin, scans and
applies the update, reads the result as a reader would, and says on stdout how that
went. It may crash or hang, whoever starts it kills it, and nothing that it built leaves
it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from pycrdt import Array, Doc, Map, Text

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Roots, scan

__all__ = ["MEMORY_BYTES_MAX", "encode_request", "main"]

# Native documents take some twelve times their encoded size.
MEMORY_BYTES_MAX: Final = 4 << 30

_Document: TypeAlias = Doc[Array[object] | Map[object] | Text]

_HEAD: Final = struct.Struct("!dIII")

_READERS: Final[Mapping[str, Callable[[_Document, str], object]]] = {
    "array": lambda document, root: document.get(root, type=Array),
    "map": lambda document, root: document.get(root, type=Map),
    "text": lambda document, root: document.get(root, type=Text),
}


def main() -> int:
    """Answer the request on stdin; returns the exit status."""
    request = _read_request(sys.stdin.buffer)
    document: _Document = Doc()
    if request.state:
        document.apply_update(request.state)
    # What the document itself needs is not the update's fault: the clock starts here.
    _bound(request.deadline_s)
    answer = {}
    try:
        scan(request.update, session=request.session)
        _try(document, request.update, request.roots)
    except UpdateRefused as refused:
        answer = {"rule": refused.rule, "message": str(refused)}
    # A panic of the native code is no Exception.
    except BaseException:
        answer = {"rule": "T3-2", "message": "It cannot be applied or read."}
    sys.stdout.write(json.dumps(answer))
    return 0


class _Request(NamedTuple):
    deadline_s: float
    roots: Mapping[str, str]
    session: bool
    state: bytes
    update: bytes


def encode_request(
    deadline_s: float, roots: Roots, state: bytes, update: bytes, *, session: bool
) -> bytes:
    """Return what `main` reads on stdin."""
    options = json.dumps({"roots": dict(roots), "session": session}).encode()
    head = _HEAD.pack(deadline_s, len(options), len(state), len(update))
    return head + options + state + update


def _read_request(stream: BinaryIO) -> _Request:
    deadline_s, options, state, update = _HEAD.unpack(stream.read(_HEAD.size))
    asked = json.loads(stream.read(options))
    roots = {str(name): str(kind) for name, kind in asked["roots"].items()}
    session = bool(asked["session"])
    return _Request(deadline_s, roots, session, stream.read(state), stream.read(update))


def _bound(deadline_s: float) -> None:
    """Die by the deadline and stay small even if whoever started this is gone."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, deadline_s)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not everywhere

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def _try(document: _Document, update: bytes, roots: Mapping[str, str]) -> None:
    document.apply_update(update)
    _read(document, roots)
    # What is stored from here on has to load again and read the same way.
    reloaded: _Document = Doc()
    reloaded.apply_update(document.get_update())
    _read(reloaded, roots)


def _read(document: _Document, roots: Mapping[str, str]) -> None:
    for root, kind in roots.items():
        str(_READERS[kind](document, root))
    document.get_state()


if __name__ == "__main__":
    sys.exit(main())
