"""One open session: what a client can see of it and do in it.

`crdtsync.session.opening.open_session` makes it. It checks and writes; loading, saving
and following are the replica's, and running turns is the host's.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from crdtsync import schema
from crdtsync.bell import Bell
from crdtsync.document import Document, Edit
from crdtsync.entities import Approval, Message, Participant
from crdtsync.errors import AccessDenied, DataError, OperationFailed
from crdtsync.events import (
    Actor,
    Body,
    Happening,
    Reset,
    SessionClosed,
    SessionEvent,
    SessionOpened,
)
from crdtsync.identity import check_person_name, owner_of
from crdtsync.log import Log, Rows
from crdtsync.palette import free_slot
from crdtsync.presence import Person, PresenceState
from crdtsync.schema import JsonObject
from crdtsync.session.asked import answer_to, open_question
from crdtsync.session.broadcast import Broadcast, Reader
from crdtsync.session.company import Company
from crdtsync.session.place import Place, stamp
from crdtsync.session.prompts import Prompts
from crdtsync.session.replica import Replica
from crdtsync.session.steering import Steer, check_person, check_steer, rank_for, whence
from crdtsync.session.wording import check_ids, check_text, check_title
from crdtsync.sync.conduct import APPROVE, NOTES
from crdtsync.turns.claim import TurnRecord
from crdtsync.view import SessionView

if TYPE_CHECKING:
    from crdtsync.export import Format, Redaction
    from crdtsync.host import Host
    from crdtsync.links.link import Link

__all__ = ["Place", "Sent", "Session", "Steer", "stamp"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is on disk.

    Attributes:
        id: Its message id.
        seq: The log's sequence number; 0 if it was there before.
        position: Its place in the queue, from 1; None if it is no waiting prompt.
        busy: Whether a turn is running.
    """

    id: str
    seq: int
    position: int | None
    busy: bool


class Session:
    """An open session; use it inside `async with open_session(...)`.

    Attributes:
        place: Where and as whom it is open.
        prompts: The waiting prompts: move, drop, replace, release.
        replica: The live document; for shells.
        company: Presence; for shells.
        log: The open log; for shells.
        bell: This window's; for shells.
        links: The links of this window, as `open_links` keeps them.
        host: Runs turns in this window, while `run_agent` does.
    """

    def __init__(
        self,
        place: Place,
        document: Document,
        log: Log,
        bell: Bell,
        *,
        head: int,
        rows: Rows | None = None,
    ) -> None:
        self.place = place
        self.log = log
        self.bell = bell
        self.links: list[Link] = []
        self.host: Host | None = None
        self.prompts = Prompts(self)
        self.replica = Replica(
            place.id, document, rows or log, bell, head=head, tell=self._tell
        )
        self.company = Company(bell, place.clock, self._presence(), self._tell_now)
        self._broadcast = Broadcast(self._reset)
        self._changed: anyio.Event | None = None
        self._closed = False

    @property
    def id(self) -> str:
        """The session's id, the same everywhere."""
        return self.place.id

    @property
    def name(self) -> str:
        """What the session is called in this data folder."""
        return self.place.name

    @property
    def me(self) -> Participant:
        """The participant this window writes as."""
        return self.place.me

    @property
    def read_only(self) -> str:
        """Why this person can write nothing here; "" if they can."""
        return self.unstorable or ("you may only look" if self.place.viewer else "")

    @property
    def unstorable(self) -> str:
        """Why not even what others write can be stored here; "" if it can."""
        if self.replica.document.read_only:
            return "it was made by a newer version of crdtsync"
        return self.place.read_only

    @property
    def closed(self) -> bool:
        """Whether the session is closed; it can only be looked at then."""
        return self._closed

    @property
    def view(self) -> SessionView:
        """What the session looks like now; changes only between awaits."""
        return self.replica.view

    @property
    def head(self) -> int:
        """The log's sequence number up to which this window has seen everything."""
        return self.replica.head

    @property
    def presence(self) -> list[Person]:
        """Who is here now, by name, with all their windows."""
        return self.company.people()

    def agents(self) -> list[str]:
        """Names of the agents that windows here offer to run turns with."""
        infos = (state.info for p in self.presence for state in p.windows)
        return sorted({str(info["agent"]) for info in infos if info.get("agent")})

    def actor(self, who: str) -> Actor | None:
        """Who a participant id belongs to, or a runner id ("participant_window")."""
        if not who:
            return None
        keys = (who, owner_of(who))
        for key in keys:
            known = self.view.participant_table.get(key)
            if known is not None:
                return Actor(known.id, known.name, known.kind)
        for key in keys:
            if (here := self.company.newest(key)) is not None:
                return Actor(key, here.name, here.kind)
        for key in keys:
            if (gone := self.company.gone(key)) is not None:
                return Actor(key, *gone)
        return Actor(who, who, "person")

    @contextmanager
    def events(self) -> Iterator[Reader]:
        """Read events from now on; the first is `session.opened`.

        A reader that falls 20,000 events behind gets one `reset` instead of them.
        """
        view = self.view
        opened = SessionOpened(
            name=self.name,
            title=view.meta.title,
            messages=view.message_count,
            read_only=bool(self.read_only),
            window=self.place.window,
        )
        first = self.event_of(Happening(opened, self.me.id), self.head)
        with self._broadcast.reader([first]) as reader:
            yield reader

    def acting_as(self, me: Participant, *, read_only: str = "") -> Session:
        """This session under another name, for shells that serve many people.

        It shares everything but whom it writes as. Wait on the original.

        Args:
            me: Writes; introduced with the first message.
            read_only: Why this one may not write; "" if it may.
        """
        acting = copy.copy(self)
        reason = self.place.read_only or read_only
        acting.place = replace(self.place, me=me, read_only=reason)
        acting.prompts = Prompts(acting)
        return acting

    def close(self, reason: str) -> None:
        """Tell every reader that this was all; for the shell that opened it."""
        closed = Happening(SessionClosed(reason), self.me.id)
        self._closed = True
        self._broadcast.close(self.event_of(closed, self.head))
        self._note_change()

    def notify(self, body: Body) -> None:
        """Tell the readers in this window something that is not in the document."""
        self._tell_now([Happening(body)])

    def _tell(self, happenings: list[Happening], seq: int) -> None:
        if happenings:
            self._broadcast.publish([self.event_of(h, seq) for h in happenings])
        self._note_change()

    def _note_change(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _tell_now(self, happenings: list[Happening]) -> None:
        self._tell(happenings, self.head)

    def event_of(self, happening: Happening, seq: int) -> SessionEvent:
        """Put a happening into the envelope in which clients receive it."""
        now, actor = self.place.clock.now(), self.actor(happening.actor)
        return SessionEvent(seq, now, self.id, actor, happening.body)

    def _reset(self) -> SessionEvent:
        reset = Happening(Reset("slow", self.view.message_count))
        return self.event_of(reset, self.head)

    def _presence(self) -> PresenceState | None:
        place = self.place
        if not place.seen:
            return None
        return PresenceState(
            window=place.window,
            participant=place.me.id,
            name=place.me.name,
            role="owner",
        )

    async def wait_for(self, condition: Callable[[SessionView], bool]) -> None:
        """Wait until the view fulfils a condition.

        Raises:
            OperationFailed: The session was closed meanwhile.
        """
        while not condition(self.view):
            if self._closed:
                raise OperationFailed("the session was closed")
            self._changed = self._changed or anyio.Event()
            await self._changed.wait()

    async def wait_turn(self, prompt: str) -> TurnRecord:
        """Wait until a turn that took the prompt is over, and return its record.

        Raises:
            OperationFailed: The prompt was withdrawn.
        """

        def over(view: SessionView) -> bool:
            return self._outcome(prompt) is not None or not self._waits_or_runs(prompt)

        await self.wait_for(over)
        found = self._outcome(prompt)
        if found is None:
            raise OperationFailed("the prompt was withdrawn before it ran")
        return found

    def _outcome(self, prompt: str) -> TurnRecord | None:
        reading = self.view.reading
        for turn in reading.alternatives(prompt):
            if reading.states[turn] != "open":
                return self.view.turns[turn]
        return None

    def _waits_or_runs(self, prompt: str) -> bool:
        return prompt in self.view.queue or not self.view.waits(prompt)

    def export(self, form: Format, *, redact: Redaction | None = None) -> bytes:
        """The whole session as a file of one of the export formats, as it is now.

        Args:
            form: "md", "json", "jsonl", "html" or "ydoc".
            redact: What is to be struck out; nothing if None.
        """
        from crdtsync.export import export_session  # noqa: PLC0415 - slow

        return export_session(self.view, self.replica.document, form, redact=redact)

    # Writing.

    async def send(  # noqa: PLR0913 - every option stands alone
        self,
        text: str,
        *,
        note: bool = False,
        as_agent: str = "",
        prompt: bool | None = None,
        id: str = "",  # noqa: A002 - the name readers expect
        reply_to: str = "",
        retry_of: str = "",
        instead_of: str = "",
        steer: Steer = "follow-up",
    ) -> Sent:
        """Append a message and wait until it is on disk.

        Args:
            text: 1 byte to 1 MiB of UTF-8.
            note: For people only; the agent never sees it.
            as_agent: Name of another agent in whose name it is sent.
            prompt: Whether it asks for a turn. By default a person's message does,
                and a note's and an agent's do not.
            id: A UUID chosen by the caller: sending it again changes nothing (D-8).
            reply_to: Id of the message it answers.
            retry_of: Id of the prompt whose outcome is unknown and is tried again.
            instead_of: Id of a waiting prompt that this one replaces in the queue.
            steer: What becomes of the running turn; see `Steer`.

        Raises:
            UsageError: The text is empty, too long or no valid Unicode; or a message
                that is no person's prompt was to interrupt.
            DataError: The session is read-only here.
            LogUnwritable: It is not on disk yet; this window keeps it and tries on.
        """
        body = check_text(text)
        check_ids(id, reply_to, retry_of, instead_of)
        self.check_writable(note=note)
        if id and self.view.message(id) is not None:
            await self.flush()
            return self.sent(id, 0)
        role = schema.NOTE if note else schema.AGENT if as_agent else schema.USER
        asks = role == schema.USER if prompt is None else prompt and not note
        author = self.agent_participant(as_agent) if as_agent else self.me
        origin = whence(os.environ, as_agent)
        person_asks = asks and role == schema.USER and origin is None
        interrupts = check_steer(steer, person_asks=person_asks)
        extra: JsonObject = {"retry_of": retry_of} if retry_of else {}
        message = Message(
            id=id or self.new_id(),
            role=role,
            author=author.id,
            at=self.now(),
            text=body,
            turn=origin.turn if origin else "",
            reply_to=reply_to,
            extra={**extra, "depth": origin.depth + 1} if origin else extra,
        )
        with self.replica.edit() as (edit, ticket):
            self.introduce(edit, author)
            edit.add_message(message)
            if asks:
                entries = self.view.queue
                rank = rank_for(entries, instead_of, interrupts=interrupts)
                edit.enqueue(message.id, rank)
            if instead_of in self.view.queue:
                edit.withdraw(instead_of)
            if interrupts and (running := self.view.running) is not None:
                edit.add_message(self._cancel_request(running.id))
        try:
            seq = await ticket.wait()
        finally:
            # Not before: others wait for the message.
            self.company.note_input(typing=False)
        return self.sent(message.id, seq)

    def sent(self, message: str, seq: int) -> Sent:
        """Tell where a message stands now."""
        places = {p.prompt: p.position for p in self.view.pending}
        return Sent(message, seq, places.get(message), self.view.running is not None)

    async def rename(self, title: str) -> None:
        """Give the session another title, for everybody."""
        title = check_title(title)
        self.check_writable()
        with self.replica.edit() as (edit, ticket):
            self.introduce(edit, self.me)
            edit.set_meta({"title": title})
        await ticket.wait()

    async def cancel(self, turn: str = "") -> str:
        """Ask the runner of a turn to stop it; everybody sees who asked.

        The request names the turn, so that it can never stop a later one.

        Args:
            turn: The turn's id or its beginning; the running one if empty.

        Returns:
            The turn's id. It has not ended yet: wait for `turn.ended`.

        Raises:
            OperationFailed: No such turn is running.
        """
        self.check_writable()
        running = self.view.running
        if running is None or not running.id.startswith(turn):
            raise OperationFailed(
                f"turn {turn} is not running" if turn else "no turn is running"
            )
        with self.replica.edit() as (edit, ticket):
            self.introduce(edit, self.me)
            edit.add_message(self._cancel_request(running.id))
        await ticket.wait()
        return running.id

    def _cancel_request(self, turn: str) -> Message:
        return Message(
            id=self.new_id(),
            role=schema.SYSTEM,
            author=self.me.id,
            at=self.now(),
            text="asked to stop the turn",
            turn=turn,
            extra={"action": "cancel"},
        )

    async def vote(
        self, approval: str | int, *, allow: bool, option: str = "", why: str = ""
    ) -> Approval:
        """Answer a permission question; the first valid vote decides, at the runner.

        Args:
            approval: Its number, as shown, or its id.
            allow: Yes or no; the once-only option of that kind is taken.
            option: An option id instead, one of the question's.
            why: Told to everybody as a note.

        Raises:
            OperationFailed: The question is not open any more.
            UsageError: There is no such question or no such option.
            AccessDenied: An agent's tool asks: agents do not approve. Or the relay
                takes no answers from this person, and the turn runs elsewhere.
        """
        self.check_writable()
        check_person(os.environ)
        found = open_question(self.view, approval)
        if refused := self.refused_vote(found):
            hint = "Ask an owner for an invite that may approve."
            raise AccessDenied(refused, hint=hint)
        chosen = answer_to(found, option, allow=allow)
        with self.replica.edit() as (edit, ticket):
            self.introduce(edit, self.me)
            edit.vote(found.id, self.me.id, chosen.id)
        await ticket.wait()
        if why.strip():
            await self.send(f"{chosen.label} ({found.number}): {why}", note=True)
        return found

    # For the shells around.

    def check_writable(self, *, note: bool = False) -> None:
        """Refuse what would write, if this window or this person cannot.

        Args:
            note: It is a note, which a viewer may be allowed to write.

        Raises:
            DataError: This window cannot.
            AccessDenied: This person may not.
        """
        self.check_storable()
        if self.place.viewer and not (note and self._may(NOTES)):
            raise AccessDenied(
                "you are a viewer of this session: you can look, not write",
                hint="Ask its owner for an editor's invite, and join with that.",
            )

    def refused_vote(self, question: Approval) -> str:
        """Why this person may not answer a question; "" if nothing is against it.

        No relay would pass such an answer on to the runner.
        """
        record = self.view.turns.get(question.turn)
        claim = record.claim if record is not None else None
        here = claim is not None and claim.machine == self.place.identity.machine
        told = any(link.status.features is not None for link in self.links)
        refused = told and not here and not self._may(APPROVE)
        return "you may not answer the agent's questions here" if refused else ""

    def _may(self, feature: str) -> bool:
        """Whether a relay said that this window may do something."""
        told = (link.status.features for link in self.links)
        return any(feature in features for features in told if features is not None)

    def check_storable(self) -> None:
        """Raise `DataError` if not even what others write can be stored here."""
        if self.unstorable:
            raise DataError(f"the session is read-only here: {self.unstorable}")

    def introduce(self, edit: Edit, *participants: Participant) -> None:
        """Write down who somebody is, with a free colour slot; once per participant.

        Whoever is not in the document has no name for others, and no vote.
        """
        known = dict(self.view.participants)
        for one in participants:
            if one.id not in known:
                slot = free_slot(one.id, (p.slot for p in known.values()))
                known[one.id] = replace(one, slot=slot)
                edit.add_participant(known[one.id])

    def agent_participant(self, name: str) -> Participant:
        """The participant that an agent of this name writes as."""
        key = self.place.identity.participant(check_person_name(name), "agent")
        known = self.view.participants.get(key)
        return known or Participant(key, name, "agent", self.now())

    def new_id(self) -> str:
        """A new UUIDv7."""
        return self.place.new_id()

    def now(self) -> str:
        """Wall time for people: ISO 8601, UTC, milliseconds."""
        return self.place.now()

    async def flush(self) -> None:
        """Wait until everything written here is on disk.

        Raises:
            LogUnwritable: The disk does not take it.
        """
        await self.replica.save_now()
