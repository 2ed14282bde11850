"""The route that streams a session's events: Server-Sent Events, resumed by number.

Each event is the JSON object of docs: reference/events. The `id` of the stream is the
log's sequence number; it is given once everything up to it has been told, so that
whoever comes back with it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
from starlette.responses import Response

from crdtsync.entities import Participant
from crdtsync.events import DELTA_TYPES, Happening, Reset, SessionEvent
from crdtsync.log import Log, Stored
from crdtsync.sanitize import escape_json
from crdtsync.session import Session
from crdtsync.session.broadcast import Reader
from crdtsync.session.past import past_happenings
from crdtsync_relay.api.apart import run_apart
from crdtsync_relay.api.bounds import (
    REPLAYED_ROWS_MAX,
    REPLAYS_AT_ONCE_MAX,
    STREAM_PIECE_BYTES,
    STREAMS_PER_SESSION_MAX,
)
from crdtsync_relay.api.callers import Caller, Callers
from crdtsync_relay.api.desk import Unavailable
from crdtsync_relay.api.desks import Desks
from crdtsync_relay.api.fields import Flag, Number, Text
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.pipe import EventStream, Pipe
from crdtsync_relay.limits import ACCESS_CHECK_S, Limits

__all__ = ["Streaming"]

_SEQ_MAX: Final = 2**53 - 1

_MORE: Final = """Each event has the `type` of its JSON object as `event`, the object
as `data`, and, where everything up to that row of the log has been told, its `seq` as
`id`. The first one is `session.opened`. To go on after a break, send the last `id` as
`Last-Event-ID` or `since`: what came meanwhile follows, once. If it cannot be told any
more, because the log was folded or too much came, a `reset` follows instead: read the
session anew, and go on. Comments (`: beat`) show that the connection lives. A reader
that does not take what is sent is sent away, and can come back in the same way.

The stream ends when the token does, and with `session.closed` when the relay stops."""


class Streaming:
    """The route.

    Args:
        desks: Of the relay.
        log: The relay's.
        callers: Know whose token is still good.
        limits: Of the relay.
    """

    def __init__(
        self, desks: Desks, log: Log, callers: Callers, limits: Limits
    ) -> None:
        self._desks = desks
        self._log = log
        self._callers = callers
        self._limits = limits
        self._replays = anyio.CapacityLimiter(REPLAYS_AT_ONCE_MAX)
        self._streams: Counter[str] = Counter()

    def operations(self) -> list[Operation]:
        """What to mount."""
        return [
            Operation(
                "GET",
                "/sessions/{session}/events",
                "streamEvents",
                "Follow a session live",
                "read",
                self._events,
                {
                    200: Content(
                        "Server-Sent Events, until either end closes.",
                        {"text/event-stream": {"type": "string"}},
                    )
                },
                more=_MORE,
                query={
                    "since": Number(
                        "Tell what came after this row of the log.",
                        0,
                        _SEQ_MAX,
                    ),
                    "deltas": Flag(
                        "Also presence, typing and answers piece by piece; their whole "
                        "comes in any case."
                    ),
                },
                headers={
                    "Last-Event-ID": Text("Wins over `since`.", pattern="[0-9]{1,15}")
                },
            )
        ]

    async def _events(self, call: Call) -> Response:
        wanted = _Wanted(
            session=call.session,
            since=call.query.number("since") if call.query.has("since") else None,
            deltas=call.query.flag("deltas"),
        )
        if call.header.has("Last-Event-ID"):
            wanted.since = int(call.header.text("Last-Event-ID"))
        tell = partial(self._stream, call.caller, wanted)
        return EventStream(tell, self._limits.stream_stalled_s)

    async def _stream(self, caller: Caller, wanted: _Wanted, pipe: Pipe) -> None:
        async with self._desks.at(wanted.session) as desk:
            with self._counted(wanted.session):
                acting = _acting(desk.session, caller)
                with acting.events() as reader:
                    await self._tell(acting, reader, caller, wanted, pipe)

    @contextmanager
    def _counted(self, session: str) -> Iterator[None]:
        if self._streams[session] >= STREAMS_PER_SESSION_MAX:
            raise Unavailable("too many streams of this session are open")
        self._streams[session] += 1
        try:
            yield
        finally:
            self._streams[session] -= 1
            if not self._streams[session]:
                del self._streams[session]

    async def _tell(
        self,
        session: Session,
        reader: Reader,
        caller: Caller,
        wanted: _Wanted,
        pipe: Pipe,
    ) -> None:
        """Tell what came meanwhile, then what comes, as long as the token is good."""
        upto, since = session.head, wanted.since
        opened = await reader.batch()
        past = [] if since is None else await self._past(session, since, upto)
        await pipe.begin()
        # Whoever goes on has not been told everything up to now.
        await pipe.send(_written(opened, wanted, numbered=since is None))
        for batch in past:
            await pipe.send(_written(batch, wanted))
        beat_s = self._limits.stream_beat_s
        due_s = anyio.current_time() + beat_s
        while self._callers.is_good(caller):
            arrived: list[SessionEvent] | None = None
            with anyio.move_on_after(min(ACCESS_CHECK_S, beat_s)):
                arrived = await reader.batch()
            if arrived:
                await pipe.send(_written(arrived, wanted))
                due_s = anyio.current_time() + beat_s
            elif arrived is not None:
                return
            elif anyio.current_time() >= due_s:
                await pipe.send(iter([b": beat\n\n"]))
                due_s = anyio.current_time() + beat_s

    async def _past(
        self, session: Session, since: int, upto: int
    ) -> list[list[SessionEvent]]:
        """The events between two rows, in batches; or one `reset`."""
        if since == upto:
            return []
        happenings: list[tuple[int, list[Happening]]] | None = None
        if 0 <= upto - since <= REPLAYED_ROWS_MAX:
            async with self._replays:
                stored = await self._log.load(session.id)
                if since >= stored.snapshot_seq:
                    work = partial(_derive, stored, since, upto)
                    happenings = await run_apart(work, stored)
        if happenings is None:
            # Also after a row that the log does not have: it is another log.
            count = session.view.message_count
            reset = Reset("compacted" if since < upto else "rewritten", count)
            happenings = [(upto, [Happening(reset)])]
        return [
            [session.event_of(one, seq) for one in happened]
            for seq, happened in happenings
            if happened
        ]


@dataclass(slots=True)
class _Wanted:
    """What a reader asked for."""

    session: str
    since: int | None
    deltas: bool


def _acting(session: Session, caller: Caller) -> Session:
    """The session as the reader sees it."""
    grant = caller.grant
    key = grant.participant if grant else ""
    known = session.view.participants.get(key)
    reader = "" if caller.writes else "viewers cannot change the session"
    me = known or Participant(key, (grant.name if grant else "") or key)
    return session.acting_as(me, read_only=reader)


def _derive(stored: Stored, since: int, upto: int) -> list[tuple[int, list[Happening]]]:
    return list(past_happenings(stored, since, upto))


def _written(
    batch: Sequence[SessionEvent], wanted: _Wanted, *, numbered: bool = True
) -> Iterator[bytes]:
    """Write a batch in pieces; its last event has the number."""
    shown = [e for e in batch if wanted.deltas or e.type not in DELTA_TYPES]
    piece = bytearray()
    for left, event in zip(range(len(shown) - 1, -1, -1), shown, strict=True):
        text = json.dumps(event.to_json(), ensure_ascii=False, separators=(",", ":"))
        piece += f"event: {event.type}\ndata: {escape_json(text)}\n".encode()
        if numbered and not left:
            piece += f"id: {event.seq}\n".encode()
        piece += b"\n"
        if len(piece) >= STREAM_PIECE_BYTES or not left:
            yield bytes(piece)
            piece.clear()
