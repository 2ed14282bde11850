"""Trying a large update in a process that can be killed, before it is applied here.

It admits nothing: what survives the trial still goes through scan, check and commit.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream

from crdtsync.errors import OperationFailed
from crdtsync.sync.admission import Roots
from crdtsync.sync.admission.rules import RULES, refuse
from crdtsync.sync.trial import encode_request

__all__ = ["TRIAL_DEADLINE_S", "try_apply"]

# Processor time. Applying 3.3 MB of the worst valid data took 11 s; nobody waits that
# long.
TRIAL_DEADLINE_S: Final = 5.0
# A whole session of 30 MB takes some 4 s to scan, apply, read, load and read again.
_DEADLINE_S_PER_MIB: Final = 0.25
# Starting Python and loading the document is not the update's fault, nor is a machine
# on which much else runs.
_START_ALLOWANCE_S: Final = 30.0
_WAIT_FACTOR: Final = 4
# An answer is a rule and a sentence.
_ANSWER_BYTES_MAX: Final = 64 << 10
# `-P` keeps the current folder, which may be anybody's project, off the import path.
_COMMAND: Final = (sys.executable, "-P", "-m", "crdtsync.sync.trial")


async def try_apply(
    state: bytes,
    update: bytes,
    deadline_s: float = TRIAL_DEADLINE_S,
    *,
    roots: Roots,
    session: bool = True,
) -> None:
    """Apply an update to a copy of a document and read all of it, elsewhere.

    Returns when the copy has survived; cancelling kills the process.

    Args:
        state: The document as one update; empty for a new one.
        update: Nothing is known of it.
        deadline_s: Processor time that a small one may take, without the start of the
            process; a large one may take more.
        roots: What readers read, and as what.
        session: The document holds a session (T1-10).

    Raises:
        UpdateRefused: It breaks a rule of tier 1, took too long (T3-1), or raised,
            crashed or took too much memory (T3-2).
        OperationFailed: The process could not be started or cannot load the document.
    """
    deadline_s += len(update) / (1 << 20) * _DEADLINE_S_PER_MIB
    request = encode_request(deadline_s, roots, state, update, session=session)
    with anyio.move_on_after(deadline_s * _WAIT_FACTOR + _START_ALLOWANCE_S) as scope:
        status, answer = await _ask(request)
    if scope.cancelled_caught or status == -signal.SIGPROF:
        refuse("T3-1", f"The update could not be applied within {deadline_s:g} s.")
    if status < 0:
        refuse("T3-2", "The update crashes whoever applies or reads it.")
    rule, message = _read_answer(status, answer)
    if rule:
        refuse(rule, message)


async def _ask(request: bytes) -> tuple[int, bytes]:
    """Run one trial; returns its exit status and what it said."""
    try:
        # In a session of its own, Ctrl+C at the terminal does not end it.
        process = await anyio.open_process(
            _COMMAND, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as fault:
        raise OperationFailed("A trial process could not be started.") from fault
    async with process:
        try:
            assert process.stdin is not None  # noqa: S101 - asked for
            assert process.stdout is not None  # noqa: S101 - asked for
            # It may die before it has read everything.
            with contextlib.suppress(anyio.BrokenResourceError, ConnectionError):
                await process.stdin.send(request)
            await process.stdin.aclose()
            answer = await _receive(process.stdout)
            return await process.wait(), answer
        finally:
            if process.returncode is None:
                process.kill()


async def _receive(stream: ByteReceiveStream) -> bytes:
    answer = b""
    with contextlib.suppress(anyio.EndOfStream):
        while len(answer) < _ANSWER_BYTES_MAX:
            answer += await stream.receive()
    return answer


def _read_answer(status: int, answer: bytes) -> tuple[str, str]:
    """Return the rule that the trial found broken and why; empty if none."""
    if status:
        raise OperationFailed(f"A trial process failed with status {status}.")
    match json.loads(answer):
        case {"rule": str(rule), "message": str(message)} if rule in RULES:
            return rule, message
        case dict() as nothing if not nothing:
            return "", ""
    raise OperationFailed("A trial process gave no answer.")
