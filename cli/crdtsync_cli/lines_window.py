"""A window without a screen: events out as plain or JSON lines, typed lines in.

For pipes, scripts and dumb terminals. It never constructs a terminal interface.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup

from crdtsync.errors import CrdtSyncError, UsageError
from crdtsync.events import (
    Reset,
    SessionClosed,
    SessionEvent,
    SessionOpened,
    TurnEnded,
)
from crdtsync.sanitize import clean_text
from crdtsync.schema import JsonObject, JsonValue, as_object, plain
from crdtsync.session.wording import check_text
from crdtsync_cli import facts
from crdtsync_cli.actions import HISTORY, Reply, act, history_lines
from crdtsync_cli.attention import Attention
from crdtsync_cli.calling import Call
from crdtsync_cli.input_lines import Bad, stdin_lines
from crdtsync_cli.jsonl import json_line, json_lines
from crdtsync_cli.plain import Plain
from crdtsync_cli.printer import Printer
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.slash import Command, Line, read_line

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync.session.broadcast import Reader
    from crdtsync_cli.seat import Seat

__all__ = ["LinesWindow", "Shape"]

DRAIN_S: Final = 2.0
"""How long a slow reader of stdout gets for the last events before it is left."""

EVENTS_AT_ONCE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Shape:
    """How a window without a screen speaks.

    Attributes:
        json: JSON lines instead of plain ones.
        deltas: Presence, typing and deltas too.
        json_in: Stdin holds JSON objects, each answered by an `ack`.
        detach: At the end of stdin leave at once, without waiting for own turns.
    """

    json: bool = False
    deltas: bool = False
    json_in: bool = False
    detach: bool = False


class LinesWindow:
    """One such window on an open session."""

    def __init__(self, call: Call, session: Session, shape: Shape, seat: Seat) -> None:
        self._call = call
        self._session = session
        self._shape = shape
        self._seat = seat
        self._printer = Printer()
        self._plain = Plain(SessionScene(session))
        self._attention = Attention()
        self._own: list[str] = []
        self._exit_code = 0
        self._shown = anyio.Event()
        self._ends_shown: set[str] = set()
        self._printed = anyio.Event()
        self._left = False

    async def run(self) -> int:
        """Run until it is left or stdin has ended; returns the exit code."""
        with self._session.events() as events:
            async with anyio.create_task_group() as group:
                group.start_soon(self._show, events, group)
                await self._listen()
                if not self._left and not self._shape.detach:
                    await self._wait_for_own_turns()
                with anyio.move_on_after(DRAIN_S):
                    await self._shown.wait()
                group.cancel_scope.cancel()
        return self._exit_code

    async def _show(self, events: Reader, group: TaskGroup) -> None:
        """Print events; `_shown` is set whenever there is none to be printed."""
        while True:
            batch: list[SessionEvent] = []
            while len(batch) < EVENTS_AT_ONCE_MAX and (event := events.take()):
                batch.append(event)
            if not batch:
                self._shown.set()
                batch.append(await anext(events))
                self._shown = anyio.Event()
            await self._printer.print([line for e in batch for line in self._lines(e)])
            self._ends_shown |= {
                e.body.turn for e in batch if isinstance(e.body, TurnEnded)
            }
            self._printed.set()
            self._printed = anyio.Event()
            if isinstance(batch[-1].body, SessionClosed):
                break
        group.cancel_scope.cancel()

    def _lines(self, event: SessionEvent) -> list[str]:
        self._attention.note(event)
        if self._shape.json:
            return json_lines([event], deltas=self._shape.deltas)
        lines = self._plain.lines(event)
        if self._attention.hides(event):
            return []
        lines += [f"-- {x}" for x in self._attention.followed(self._session, event)]
        if isinstance(event.body, SessionOpened | Reset):
            lines += self._so_far(self._session.view.message_count)
        return lines

    def _so_far(self, count: int) -> list[str]:
        """The last messages, the turn that runs, and what waits for an answer."""
        earlier = count - HISTORY
        found = [f"-- {earlier} earlier, /history {count} shows all"] * (earlier > 0)
        found += history_lines(self._session, HISTORY)
        for message in self._session.view.tail(HISTORY):
            if message.streamed:
                self._plain.shown(message.id, self._session.view.text(message.id))
        found += [f"-- {line}" for line in facts.now_lines(self._session)]
        return found

    async def _listen(self) -> None:
        number = 0
        async with stdin_lines(sys.stdin.buffer) as lines:
            async for line in lines:
                number += 1
                if await self._take(line, number):
                    self._left = True
                    return

    async def _take(self, line: str | Bad, number: int) -> bool:
        """Handle one line; True if the window is to be left."""
        ref: JsonValue = number
        try:
            if isinstance(line, Bad):
                raise line.error
            if self._shape.json_in:
                ref, line = _request(line, number)
            typed = read_line(line)
            if typed is None:
                return False
            _check_shown(typed)
            reply = await act(self._session, typed, self._attention, self._seat)
        except CrdtSyncError as error:
            await self._refuse(error, ref)
            return False
        await self._answer(reply, ref)
        return reply.leave

    async def _answer(self, reply: Reply, ref: JsonValue) -> None:
        if reply.sent is not None and reply.sent.position is not None:
            self._own.append(reply.sent.id)
        if self._shape.json_in:
            await self._printer.print([json_line(_ack(ref, reply))])
        elif self._shape.json:
            for line in reply.lines:
                self._call.say(clean_text(line))
        else:
            await self._printer.print([f"-- {line}" for line in reply.lines])

    async def _refuse(self, error: CrdtSyncError, ref: JsonValue) -> None:
        if not sys.stdin.isatty():
            self._exit_code = self._exit_code or error.exit_code
        if self._shape.json_in:
            data: JsonObject = {
                "ok": False,
                "error": str(error),
                "hint": error.hint,
                "exit_code": error.exit_code,
            }
            ack: JsonObject = {"v": 1, "type": "ack", "ref": ref, "data": data}
            await self._printer.print([json_line(ack)])
        else:
            self._call.tell(error)

    async def _wait_for_own_turns(self) -> None:
        for prompt in self._own:
            if await self._nobody_answers(prompt):
                return
            turn = await self._session.wait_turn(prompt)
            await self._end_shown(turn.id)
            if turn.stop_reason != "end_turn":
                self._exit_code = self._exit_code or 1

    async def _end_shown(self, turn: str) -> None:
        """Wait until the end of a turn is printed: the view knows it earlier."""
        with anyio.move_on_after(DRAIN_S):
            while turn not in self._ends_shown:
                await self._printed.wait()

    async def _nobody_answers(self, prompt: str) -> bool:
        """Whether to give up, because no window runs an agent; says so then."""
        if await facts.answered(self._session, prompt):
            return False
        self._call.say(f"note: {facts.NO_AGENT}; the prompt waits in the queue.")
        self._call.say(f"hint: {facts.agent_hint(self._session)}")
        self._exit_code = self._exit_code or 1
        return True


def _request(line: str, number: int) -> tuple[JsonValue, str]:
    """Read one JSON request: its `ref`, by default its number, and a typed line.

    Raises:
        UsageError: It is none.
    """
    try:
        data = as_object(plain(json.loads(line)))
    except (ValueError, RecursionError):
        data = {}
    ref = data.get("ref", number)
    match data:
        case {"type": "send", "text": str(text)}:
            check_text(text)
            return ref, f"/{text}" if text.startswith("/") else text
        case {"type": "command", "line": str(text)} if text.startswith("/"):
            return ref, text
    raise UsageError(
        f"line {number} is no request",
        hint='Write {"type":"send","text":"..."} or '
        '{"type":"command","line":"/allow 7"}.',
    )


def _check_shown(line: Line) -> None:
    """Refuse what only a window on a screen can do.

    Raises:
        UsageError: It is that.
    """
    if isinstance(line, Command) and line.slash.screen:
        raise UsageError(
            f"/{line.slash.name} needs a window on a screen",
            hint="Open the session in a terminal, without --plain and --json.",
        )


def _ack(ref: JsonValue, reply: Reply) -> JsonObject:
    data: JsonObject = {"ok": True}
    if reply.lines:
        data["lines"] = list(reply.lines)
    if (sent := reply.sent) is not None:
        data |= {"id": sent.id, "seq": sent.seq, "position": sent.position}
    return {"v": 1, "type": "ack", "ref": ref, "data": data}
