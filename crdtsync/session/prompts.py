"""What people may do with the prompts that wait: move, drop, replace, release."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdtsync.errors import OperationFailed
from crdtsync.session.steering import check_person
from crdtsync.turns.queue import rank_between

if TYPE_CHECKING:
    from crdtsync.session import Sent, Session


class Prompts:
    """The waiting prompts of a session, as one window may change them.

    Every method waits until the change is on disk, and raises `OperationFailed` for a
    prompt that does not wait any more.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def move(self, prompt: str, position: int) -> None:
        """Move a prompt to another place, counted from 1.

        Prompts that were sent at the same instant share a rank; those that have to
        come after it get new ones.
        """
        self._check_waits(prompt)
        view = self._session.view
        others = [p.prompt for p in view.pending if p.prompt != prompt]
        at = min(max(position - 1, 0), len(others))
        lower = view.queue[others[at - 1]].rank if at else None
        shared = [o for o in others[at:] if view.queue[o].rank == lower]
        upper = next((view.queue[o].rank for o in others[at + len(shared) :]), None)
        ranks: dict[str, str] = {}
        for each in (prompt, *shared):
            ranks[each] = lower = rank_between(lower, upper)
        with self._session.replica.edit() as (edit, ticket):
            for each, rank in ranks.items():
                edit.set_queue(each, {"rank": rank})
        await ticket.wait()

    async def drop(self, prompt: str) -> None:
        """Withdraw a prompt; its message stays in the history."""
        self._check_waits(prompt)
        with self._session.replica.edit() as (edit, ticket):
            edit.withdraw(prompt)
        await ticket.wait()

    async def replace(self, prompt: str, text: str) -> Sent:
        """Withdraw a prompt and send another text in its place, in one step."""
        self._check_waits(prompt)
        return await self._session.send(text, reply_to=prompt, instead_of=prompt)

    async def release(self, prompts: Sequence[str] = ()) -> tuple[str, ...]:
        """Let held prompts run (Q3 to Q5); all of them if none is named.

        Returns:
            The prompts that were held and are not any more.

        Raises:
            AccessDenied: An agent's tool asks: agents do not release.
        """
        self._session.check_writable()
        check_person(os.environ)
        held = (p.prompt for p in self._session.view.pending if p.held)
        chosen = tuple(p for p in held if not prompts or p in prompts)
        with self._session.replica.edit() as (edit, ticket):
            for prompt in chosen:
                edit.set_queue(prompt, {"released_by": self._session.me.id})
        await ticket.wait()
        return chosen

    def _check_waits(self, prompt: str) -> None:
        self._session.check_writable()
        if all(p.prompt != prompt for p in self._session.view.pending):
            raise OperationFailed("that prompt does not wait any more")
