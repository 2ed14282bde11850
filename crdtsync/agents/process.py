"""A child process that leads its own group and cannot outlive its `async with`.

It moves bytes and signals; it knows no protocol and no turn.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from crdtsync.errors import OperationFailed

from .spec import AgentLimits
from .tasks import open_tasks

__all__ = ["Child", "open_child"]

ERROR_TAIL_CHARS = 2000
"""How much of stderr goes into an error message that people read."""
GROUP_POLL_S = 0.02
"""Nothing tells when a process group becomes empty; it is asked so often."""
KILL_WAIT_S = 0.2
"""A killed process is gone a moment later; a zombie nobody reaps never is."""
STDERR_DRAIN_S = 0.2
"""Last words may be in the pipe still when the exit is already known."""

_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)


class Child:
    """A running process and its pipes; made by `open_child` only."""

    def __init__(self, process: Process, limits: AgentLimits):
        self._process = process
        self._limits = limits
        self._tail = bytearray()
        self._drained = anyio.Event()
        self._output_ended = anyio.Event()
        self._receiving: anyio.CancelScope | None = None
        self._exited = False
        self._lock = anyio.Lock()
        self._ended = False
        self._put_down = False

    @property
    def pid(self) -> int:
        """The leader's process id, and the id of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or the negative signal number; None while it runs."""
        return self._process.returncode

    async def send(self, data: bytes) -> None:
        """Write to its stdin.

        Raises:
            OperationFailed: It does not read any more.
        """
        try:
            await self._stdin.send(data)
        except (*_GONE, OSError) as error:
            raise OperationFailed("the process reads no more input") from error

    async def send_eof(self) -> None:
        """Close its stdin; again is harmless."""
        with suppress(*_GONE, OSError):
            await self._stdin.aclose()

    async def receive(self) -> bytes:
        """Next piece of its stdout; b"" at the end.

        A process that left the group may hold the pipe for ever: after the leader's
        exit nothing is waited for longer than `late_s`.
        """
        data = b""
        with anyio.CancelScope() as scope, suppress(*_GONE):
            self._receiving = scope
            self._limit_wait()
            data = await self._stdout.receive()
        self._receiving = None
        if not data:
            self._output_ended.set()
        return data

    async def wait_output_ended(self) -> None:
        """Wait until `receive` has given everything there was."""
        await self._output_ended.wait()

    def note(self, line: bytes) -> None:
        """Keep a line that does not belong on stdout, as if it came on stderr."""
        self._keep(line + b"\n")

    async def describe_end(self) -> str:
        """Say how it ended, with the tail of its stderr; waits shortly for both."""
        limits = self._limits
        end_s = limits.eof_grace_s + limits.term_grace_s + KILL_WAIT_S
        with anyio.move_on_after(end_s):
            await self._process.wait()
        with anyio.move_on_after(STDERR_DRAIN_S):
            await self._drained.wait()
        code = self._process.returncode
        if code is None:
            told = "closed its output without ending"
        elif self._put_down:
            told = "was ended"
        elif code < 0:
            told = f"was ended by signal {-code}"
        else:
            told = f"ended with exit code {code}"
        words = self._tail.decode(errors="replace").strip()[-ERROR_TAIL_CHARS:]
        return f"{told}: {words}" if words else told

    async def wait(self) -> int:
        """Wait for the leader's exit."""
        return await self._process.wait()

    async def end(self, *, politely: bool = True) -> None:
        """End the process and its group; when it returns nothing of it is left.

        Args:
            politely: Close stdin first and give it time to leave by itself.
        """
        async with self._lock:
            if self._ended:
                return
            if politely:
                await self.send_eof()
                with anyio.move_on_after(self._limits.eof_grace_s):
                    await self._process.wait()
            self._put_down = self._process.returncode is None
            self._signal(signal.SIGTERM)
            with anyio.move_on_after(self._limits.term_grace_s):
                await self._group_gone()
            self._signal(signal.SIGKILL)
            await self._process.wait()
            with anyio.move_on_after(KILL_WAIT_S):
                await self._group_gone()
            self._ended = True

    async def watch(self) -> None:
        """Take note of the leader's exit, and end what it left behind."""
        await self._process.wait()
        self._exited = True
        self._limit_wait()
        await self.end(politely=False)

    @property
    def _stdin(self) -> ByteSendStream:
        stream = self._process.stdin
        assert stream is not None, "opened with a pipe"  # noqa: S101
        return stream

    @property
    def _stdout(self) -> ByteReceiveStream:
        stream = self._process.stdout
        assert stream is not None, "opened with a pipe"  # noqa: S101
        return stream

    async def drain_stderr(self) -> None:
        """Read stderr for as long as there is any; unread, it stops the agent."""
        stream = self._process.stderr
        assert stream is not None, "opened with a pipe"  # noqa: S101
        with suppress(*_GONE):
            async for data in stream:
                self._keep(data)
        self._drained.set()

    def _limit_wait(self) -> None:
        if self._exited and self._receiving is not None:
            self._receiving.deadline = anyio.current_time() + self._limits.late_s

    def _keep(self, data: bytes) -> None:
        self._tail += data
        del self._tail[: -self._limits.stderr_tail_bytes]

    def _signal(self, number: int) -> bool:
        """Signal the group; False if nothing is left of it."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS says so of a group of zombies
            return False
        return True

    async def _group_gone(self) -> None:
        await self._process.wait()
        while self._signal(0):  # noqa: ASYNC110 - there is no event for it
            await anyio.sleep(GROUP_POLL_S)


@asynccontextmanager
async def open_child(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], limits: AgentLimits
) -> AsyncIterator[Child]:
    """Start a process in a group of its own; on leaving, the whole group is ended.

    Args:
        argv: argv[0] absolute, as `resolve_command` gives it.
        cwd: Its working folder.
        env: Its whole environment.
        limits: How long to wait for its end, how much of stderr to keep.

    Raises:
        OperationFailed: It cannot be started.
    """
    try:
        process = await anyio.open_process(
            list(argv), cwd=cwd, env=env, start_new_session=True
        )
    except OSError as error:
        raise OperationFailed(f"cannot start {argv[0]}: {error.strerror}") from error
    child = Child(process, limits)
    async with open_tasks() as tasks:
        tasks.start_soon(child.drain_stderr)
        tasks.start_soon(child.watch)
        try:
            yield child
        finally:
            with anyio.CancelScope(shield=True):
                await child.end()
                await process.aclose()
