"""The shell around one room: it carries out what the room asks for.

Frames go to queues, updates to the log, large ones to a trial, questions to the
arbiter. It decides nothing.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from crdtsync.errors import CrdtSyncError, OperationFailed
from crdtsync.log import Append, Appended
from crdtsync.sync.closing import CloseCode
from crdtsync_relay.batch import Batch
from crdtsync_relay.disk import Disk, Shared
from crdtsync_relay.effects import (
    AskArbiter,
    Close,
    Commit,
    Digest,
    Effect,
    Load,
    Send,
    Try,
)
from crdtsync_relay.member import Guest
from crdtsync_relay.peer import Outbox
from crdtsync_relay.questions import Questions
from crdtsync_relay.room import Room, State

__all__ = ["Running"]

QUIET_S: Final = 0.002
"""A room that applied one update, and nothing for so long after it, applies the next
one at once: others that could join it are unlikely to be read just now (R-1)."""

_logger = logging.getLogger(__name__)


class Running:
    """One room that runs.

    Args:
        room: New.
        shared: Of the relay.

    Attributes:
        room: What decides.
        disk: Where it is kept.
        idle_since_s: Boottime since which nobody is here; None while somebody is.
        ended: Set once the room is dead and everything of it is done.
    """

    def __init__(self, room: Room, shared: Shared) -> None:
        self.room = room
        self.disk = Disk(room.name, shared, session=room.session)
        self.idle_since_s: float | None = None
        self.ended = anyio.Event()
        self._shared = shared
        self._outboxes: dict[int, Outbox] = {}
        self._commits: list[Commit] = []
        self._written: list[Commit] = []
        self._making = False
        self._flushed_s = 0.0
        self._is_quiet = True
        self._questions = Questions(room, self.disk, shared, self.carry_out)
        self._changed = anyio.Event()
        self._watching = 0
        self._dead = anyio.Event()
        self._group: TaskGroup | None = None

    @property
    def now(self) -> float:
        """Boottime, seconds."""
        return self._shared.clock.boottime()

    async def run(self) -> None:
        """Serve the room until it is dead."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self.carry_out()
                group.start_soon(self._questions.attend)
                await self._dead.wait()
                # The next room of this name has to find what this one wrote.
                while self._written:
                    await self._change()
                group.cancel_scope.cancel()
        finally:
            self.ended.set()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is here, everything is on disk, and nothing is going on."""
        live = self.room.state is State.LIVE
        return live and not self._outboxes and self.room.is_idle

    def join(self, guest: Guest) -> None:
        """Let a guest in whose queue was added."""
        self.room.join(guest, now=self.now)
        self.carry_out()

    def expel(self, peer: int, code: CloseCode, reason: str) -> None:
        """Send a peer away for good."""
        self.room.expel(peer, code, reason, now=self.now)
        self.carry_out()

    def evict(self, code: CloseCode, reason: str, spread_s: float) -> None:
        """Send everybody away, to come back spread over some time."""
        self.room.evict(code, reason, spread_s=spread_s, now=self.now)
        self.carry_out()

    def show_again(self, peer: int) -> None:
        """Tell a peer who is here."""
        self.room.show_again(peer, now=self.now)
        self.carry_out()

    def tick(self) -> None:
        """Keep time."""
        self.room.tick(now=self.now)
        self.carry_out()

    def release_presence(self) -> None:
        """Pass on presence that was held back, if there is any."""
        if self.room.hall.presence.holds_back:
            self.room.release_presence(now=self.now)
            self.carry_out()

    def add(self, peer: int, outbox: Outbox) -> None:
        """Register the queue of a peer, before it joins."""
        self._outboxes[peer] = outbox
        self.idle_since_s = None

    def remove(self, peer: int) -> None:
        """Forget a peer whose connection is gone."""
        self._outboxes.pop(peer, None)
        self.room.leave(peer, now=self.now)
        self.carry_out()
        if not self._outboxes:
            self.idle_since_s = self.now

    def receive(self, peer: int, frame: bytes) -> None:
        """Hand a frame to the room."""
        tally = self._shared.tally
        tally.frames_in += 1
        tally.bytes_in += len(frame)
        now = self.now
        self.room.receive(peer, frame, now=now)
        self.carry_out(now)

    def is_ready(self, peer: int) -> bool:
        """Whether the peer's next frame may be received, or the peer has left."""
        return self.room.listens_to(peer) or peer not in self._outboxes

    async def until_ready(self, peer: int) -> None:
        """Wait until the peer's next frame may be received."""
        while not self.is_ready(peer):
            self.room.is_alive(peer, now=self.now)
            with anyio.move_on_after(1.0):
                await self._change()

    async def until_settled(self) -> None:
        """Wait until all that was received is on disk, or the room is dead."""
        while self.room.state is not State.DEAD and not self.room.is_settled:
            await self._change()

    async def until_empty(self) -> None:
        """Wait until every connection is gone."""
        while self._outboxes:
            await self._change()

    async def _change(self) -> None:
        self._watching += 1
        try:
            await self._changed.wait()
        finally:
            self._watching -= 1

    def _note_change(self) -> None:
        if self._watching:
            changed, self._changed = self._changed, anyio.Event()
            changed.set()
        if self.room.state is State.DEAD:
            self._dead.set()

    def carry_out(self, now: float | None = None) -> None:
        """Do what the room asks for, until it asks for nothing; once it runs."""
        if self._group is None:
            return
        room = self.room
        while effects := room.take():
            for effect in effects:
                self._do(effect)
        if room.has_work:
            self._flush_soon(self.now if now is None else now)
        self._note_change()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send():
                self._send(effect)
            case Commit():
                self._commits.append(effect)
                self._write()
            case Close(peer, code, reason):
                self._shared.tally.closed[code] += 1
                if (outbox := self._outboxes.get(peer)) is not None:
                    outbox.close(code, reason)
            case AskArbiter():
                self._questions.put(effect)
            case _:
                self._start(effect)

    def _start(self, effect: Load | Digest | Try) -> None:
        assert self._group is not None  # noqa: S101 - see `carry_out`
        match effect:
            case Load():
                self._group.start_soon(self._load)
            case Digest(batch):
                self._group.start_soon(self._digest, batch)
            case Try():
                self._group.start_soon(self._try, effect)

    def _send(self, send: Send) -> None:
        sent = 0
        for peer in send.peers:
            outbox = self._outboxes.get(peer)
            if outbox is None:
                continue
            sent += len(send.frames)
            if not outbox.put(send.frames, send.weight):
                outbox.clear()
                self.room.expel(
                    peer,
                    CloseCode.SLOW_CONSUMER,
                    "too much was left unread",
                    retry_after_s=1.0,
                    now=self.now,
                )
        self._shared.tally.frames_out += sent

    def _flush_soon(self, now: float) -> None:
        if self._is_quiet and now - self._flushed_s >= QUIET_S:
            self._flush(now)
        else:
            self._shared.pump.flush_soon(self)

    def flush(self) -> None:
        """Apply the next batch, if there is one."""
        if self.room.has_work:
            self._flush(self.now)

    def _flush(self, now: float) -> None:
        self._shared.tally.batches += 1
        self._is_quiet = self.room.waiting == 1
        self._flushed_s = now
        self.room.flush(now=now)
        self.carry_out(now)

    def _write(self) -> None:
        """Have the commits written, once the log has the document."""
        if self.disk.is_made:
            self._shared.pump.commit_soon(self)
        elif not self._making:
            assert self._group is not None  # noqa: S101 - see `carry_out`
            self._making = True
            self._group.start_soon(self._make)

    async def _make(self) -> None:
        try:
            await self.disk.make()
        except CrdtSyncError as error:
            self._lose(error)
        else:
            self._shared.pump.commit_soon(self)

    def take_append(self) -> Append | None:
        """Take what is to be written; `appended` follows."""
        if self.room.state is State.DEAD or not self._commits:
            return None
        self._written, self._commits = self._commits, []
        return self.disk.append([commit.update for commit in self._written])

    def appended(self, answer: Appended | Exception) -> None:
        """Take what became of it: acknowledge, or end the room."""
        written, self._written = self._written, []
        if isinstance(answer, Appended):
            self.disk.appended(len(written), answer)
            self._compact_if_due()
            self.room.committed(written[-1].number, now=self.now)
            self.carry_out()
        elif isinstance(answer, CrdtSyncError):
            self._lose(answer)
        else:
            raise answer

    def _lose(self, error: CrdtSyncError) -> None:
        self._shared.tally.log_failures += 1
        _logger.error("the log takes no more of a session: %s", error)
        self.room.failed("the relay cannot write", now=self.now)
        self.carry_out()

    def _compact_if_due(self) -> None:
        if self.disk.wants_compaction and self.room.state is not State.DEAD:
            assert self._group is not None  # noqa: S101 - it has run
            self._group.start_soon(self.disk.compact)

    async def _load(self) -> None:
        self._shared.tally.loads += 1
        try:
            async with self._shared.loads:
                document = await self.disk.load()
        except CrdtSyncError as error:
            self._shared.tally.load_failures += 1
            _logger.error("a session could not be loaded: %s", error)
            self.room.failed("the session cannot be loaded", now=self.now)
        else:
            self.room.loaded(document, now=self.now)
        self.carry_out()

    async def _digest(self, batch: Batch) -> None:
        # Its pure Python parts let other rooms go on; the native ones are short.
        limiter = self._shared.digests
        outcome = await anyio.to_thread.run_sync(batch.digest, limiter=limiter)
        if self.room.state is not State.DEAD:
            self.room.digested(batch, outcome, now=self.now)
            self.carry_out()

    async def _try(self, effect: Try) -> None:
        refusal = None
        try:
            refusal = await self.disk.try_out(effect.state, effect.update)
        except OperationFailed as error:
            _logger.error("a large update could not be tried: %s", error)
            code, reason = CloseCode.RATE_LIMITED, "no large updates can be tried now"
            self.room.expel(effect.peer, code, reason, retry_after_s=5.0, now=self.now)
        self.room.tried(effect.peer, effect.update, refusal, now=self.now)
        self.carry_out()
