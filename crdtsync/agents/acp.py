"""Agents that speak the Agent Client Protocol, version 1, on their stdio.

Asyncio only, as the protocol's SDK is. It decides no permission and keeps no history.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.schema import JsonObject, JsonValue

from .bounds import read_object
from .commands import check_folder, resolve_command
from .connection import Connection, runs_asyncio
from .environment import agent_environment, write_turn
from .events import AgentEvent, PermissionResolved, TurnEnd
from .handshake import check_servers, shake_hands
from .reading import ephemeral, read_usage
from .spec import AgentLimits, AgentSpec
from .tasks import open_tasks
from .turn import Turn

__all__ = ["open_acp_agent"]

HELD_EVENTS_MAX: Final = 64
"""Ephemeral events that came between two turns; the oldest are dropped."""

_CANCELLED: Final[JsonObject] = {"outcome": {"outcome": "cancelled"}}


@asynccontextmanager
async def open_acp_agent(
    spec: AgentSpec,
    *,
    session: str,
    data: str,
    environ: Mapping[str, str] | None,
    limits: AgentLimits,
) -> AsyncIterator[AcpAgent]:
    """Open an agent that speaks ACP; arguments as of `open_agent`.

    Raises:
        UsageError: The event loop is not asyncio's.
    """
    if not runs_asyncio():
        raise UsageError(
            f"agent {spec.name} speaks ACP, which runs on asyncio only",
            hint="Run the event loop with asyncio, or use an exec agent.",
        )
    with tempfile.TemporaryDirectory(prefix="crdtsync-agent-") as folder:
        turn_file = str(Path(folder) / "turn")
        env = agent_environment(
            os.environ if environ is None else environ,
            allow=spec.env_allow,
            extra={**spec.env_set, "CRDTSYNC_TURN_FILE": turn_file},
            session=session,
            data=data,
            agent=spec.name,
        )
        async with open_tasks() as tasks:
            agent = AcpAgent(spec, env, limits, tasks)
            try:
                yield agent
            finally:
                with anyio.CancelScope(shield=True):
                    await agent.close()


@dataclass(slots=True)
class _Question:
    """An agent's request that waits for a person."""

    answered: anyio.Event = field(default_factory=anyio.Event)
    option: str | None = None


class AcpAgent:
    """An agent process with one session; see `Agent` for what it guarantees."""

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
        self.remembers = True
        self.resumed = False
        self._spec = spec
        self._env = env
        self._limits = limits
        self._tasks = tasks
        self._connection = Connection(spec, env, limits, tasks)
        self._turn: Turn | None = None
        self._held: deque[AgentEvent] = deque(maxlen=HELD_EVENTS_MAX)
        self._questions: dict[str, _Question] = {}
        self._asked = 0

    @property
    def pid(self) -> int | None:
        """The running process; None before the start and after the end."""
        return self._connection.pid

    async def start(
        self,
        cwd: str,
        *,
        resume: str | None = None,
        mcp: Sequence[Mapping[str, JsonValue]] = (),
    ) -> None:
        """Start the process and open its session; see `Agent.start`."""
        if self._connection.rpc is not None:
            raise UsageError(f"agent {self.name} has been started already")
        argv = resolve_command(self._spec, self._env["PATH"])
        check_folder(cwd)
        servers = check_servers(mcp)
        try:
            with anyio.fail_after(self._limits.handshake_s):
                rpc = await self._connection.open(argv, cwd, self)
                opened = await shake_hands(rpc, self._spec, cwd, servers, resume)
        except TimeoutError:
            await self.close()
            words = await self._connection.describe_end()
            told = f"did not answer within {self._limits.handshake_s:g} s: {words}"
            raise OperationFailed(f"agent {self.name} {told}") from None
        except OperationFailed as error:
            await self.close()
            raise OperationFailed(
                f"agent {self.name} did not start: {error}", hint=error.hint
            ) from error
        self.session_id = opened.session_id
        self.resumed = opened.resumed
        self.name = opened.name or self.name
        self.version = opened.version
        self._held.extend(opened.events)

    async def prompt(
        self, text: str, *, turn: str = "", depth: int = 0
    ) -> AsyncIterator[AgentEvent]:
        """Run one turn; see `Agent.prompt`."""
        problem = await self._why_not()
        if problem:
            yield TurnEnd("error", problem)
            return
        running = self._turn = Turn(self._limits.events_max)
        running.put(self._held)
        self._held.clear()
        self._name_turn(turn, depth)
        self._tasks.start_soon(self._run, running, text)
        try:
            while not isinstance(event := await running.next(), TurnEnd):
                yield event
            yield event
        finally:
            if not running.done.is_set():
                self._tasks.start_soon(self.cancel)

    def resolve(self, permission_id: str, option_id: str | None) -> bool:
        """Answer a question of the agent; see `Agent.resolve`."""
        turn = self._turn
        if turn is None or not turn.state.resolve(permission_id, option_id):
            return False
        turn.put([PermissionResolved(permission_id, option_id)])
        question = self._questions.get(permission_id)
        if question is not None:
            question.option = option_id
            question.answered.set()
        return True

    async def cancel(self) -> None:
        """End the running turn; see `Agent.cancel`."""
        turn, rpc = self._turn, self._connection.rpc
        if turn is None or rpc is None:
            return
        turn.cancel()
        for permission_id in turn.state.open_permissions():
            self.resolve(permission_id, None)
        with (
            anyio.move_on_after(self._limits.cancel_grace_s),
            suppress(OperationFailed),
        ):
            await rpc.notify("session/cancel", {"sessionId": self.session_id})
            await turn.done.wait()
            return
        await self._connection.end()
        await turn.done.wait()

    async def close(self) -> None:
        """End the process and its group; see `Agent.close`."""
        await self._connection.close()

    def on_update(self, params: JsonObject) -> None:
        """Take an update: no await before the event is in its place."""
        if self.session_id and params.get("sessionId") != self.session_id:
            return
        update = read_object(params.get("update"))
        if self._turn is None:
            self._held.extend(ephemeral(update))
        else:
            self._turn.put(self._turn.state.update(update))

    async def on_permission(self, params: JsonObject) -> JsonObject:
        """Put a question to whoever reads the turn, and wait for `resolve`."""
        turn = self._turn
        if turn is None or turn.cancelled:
            return _CANCELLED
        self._asked += 1
        permission_id = f"p{self._asked}"
        events = turn.state.ask(permission_id, params)
        if not events:
            return _CANCELLED
        question = self._questions[permission_id] = _Question()
        turn.put(events)
        try:
            await question.answered.wait()
        finally:
            del self._questions[permission_id]
        if question.option is None:
            return _CANCELLED
        return {"outcome": {"outcome": "selected", "optionId": question.option}}

    async def _run(self, turn: Turn, text: str) -> None:
        """Carry one turn to its end, whatever happens."""
        stop, error = "error", "the agent was closed"
        try:
            stop, error = await self._ask(turn, text)
        finally:
            for permission_id in turn.state.open_permissions():
                self.resolve(permission_id, None)
            self._turn = None
            turn.finish("cancelled" if turn.cancelled else stop, error or None)
            self._name_turn("")

    async def _ask(self, turn: Turn, text: str) -> tuple[str, str]:
        """Send the prompt, and wait for its response and what comes late."""
        rpc = self._connection.rpc
        assert rpc is not None, "checked before the turn"  # noqa: S101
        prompt: JsonValue = [{"type": "text", "text": text}]
        params: JsonObject = {"sessionId": self.session_id, "prompt": prompt}
        try:
            response = await rpc.call("session/prompt", params)
        except OperationFailed as failure:
            if turn.cancelled:  # some agents answer a cancel with an error
                ended = f"agent {self.name} was ended to stop the turn"
                return "cancelled", ended if self.pid is None else ""
            said = f"agent {self.name}: {failure}"
            return "error", f"{said} ({failure.hint})" if failure.hint else said
        usage = response.get("usage")
        if isinstance(usage, dict):
            turn.put([turn.state.use(read_usage(usage))])
        if not turn.cancelled:
            await self._settle(turn)
        stop = response.get("stopReason")
        return stop if isinstance(stop, str) else "end_turn", ""

    async def _settle(self, turn: Turn) -> None:
        """Wait until the agent is quiet: some send updates after the response."""
        with anyio.move_on_after(self._limits.late_s):
            seen = -1
            while seen != turn.events_put:
                seen = turn.events_put
                await anyio.sleep(self._limits.quiet_s)

    async def room(self) -> None:
        """Let the reader of the turn catch up before more is read."""
        if self._turn is not None:
            await self._turn.room()

    def _name_turn(self, turn: str, depth: int = 0) -> None:
        with suppress(OSError):  # without the file the agent's tools know no turn
            write_turn(self._env["CRDTSYNC_TURN_FILE"], turn, depth)

    async def _why_not(self) -> str:
        """Why there can be no turn now; "" if there can."""
        if not self.session_id:
            return f"agent {self.name} has not been started"
        if self._turn is not None:
            return f"agent {self.name} is busy with another turn"
        if self.pid is None:
            return f"agent {self.name} {await self._connection.describe_end()}"
        return ""
