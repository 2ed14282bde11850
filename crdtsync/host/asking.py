"""Puts an agent's permission questions before the people, and carries back the answer.

The first valid vote decides. It is bound to the turn, the question and the tool's input
as people saw it, and it is on disk before the agent is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import anyio

from crdtsync.agents import Agent, Permission, PermissionResolved
from crdtsync.agents.policy import decide, offered, option_for
from crdtsync.entities import Approval
from crdtsync.errors import LogUnwritable
from crdtsync.host.settings import HostSettings
from crdtsync.log import Holding, LeaseRefused
from crdtsync.schema import JsonObject, JsonValue, plain
from crdtsync.session import Session

EXPIRED = "expired"
CANCELLED = "cancelled"


@dataclass(slots=True)
class _Question:
    """One that is open; `asked` is what people see of it."""

    id: str
    permission: Permission
    asked: Approval
    expires_s: float


class Asking:
    """The open questions of one turn.

    Args:
        session: Where people see and answer them.
        turn: The turn's id.
        agent: Who asks.
        settings: What is answered without people, and how long they have.
        cwd: The agent's working folder.
        holding: What to show at the door.
    """

    def __init__(
        self,
        session: Session,
        turn: str,
        agent: Agent,
        settings: HostSettings,
        *,
        cwd: str,
        holding: Callable[[], Holding | None],
    ) -> None:
        self._session = session
        self._turn = turn
        self._agent = agent
        self._settings = settings
        self._cwd = cwd
        self._holding = holding
        self._open: dict[str, _Question] = {}
        self._look = anyio.Event()

    async def ask(self, permission: Permission) -> None:
        """Write the question down, and answer it at once if the policy does."""
        key = f"{self._turn}.{permission.id}"
        expires_s = self._now() + self._settings.expires_s
        try:
            with self._session.replica.edit(self._holding()) as (edit, _):
                edit.ask(key, self._values(permission))
        except LogUnwritable:
            # What cannot be put before the people is answered with no.
            self._agent.resolve(permission.id, option_for(permission, allow=False))
            return
        asked = self._session.view.approvals[key]
        question = _Question(key, permission, asked, expires_s)
        self._open[permission.id] = question
        policy = self._settings.policy
        answer = decide(policy, permission, cwd=self._cwd)
        if answer is not None:
            await self._settle(question, answer.option, f"policy {policy}")
        self._look.set()

    def _values(self, permission: Permission) -> JsonObject:
        now, tool = self._session.place.clock.now(), permission.tool
        numbers = (a.number for a in self._session.view.approvals.values())
        expires = now + timedelta(seconds=self._settings.expires_s)
        options: list[JsonValue] = [
            {"id": o.id, "label": o.label, "kind": o.kind}
            for o in offered(permission, host_owner=True)
        ]
        return {
            "number": max(numbers, default=0) + 1,
            "turn": self._turn,
            "tool": f"{self._turn}/{tool.id}",
            "title": tool.title or tool.kind,
            "input": tool.input,
            "input_hash": _hash(tool.input),
            "options": options,
            "asked_at": self._session.now(),
            "expires_at": expires.isoformat(timespec="seconds"),
        }

    def closed(self, event: PermissionResolved) -> None:
        """Note that the agent takes no answer any more, as when it was cancelled."""
        question = self._open.pop(event.id, None)
        if question is not None:
            with (
                suppress(LogUnwritable),
                self._session.replica.edit(self._holding()) as (edit, _),
            ):
                edit.decide(question.id, event.option or CANCELLED, "")

    def votes_changed(self) -> None:
        """Have the votes counted."""
        self._look.set()

    async def attend(self) -> None:
        """Decide what was voted on or has expired; run it in a task of its own."""
        while True:
            self._look = anyio.Event()
            for question in list(self._open.values()):
                await self._look_at(question)
            with anyio.move_on_after(self._pause_s()):
                await self._look.wait()

    def _pause_s(self) -> float:
        due_s = min((q.expires_s for q in self._open.values()), default=float("inf"))
        return max(0.0, due_s - self._now())

    async def _look_at(self, question: _Question) -> None:
        if self._now() >= question.expires_s:
            refusal = option_for(question.permission, allow=False)
            await self._settle(question, refusal, "", decision=EXPIRED)
            return
        vote = self._valid_vote(question)
        if vote is not None:
            participant, option = vote
            await self._settle(question, option, participant)

    def _valid_vote(self, question: _Question) -> tuple[str, str] | None:
        """Who decides, and how. Of votes that are seen at once, a no wins."""
        asked = question.asked
        now = self._session.view.approval_table.get(question.id)
        # Nobody is bound by an answer to a question that was swapped, or that somebody
        # else has closed: a relay lets votes on closed questions pass.
        if now is None or now.decision or _shown(now) != _shown(asked):
            return None
        kinds = {option.id: option.kind for option in asked.options}
        valid = [
            (kinds[option].startswith("allow"), participant, option)
            for participant, option in now.votes.items()
            if option in kinds and self._may_vote(participant)
        ]
        return min(valid)[1:] if valid else None

    def _may_vote(self, participant: str) -> bool:
        """On one machine every person is the host's user; agents never approve."""
        known = self._session.view.participants.get(participant)
        return known is not None and known.kind == "person"

    async def _settle(
        self, question: _Question, option: str | None, by: str, *, decision: str = ""
    ) -> None:
        """Write the decision down, then tell the agent."""
        if self._open.pop(question.permission.id, None) is None:
            return
        try:
            with self._session.replica.edit(self._holding()) as (edit, ticket):
                edit.decide(question.id, decision or option or CANCELLED, by)
            await ticket.wait()
        except LeaseRefused:
            # The turn is over: another runner may be at work.
            option = None
        except LogUnwritable:
            # A yes that nobody may remember is not given.
            option = option_for(question.permission, allow=False)
        self._agent.resolve(question.permission.id, option)

    def _now(self) -> float:
        return self._session.place.clock.boottime()


def _shown(approval: Approval) -> tuple[object, ...]:
    """What a person decides on."""
    return approval.title, approval.input, approval.input_hash, approval.options


def _hash(value: JsonValue) -> str:
    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
