"""The process of an ACP agent together with the requests to it; knows no turn."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup, TaskStatus

from .process import Child, open_child
from .spec import AgentLimits, AgentSpec

if TYPE_CHECKING:
    from .rpc import Peer, Rpc

__all__ = ["Connection", "runs_asyncio"]


class Connection:
    """One process, opened at most once; its end is the end of its task.

    Attributes:
        rpc: None until it is open.
    """

    def __init__(
        self,
        spec: AgentSpec,
        env: Mapping[str, str],
        limits: AgentLimits,
        tasks: TaskGroup,
    ):
        self.rpc: Rpc | None = None
        self._spec = spec
        self._env = env
        self._limits = limits
        self._tasks = tasks
        self._life = anyio.CancelScope()
        self._gone = anyio.Event()
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The running process; None before the start and after the end."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def open(self, argv: Sequence[str], cwd: str, peer: Peer) -> Rpc:
        """Start the process, and load the SDK beside the event loop meanwhile.

        Raises:
            OperationFailed: It cannot be started.
        """
        child: Child = await self._tasks.start(self._live, argv, cwd)
        sdk = await anyio.to_thread.run_sync(
            importlib.import_module, f"{__package__}.rpc", abandon_on_cancel=True
        )
        rpc: Rpc = sdk.Rpc(child, peer, limits=self._limits, login=self._spec.login)
        self.rpc = rpc
        return rpc

    async def end(self) -> None:
        """End the process at once; what it said before is read still."""
        if self._child is not None:
            await self._child.end(politely=False)

    async def close(self) -> None:
        """End the process, politely at first, and read no more."""
        if self._child is not None:
            self._life.cancel()
            await self._gone.wait()

    async def describe_end(self) -> str:
        """How the process ended, with its last words."""
        return await self._child.describe_end() if self._child is not None else ""

    async def _live(
        self,
        argv: Sequence[str],
        cwd: str,
        *,
        task_status: TaskStatus[Child] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Own the process from its start to its end."""
        try:
            with self._life:
                async with open_child(
                    argv, cwd=cwd, env=self._env, limits=self._limits
                ) as child:
                    self._child = child
                    task_status.started(child)
                    await child.wait_output_ended()
        finally:
            self._gone.set()
            with anyio.CancelScope(shield=True):
                if self.rpc is not None:
                    await self.rpc.close()


def runs_asyncio() -> bool:
    """Whether the event loop is asyncio's, as the protocol's SDK needs it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
