"""Writes what a runner says about its turns into the document; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crdtsync import schema
from crdtsync.document import Edit
from crdtsync.entities import Message, Participant
from crdtsync.errors import LogUnwritable
from crdtsync.log import LeaseRefused
from crdtsync.session import Session
from crdtsync.turns import effects as fx
from crdtsync.turns import signals as sg
from crdtsync.turns.claim import Claim

Part = fx.WriteClaim | fx.WriteStarted | fx.WriteEnded
Plain = fx.WriteVoid | fx.WriteDetached

_PARTS: dict[type[Part], sg.Part] = {
    fx.WriteClaim: "claim",
    fx.WriteStarted: "started",
    fx.WriteEnded: "ended",
}


class Records:
    """The writer of one window's turns.

    Args:
        session: Where to write.
        agent: The participant as which the agent writes.
    """

    def __init__(self, session: Session, agent: Participant) -> None:
        self._session = session
        self._agent = agent

    async def write_part(self, effect: Part) -> sg.Written | sg.Refused:
        """Write a part of a turn and wait until it is on disk, or is not."""
        part = _PARTS[type(effect)]
        try:
            with self._session.replica.edit(effect.holding) as (edit, ticket):
                self._fill(edit, effect)
            await ticket.wait()
        except (LeaseRefused, LogUnwritable):
            return sg.Refused(part, effect.turn)
        return sg.Written(part, effect.turn)

    async def write_plain(self, effect: Plain) -> None:
        """Write what needs no lease; on a full disk it is kept and comes later."""
        with self._session.replica.edit() as (edit, ticket):
            match effect:
                case fx.WriteVoid(turn):
                    edit.set_turn(turn, {"void": True})
                case fx.WriteDetached(turn):
                    cut = schema.plain(self._session.view.cut(turn).to_json())
                    edit.set_turn(turn, {"detached_at": cut})
        await ticket.wait()

    async def hold(self, prompts: Sequence[str], why: Callable[[str], str]) -> None:
        """Hold prompts for a person, and tell everybody of those that need a reason.

        Args:
            prompts: Which.
            why: Gives the reason of one, "" for none.
        """
        with self._session.replica.edit() as (edit, ticket):
            self._session.introduce(edit, self._session.me)
            for prompt in prompts:
                edit.set_queue(prompt, {"held": True})
                if reason := why(prompt):
                    edit.add_message(self._held(prompt, reason))
        await ticket.wait()

    def _held(self, prompt: str, reason: str) -> Message:
        view = self._session.view
        message = view.message(prompt)
        author = view.name_of(message.author) if message else "an agent"
        return Message(
            id=self._session.new_id(),
            role=schema.SYSTEM,
            author=self._session.me.id,
            at=self._session.now(),
            text=f"held a prompt of {author}: {reason}. /queue run lets it go",
            reply_to=prompt,
            extra={"action": "hold"},
        )

    def _fill(self, edit: Edit, effect: Part) -> None:
        match effect:
            case fx.WriteClaim(turn, claim):
                self._session.introduce(edit, self._session.me, self._agent)
                edit.set_turn(turn, {"claim": schema.as_object(claim.to_json())})
                edit.set_lease(_lease(turn, claim))
            case fx.WriteStarted(turn):
                now = self._session.now()
                edit.set_turn(turn, {"started": True, "started_at": now})
            case fx.WriteEnded():
                self._end(edit, effect)

    def _end(self, edit: Edit, effect: fx.WriteEnded) -> None:
        values: schema.JsonObject = {
            "ended": True,
            "stop_reason": effect.stop_reason,
            "ended_at": self._session.now(),
        }
        if effect.error:
            values["error"] = effect.error
        if effect.usage:
            values["usage"] = schema.as_object(effect.usage)
        edit.set_turn(effect.turn, values)
        # Not with `started`: a turn that becomes void after all gives its prompts back,
        # and an entry that is gone is never set again (05: 1.3).
        claim = self._session.view.turns[effect.turn].claim
        for prompt in claim.prompts if claim is not None else ():
            edit.withdraw(prompt)


def _lease(turn: str, claim: Claim) -> schema.JsonObject:
    return {
        "holder": claim.runner,
        "epoch": claim.epoch,
        "turn": turn,
        "grant": claim.grant,
    }
