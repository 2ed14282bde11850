"""Runs the agent's process, one turn at a time; keeps no lease and ends no turn itself.

The process lives for many turns. If it dies, the next turn gets a new one, which is
told the conversation so far.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio

from crdtsync.agents import (
    Agent,
    AgentSpec,
    Info,
    Permission,
    PermissionResolved,
    TurnEnd,
    open_agent,
)
from crdtsync.agents.tasks import open_tasks
from crdtsync.entities import Participant
from crdtsync.errors import CrdtSyncError, LogUnwritable
from crdtsync.host.asking import Asking
from crdtsync.host.conversation import Conversation
from crdtsync.host.loops import depth_of_turn
from crdtsync.host.output import Output
from crdtsync.host.resuming import introduce, note_session, resumable, turns_of
from crdtsync.host.settings import HostSettings
from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync.turns.runner import Runner
from crdtsync.turns.signals import AgentEnded, Refused, Signal, Tick

LEFT = "the window that ran the turn was closed"


class Driver:
    """The agent of one window.

    Args:
        session: Where turns are written.
        spec: Which agent.
        author: The participant as which the agent writes.
        runner: Asked before each append.
        settings: How turns are run.
        post: Takes signals for the runner.

    Attributes:
        leaving: Set when the window closes; a turn that is stopped then says so.
    """

    def __init__(
        self,
        session: Session,
        spec: AgentSpec,
        author: Participant,
        runner: Runner,
        settings: HostSettings,
        post: Callable[[Signal], None],
    ) -> None:
        self.leaving = False
        self._session = session
        self._spec = spec
        self._author = author
        self._runner = runner
        self._settings = settings
        self._cwd = str((settings.cwd or Path.cwd()).resolve())
        self._post = post
        self._conversation = Conversation(session)
        self._turn = ""
        self._prompts: tuple[str, ...] = ()
        self._called = anyio.Event()
        self._wanted = anyio.Event()
        self._stopped = ""
        self._stopping = anyio.Event()
        self._starting: anyio.CancelScope | None = None
        self._asking: Asking | None = None

    def warm_up(self) -> None:
        """Start the process already: somebody is about to ask for a turn.

        Whether that works is told by the turn.
        """
        if self._spec.kind == "acp":
            self._wanted.set()

    def start(self, turn: str, prompts: tuple[str, ...]) -> None:
        """Run a turn beside everything else; it ends with one `AgentEnded`."""
        self._turn, self._prompts = turn, prompts
        self._called.set()
        self._wanted.set()

    def stop(self, turn: str) -> None:
        """Cancel a turn; the agent is killed if it goes on, or is starting still."""
        self._stopped = turn
        self._stopping.set()
        if self._starting is not None:
            self._starting.cancel()

    def votes_changed(self) -> None:
        """Have the votes on the open questions counted."""
        if self._asking is not None:
            self._asking.votes_changed()

    async def serve(self) -> None:
        """Run turns as they are asked for, with one process for as many as it lives."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            problem: TurnEnd | None = None
            async with AsyncExitStack() as stack:
                opened = await self._opened(stack)
                if isinstance(opened, TurnEnd):
                    problem = opened
                else:
                    await self._serve_with(opened)
            if problem is not None and self._called.is_set():
                # Only now nothing is left of the process.
                self._end(problem, {})
            elif self._called.is_set():
                self._wanted.set()

    async def _serve_with(self, agent: Agent) -> None:
        await self._called.wait()
        while self._lives(agent):
            end, usage = await self._converse(agent)
            self._end(end, usage)
            await self._called.wait()

    def _lives(self, agent: Agent) -> bool:
        """Whether it can take a turn; a command has a process per turn only."""
        return agent.pid is not None or self._spec.kind == "exec"

    async def _opened(self, stack: AsyncExitStack) -> Agent | TurnEnd:
        """Start a process; or tell why there is none."""
        self._conversation.forget()
        opening = open_agent(
            self._spec,
            session=self._session.id,
            data=str(self._session.place.data),
            environ=self._settings.environ,
        )
        try:
            agent = await stack.enter_async_context(opening)
            with anyio.CancelScope() as self._starting:
                if self._called.is_set() and self._stopped == self._turn:
                    self._starting.cancel()
                resume = resumable(self._session, self._spec, self._cwd)
                await agent.start(self._cwd, resume=resume)
                if agent.resumed:
                    own = turns_of(self._session, agent.session_id)
                    self._conversation.resume(own)
                return agent
        except CrdtSyncError as error:
            return TurnEnd("error", _with_hint(error))
        finally:
            self._starting = None
        return TurnEnd("cancelled")

    def _introduce(self, agent: Agent) -> None:
        """Tell everybody which agent runs the turn, and how to go on."""
        session, holding = self._session, self._runner.holding
        with suppress(LogUnwritable), session.replica.edit(holding) as (edit, _):
            introduce(edit, session, self._spec, agent, self._cwd)
            note_session(edit, self._turn, agent)

    async def _converse(self, agent: Agent) -> tuple[TurnEnd, JsonObject]:
        """Run one turn with a living agent."""
        turn = self._turn
        self._introduce(agent)
        output = Output(
            self._session,
            turn,
            self._author.id,
            holding=lambda: self._runner.holding,
            may_write=lambda: self._may_write(turn),
            refused=lambda: self._post(Refused("output", turn)),
        )
        self._asking = asking = Asking(
            self._session,
            turn,
            agent,
            self._settings,
            cwd=self._cwd,
            holding=lambda: self._runner.holding,
        )
        text = self._conversation.prompt(self._prompts, transcript=not agent.remembers)
        async with open_tasks() as tasks:
            tasks.start_soon(output.flush_forever)
            tasks.start_soon(asking.attend)
            tasks.start_soon(self._cancel_when_told, agent, turn)
            end = await self._listen(agent, text, output, asking)
        self._asking = None
        await output.flush()
        self._conversation.answered()
        return end, output.usage

    async def _listen(
        self, agent: Agent, text: str, output: Output, asking: Asking
    ) -> TurnEnd:
        end = TurnEnd("error", "the agent said nothing")
        depth = depth_of_turn(self._session.view, self._prompts)
        async for event in agent.prompt(text, turn=self._turn, depth=depth):
            match event:
                case TurnEnd():
                    end = event
                case Permission():
                    await output.flush()
                    await asking.ask(event)
                case PermissionResolved():
                    asking.closed(event)
                case Info():
                    # Commands and modes of one agent are of no use to the others.
                    continue
                case _:
                    output.take(event)
        return end

    async def _cancel_when_told(self, agent: Agent, turn: str) -> None:
        while self._stopped != turn:
            self._stopping = anyio.Event()
            await self._stopping.wait()
        await agent.cancel()

    def _may_write(self, turn: str) -> bool:
        now = self._session.place.clock.boottime()
        if self._runner.may_write(turn, now):
            return True
        self._post(Tick())
        return False

    def _end(self, end: TurnEnd, usage: JsonObject) -> None:
        self._called, self._wanted = anyio.Event(), anyio.Event()
        error = LEFT if self.leaving and self._stopped == self._turn else end.error
        self._post(AgentEnded(self._turn, end.stop, error, usage or None))


def _with_hint(error: CrdtSyncError) -> str:
    told = str(error).rstrip(".")
    return f"{told}. {error.hint}" if error.hint else str(error)
