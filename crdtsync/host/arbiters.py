"""Puts a runner's questions to the local arbiter and to the relay's; decides nothing.

The local one is asked at once. What is for the relay goes over the link to it, behind
the document updates that have to be there first (05: 1.4, X4), and is answered later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import ConnectionFailed, LogUnwritable, OperationFailed
from crdtsync.links.naming import arbiter_link, link_to
from crdtsync.session import Session
from crdtsync.sync.leasing import LeaseOperation, LeaseRequest
from crdtsync.turns import effects as fx
from crdtsync.turns import signals as sg
from crdtsync.turns.arbiter import Denied, Granted

if TYPE_CHECKING:
    from crdtsync.links.link import Link
    from crdtsync.links.questions import Question

__all__ = ["Arbiters", "Asked"]

WAITING_MAX: Final = 16
"""Questions that wait to be sent to a relay; a renewal beyond them counts as lost."""

Asked: TypeAlias = fx.Acquire | fx.Begin | fx.Renew | fx.Release


class Arbiters:
    """Whom a runner of this window asks for the lease.

    Args:
        session: Open.
        runner: The runner's id.
        facts: Makes the facts of this moment.
        post: Takes signals for the runner.
    """

    def __init__(
        self,
        session: Session,
        runner: str,
        facts: Callable[[], sg.Facts],
        post: Callable[[sg.Signal], None],
    ) -> None:
        self._session = session
        self._runner = runner
        self._facts = facts
        self._post = post
        self._granter = ""
        self._waiting: deque[tuple[Asked, int]] = deque()
        self._unanswered = 0
        self._changed = anyio.Event()

    @property
    def link(self) -> Link | None:
        """The live link to the relay that grants, if there is one."""
        return arbiter_link(self._session)

    async def ask(self, effect: Asked) -> None:
        """Ask the arbiter; what it says is posted, at once if it is the local one."""
        if effect.side == "relay":
            # A renewal waits for nothing: it says nothing of what was written.
            renews = isinstance(effect, fx.Renew)
            if len(self._waiting) < WAITING_MAX or not renews:
                self._waiting.append((effect, 0 if renews else self._session.head))
                self._wake()
            return
        try:
            await self._ask_local(effect)
        except LogUnwritable:
            self._failed(effect)

    async def raise_epoch(self, effect: fx.RaiseEpoch) -> None:
        """Let the local lease follow the relay's epoch; if it fails, the door tells."""
        log, doc = self._session.log, self._session.id
        with suppress(LogUnwritable):
            await log.raise_epoch(doc, effect.epoch, effect.attempt, effect.raised)

    async def settled(self) -> None:
        """Wait until nothing that was asked of the relay is under way."""
        while self._waiting or self._unanswered:
            await self._changed.wait()

    async def serve(self) -> None:
        """Send what is for the relay, in order; run it in a task of its own."""
        async with open_tasks() as tasks:
            while True:
                while self._waiting:
                    effect, after = self._waiting[0]
                    question = await self._pose(effect, after)
                    if question is None:
                        self._failed(effect)
                    else:
                        self._unanswered += 1
                        tasks.start_soon(self._answer, effect, question)
                    self._waiting.popleft()
                    self._wake()
                await self._changed.wait()

    async def watch(self) -> None:
        """Tell the runner of its link to the relay that grants; in a task of its own.

        The link counts as live once what was missed has been applied here. It ends when
        the session is closed.
        """
        with suppress(OperationFailed):
            await self._watch()

    async def _watch(self) -> None:
        while True:
            await self._session.wait_for(lambda _: self.link is not None)
            link = self.link
            if link is None:
                continue
            self._post(sg.LinkLive())
            async with open_tasks() as tasks:
                tasks.start_soon(self._hear, link)
                await self._until_gone(link)
                tasks.cancel_scope.cancel()
            self._post(sg.LinkDown())

    async def _until_gone(self, link: Link) -> None:
        await self._session.wait_for(lambda _: self.link is not link)

    async def _hear(self, link: Link) -> None:
        while link.live:
            await link.wait_freed()
            self._post(sg.Freed())

    async def _pose(self, effect: Asked, after: int) -> Question | None:
        """Send a question; None if there is no way to the relay now.

        Only the relay that granted a lease is asked about it: another one in its place
        knows nothing of it.
        """
        asks = isinstance(effect, fx.Acquire)
        link = self.link if asks else link_to(self._session, self._granter)
        if link is None:
            return None
        relay = link.relay
        try:
            question = await link.pose_lease(
                self._request(effect, first=link.status.first), after=after
            )
        except ConnectionFailed:
            return None
        if asks:
            self._granter = relay
        return question

    def _request(self, effect: Asked, *, first: bool) -> LeaseRequest:
        runner, attempt = self._runner, effect.attempt
        match effect:
            case fx.Acquire(_, _, least, _, take):
                op: LeaseOperation = "take" if take else "acquire"
                return LeaseRequest(0, op, runner, attempt, least, first=first)
            case fx.Begin(_, epoch, _, turn):
                return LeaseRequest(0, "begin", runner, attempt, epoch, turn)
            case fx.Renew(_, epoch):
                return LeaseRequest(0, "renew", runner, attempt, epoch)
            case fx.Release(_, epoch):
                return LeaseRequest(0, "release", runner, attempt, epoch)

    async def _answer(self, effect: Asked, question: Question) -> None:
        try:
            answer = await question.answer()
            await self._tell(effect, answer)
        except (ConnectionFailed, LogUnwritable):
            self._failed(effect)
        finally:
            self._unanswered -= 1
            self._wake()

    async def _ask_local(self, effect: Asked) -> None:
        log, doc = self._session.log, self._session.id
        match effect:
            case fx.Acquire(_, attempt, least, _, take):
                alone = not self._session.bell.others()
                if take:
                    found = await log.take(doc, self._runner, attempt, least)
                else:
                    found = await log.acquire(
                        doc, self._runner, attempt, least, alone=alone
                    )
                await self._tell(effect, found)
            case fx.Begin(_, epoch, attempt, turn):
                await self._tell(effect, await log.begin(doc, epoch, attempt, turn))
            case fx.Renew(_, epoch, attempt):
                await self._tell(effect, await log.renew(doc, epoch, attempt))
            case fx.Release(_, epoch, attempt):
                if await log.release(doc, epoch, attempt):
                    self._session.bell.ring()

    async def _tell(self, effect: Asked, answer: Granted | Denied | bool) -> None:
        """Hand the runner an answer; one that does not fit the question is none."""
        match effect, answer:
            case fx.Acquire(), Granted():
                await self._session.replica.catch_up()
                given = sg.Given(
                    effect.side,
                    effect.attempt,
                    effect.sent_s,
                    answer,
                    self._facts(),
                    self._session.new_id(),
                )
                self._post(given)
            case fx.Acquire(), Denied():
                self._post(sg.Withheld(effect.side, effect.attempt, answer))
            case fx.Begin(side, _, attempt, _, sent_s), bool(ok):
                self._post(sg.Begun(side, attempt, sent_s, ok))
            case fx.Renew(side, _, attempt, sent_s), bool(ok):
                self._post(sg.Renewed(side, attempt, sent_s, ok))
            case _:
                self._failed(effect)

    def _failed(self, effect: Asked) -> None:
        if isinstance(effect, fx.Acquire | fx.Begin):
            self._post(sg.Failed(effect.side, effect.attempt))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
