"""Makes a new session that starts from a point of another one; changes the old one not.

The fork is a session of its own (D-2): nothing written in one reaches the other. What
ran at that point counts as ended there, and what waited waits for a person's release
(Q4), so that a fork never makes an agent do something twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread

from crdtsync import schema
from crdtsync.catalog import Catalog
from crdtsync.errors import UsageError
from crdtsync.export.content import Content, read_content, write_content
from crdtsync.identity import check_session_name
from crdtsync.limits import TITLE_CHARS_MAX
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.schema import JsonObject, JsonValue, as_object, as_text
from crdtsync.session import Session
from crdtsync.sync.admission import DocIndex
from crdtsync.turns.queue import QueueEntry, rank_last

__all__ = ["Forked", "cut_content", "fork_session"]

FORKED: Final = "forked"
"""The stop reason of a turn that was running at the point of the fork."""

# Of the old session alone: its arbiter, and the conversation its agent remembers.
_OWN_META: Final = frozenset({"agent", "arbiter", "arbiter_at", "forked_from"})


@dataclass(frozen=True, slots=True)
class Forked:
    """A session made from a point of another one.

    Attributes:
        id: The new session's id.
        name: What it is called here.
        messages: How many it begins with.
        held: Prompts that wait for a release.
    """

    id: str
    name: str
    messages: int
    held: int


async def fork_session(
    session: Session, *, at: str = "", name: str | None = None
) -> Forked:
    """Make a new session of the same data folder that starts from a point of this one.

    Its `meta.forked_from` names this session and the message.

    Args:
        session: Open; it is only read.
        at: The id of the last message to take over, or the beginning of one; by
            default the last one there is.
        name: What to call it here; by default after this session.

    Raises:
        UsageError: There is no such message, several begin so, the session is empty,
            or the name is taken or none.
        LogUnwritable: The data folder cannot be written.
    """
    place, view = session.place, session.view
    catalog, last = Catalog(place.data), _find(session, at)
    if name is not None:
        check_session_name(name)
    called = name or f"{session.name}-fork"
    free = await anyio.to_thread.run_sync(catalog.free_name, called)
    if name is not None and free != name:
        raise UsageError(
            f"there already is a session {name!r} here",
            hint=f"Choose another name, such as {free}.",
        )
    new, made_at = session.new_id(), session.now()
    title = f"{view.meta.title or session.name} (fork)"[:TITLE_CHARS_MAX]
    content = cut_content(read_content(session.replica.document), last)
    content[schema.META] = {
        **as_object(content[schema.META]),
        "title": title,
        "created_at": made_at,
        "created_by": session.me.id,
        "forked_from": {"session": session.id, "message": last},
    }
    update = await anyio.to_thread.run_sync(_encoded, content, new)
    async with open_sqlite_log(catalog.path(new), clock=place.clock) as log:
        await log.create(new)
        await log.append(new, [update], origin="fork", after=0)
    messages = content[schema.MESSAGES]
    count = len(messages) if isinstance(messages, list) else 0
    await anyio.to_thread.run_sync(catalog.add, new, free, made_at)
    people = tuple(p.name for p in view.participants.values() if p.kind == "person")
    await anyio.to_thread.run_sync(catalog.note_summary, new, title, count, people)
    queue = as_object(content[schema.QUEUE])
    return Forked(new, free, count, len(queue))


def cut_content(content: Content, last: str) -> dict[str, JsonValue]:
    """What a session was when a message was its last one; pure.

    Args:
        content: The whole session, as `read_content` gives it.
        last: The id of the last message to be kept.
    """
    found = dict(content)
    headers = content[schema.MESSAGES]
    listed = headers if isinstance(headers, list) else []
    ids = [as_text(as_object(header).get("id")) for header in listed]
    end = len(ids) - ids[::-1].index(last)
    kept = list(dict.fromkeys(ids[:end]))
    found[schema.MESSAGES] = listed[:end]
    begun = _streaming(listed[:end])
    later = _streaming(listed[end:])
    turns = _turns(as_object(content[schema.TURNS]), kept, begun, later)
    found[schema.TURNS] = turns
    for root in (schema.TEXTS, schema.DRAFTS, schema.LEASE):
        entries = as_object(content[root])
        found[root] = {key: v for key, v in entries.items() if key in kept}
    found[schema.TOOLS] = _tools(as_object(content[schema.TOOLS]), turns, kept)
    found[schema.APPROVALS] = _approvals(as_object(content[schema.APPROVALS]), turns)
    found[schema.QUEUE] = _held(content, turns, kept)
    meta = as_object(content[schema.META])
    found[schema.META] = {k: v for k, v in meta.items() if k not in _OWN_META}
    return found


def _find(session: Session, at: str) -> str:
    messages = session.view.messages
    if not messages:
        raise UsageError("the session is empty", hint="Write something first.")
    if not at:
        return messages[-1].id
    found = [message.id for message in messages if message.id.startswith(at)]
    if len(found) == 1 or at in found:
        return at if at in found else found[0]
    raise UsageError(
        f"{len(found)} messages begin with {at!r}" if found else f"no message {at!r}",
        hint=f"`crdtsync show {session.name} --json` shows the ids.",
    )


def _streaming(headers: list[JsonValue]) -> set[str]:
    """The turns that have output among these messages."""
    objects = map(as_object, headers)
    streamed = (h for h in objects if h.get("role") in schema.STREAMED_ROLES)
    return {as_text(header.get("turn")) for header in streamed}


def _turns(
    turns: JsonObject, kept: Collection[str], begun: set[str], later: set[str]
) -> JsonObject:
    """The turns of which something is kept; those that went on ended at the point."""
    found: JsonObject = {}
    for turn, value in turns.items():
        record = as_object(value)
        over = bool(record.get("ended") or record.get("void"))
        asked = as_object(record.get("claim")).get("prompts")
        known = isinstance(asked, list) and all(prompt in kept for prompt in asked)
        if not known or not (turn in begun or (over and turn not in later)):
            continue
        if not over or turn in later:
            record = {k: v for k, v in record.items() if k != "ended_at"}
            record |= {"ended": True, "stop_reason": FORKED}
        found[turn] = record
    return {turn: _bounded(as_object(record), found) for turn, record in found.items()}


def _bounded(record: JsonObject, turns: Collection[str]) -> JsonObject:
    """A turn whose claim names only turns that are there."""
    claim = as_object(record.get("claim"))
    seen: JsonObject = {
        name: {k: v for k, v in as_object(claim.get(name)).items() if k in turns}
        for name in ("after", "closes")
    }
    return {**record, "claim": {**claim, **seen}}


def _tools(
    tools: JsonObject, turns: Collection[str], kept: Collection[str]
) -> JsonObject:
    """The tool calls that had begun; what had not ended was cancelled."""
    found: JsonObject = {}
    for key, value in tools.items():
        tool = as_object(value)
        message = as_text(tool.get("message"))
        if key.partition("/")[0] not in turns or (message and message not in kept):
            continue
        if tool.get("phase") not in schema.TERMINAL_PHASES:
            tool = {**tool, "phase": "cancelled"}
        found[key] = tool
    return found


def _approvals(approvals: JsonObject, turns: Collection[str]) -> JsonObject:
    """The questions of these turns; open ones nobody can answer any more."""
    return {
        key: {"decision": "cancelled", "decided_by": "", **as_object(value)}
        for key, value in approvals.items()
        if as_text(as_object(value).get("turn")) in turns
    }


def _held(content: Content, turns: JsonObject, kept: Sequence[str]) -> JsonObject:
    """The prompts that no turn had taken at the point, all held, in their order."""
    queue = as_object(content[schema.QUEUE])
    taken = {prompt for turn in turns.values() for prompt in _prompts(turn)}
    later = {
        p for turn in as_object(content[schema.TURNS]).values() for p in _prompts(turn)
    }
    ranks = {key: as_text(as_object(value).get("rank")) for key, value in queue.items()}
    waiting = [p for p in kept if p not in taken and (p in later or p in queue)]
    # What a later turn took has left the queue, and stood before all that is in it.
    waiting.sort(key=lambda prompt: ranks.get(prompt, ""))
    entries: list[QueueEntry] = []
    for prompt in waiting:
        entries.append(QueueEntry(prompt, rank_last(entries)))
    return {entry.prompt: {"rank": entry.rank, "held": True} for entry in entries}


def _prompts(turn: JsonValue) -> list[str]:
    """The prompts that a turn took and did not give back."""
    record = as_object(turn)
    asked = as_object(record.get("claim")).get("prompts")
    if record.get("void") or not isinstance(asked, list):
        return []
    return [prompt for prompt in asked if isinstance(prompt, str)]


def _encoded(content: Content, session: str) -> bytes:
    """The new document as an update that every replica and relay admits."""
    update = write_content(content, session).state()
    DocIndex.from_update(update, schema.ROOTS)
    return update
