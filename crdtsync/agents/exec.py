"""Any command as an agent: the prompt on stdin, the answer on stdout; asks nothing.

One process per turn, which knows nothing of the turns before.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import TaskGroup

from crdtsync.errors import OperationFailed
from crdtsync.schema import JsonValue

from .bounds import pieces
from .commands import check_folder, resolve_command
from .environment import agent_environment, turn_environment
from .events import AgentEvent, TextDelta, TurnEnd
from .process import Child, open_child
from .spec import AgentLimits, AgentSpec
from .tasks import open_tasks
from .turn import Turn

__all__ = ["open_exec_agent"]


@asynccontextmanager
async def open_exec_agent(
    spec: AgentSpec,
    *,
    session: str,
    data: str,
    environ: Mapping[str, str] | None,
    limits: AgentLimits,
) -> AsyncIterator[ExecAgent]:
    """Open a command as an agent; arguments as of `open_agent`."""
    env = agent_environment(
        os.environ if environ is None else environ,
        allow=spec.env_allow,
        extra=spec.env_set,
        session=session,
        data=data,
        agent=spec.name,
    )
    async with open_tasks() as tasks:
        agent = ExecAgent(spec, env, limits, tasks)
        try:
            yield agent
        finally:
            with anyio.CancelScope(shield=True):
                await agent.close()


class ExecAgent:
    """A command that is run once per turn; see `Agent` for what it guarantees."""

    def __init__(
        self,
        spec: AgentSpec,
        env: Mapping[str, str],
        limits: AgentLimits,
        tasks: TaskGroup,
    ):
        self.session_id = ""
        self.name = spec.name
        self.version = ""
        self.remembers = False
        self.resumed = False
        self._spec = spec
        self._env = env
        self._limits = limits
        self._tasks = tasks
        self._argv: tuple[str, ...] = ()
        self._cwd = ""
        self._closed = False
        self._child: Child | None = None
        self._turn: Turn | None = None

    @property
    def pid(self) -> int | None:
        """The process of the running turn."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def start(
        self,
        cwd: str,
        *,
        resume: str | None = None,
        mcp: Sequence[Mapping[str, JsonValue]] = (),
    ) -> None:
        """Find the command; there is nothing to resume, and no use for MCP servers."""
        del resume, mcp
        self._argv = resolve_command(self._spec, self._env["PATH"])
        check_folder(cwd)
        self._cwd = cwd

    async def prompt(
        self, text: str, *, turn: str = "", depth: int = 0
    ) -> AsyncIterator[AgentEvent]:
        """Run the command; see `Agent.prompt`."""
        problem = self._why_not()
        if problem:
            yield TurnEnd("error", problem)
            return
        running = self._turn = Turn(self._limits.events_max)
        env = {**self._env, **turn_environment(turn, depth)}
        self._tasks.start_soon(self._run, running, text, env)
        try:
            while not isinstance(event := await running.next(), TurnEnd):
                yield event
            yield event
        finally:
            if not running.done.is_set():
                self._tasks.start_soon(self.cancel)

    def resolve(self, permission_id: str, option_id: str | None) -> bool:
        """Nothing is ever asked."""
        del permission_id, option_id
        return False

    async def cancel(self) -> None:
        """End the command and all it has started; see `Agent.cancel`."""
        turn = self._turn
        if turn is None:
            return
        turn.cancel()
        if self._child is not None:
            await self._child.end(politely=False)
        await turn.done.wait()

    async def close(self) -> None:
        """End the running command, if any; no turn can follow."""
        self._closed = True
        await self.cancel()

    async def _run(self, turn: Turn, text: str, env: Mapping[str, str]) -> None:
        """Carry one turn to its end, whatever happens."""
        stop, error = "error", "the agent was closed"
        try:
            stop, error = await self._execute(turn, text, env)
        except OperationFailed as failure:
            stop, error = "error", str(failure)
        finally:
            self._turn = self._child = None
            turn.finish("cancelled" if turn.cancelled else stop, error or None)

    async def _execute(
        self, turn: Turn, text: str, env: Mapping[str, str]
    ) -> tuple[str, str]:
        async with open_child(
            self._argv, cwd=self._cwd, env=env, limits=self._limits
        ) as child:
            self._child = child
            if turn.cancelled:
                return "cancelled", ""
            async with open_tasks() as tasks:
                tasks.start_soon(_feed, child, text)
                await _stream(child, turn)
            with anyio.move_on_after(self._limits.late_s):
                await child.wait()
            if child.returncode == 0 or turn.cancelled:
                return "end_turn", ""
            return "error", f"{self._spec.argv[0]} {await child.describe_end()}"

    def _why_not(self) -> str:
        if self._closed:
            return f"agent {self.name} was closed"
        if not self._argv:
            return f"agent {self.name} has not been started"
        if self._turn is not None:
            return f"agent {self.name} is busy with another turn"
        return ""


async def _feed(child: Child, text: str) -> None:
    """Write the prompt; a command may ignore it."""
    with suppress(OperationFailed):
        await child.send(text.encode(errors="replace"))
    await child.send_eof()


async def _stream(child: Child, turn: Turn) -> None:
    """Turn stdout into text; a character may come in two pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := await child.receive():
        turn.put(TextDelta(piece) for piece in pieces(decoder.decode(data)))
        await turn.room()
    turn.put(TextDelta(piece) for piece in pieces(decoder.decode(b"", final=True)))
