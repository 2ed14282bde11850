"""The command list: the sessions of the data folder; it opens none of them."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from crdtsync.catalog import Entry
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, JsonValue
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.link_facts import Whereabouts, whereabouts
from crdtsync_cli.words import ago, columns

__all__ = ["list_command"]


def list_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List your sessions, the last active first."""
    call = ctx.ensure_object(Call)
    entries = call.catalog.entries()
    where = {entry.id: whereabouts(call.settings.data, entry) for entry in entries}
    if as_json:
        for entry in entries:
            call.out(json_line(_json(entry, where[entry.id])))
    elif not entries:
        call.say(f"no sessions in {call.settings.data} yet; make one: crdtsync NAME")
    else:
        now = datetime.now(UTC)
        head = ("NAME", "ACTIVE", "MESSAGES", "PEOPLE", "WHERE", "UNSYNCED", "TITLE")
        rows = [_row(entry, where[entry.id], now) for entry in entries]
        for line in columns([head, *rows]):
            call.out(line)


def _row(entry: Entry, where: Whereabouts, now: datetime) -> tuple[str, ...]:
    unsynced = "?" if where.unsynced is None else str(where.unsynced)
    return (
        entry.name,
        "file is gone" if entry.missing else ago(entry.active_at, now),
        str(entry.messages),
        ", ".join(map(clean_line, entry.people)),
        ", ".join(map(clean_line, where.hosts)) or "here",
        unsynced if where.hosts else "-",
        clean_line(entry.title),
    )


def _json(entry: Entry, where: Whereabouts) -> JsonObject:
    return {
        "id": entry.id,
        "name": entry.name,
        "title": entry.title,
        "created_at": entry.created_at,
        "opened_at": entry.opened_at,
        "active_at": entry.active_at,
        "people": list[JsonValue](entry.people),
        "messages": entry.messages,
        "relays": list[JsonValue](where.hosts),
        "unsynced": where.unsynced,
        "path": str(entry.path),
        "missing": entry.missing,
    }
