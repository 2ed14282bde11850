"""The commands below relay: its tokens, invites and sessions, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import anyio
import typer

from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, as_text
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson
from crdtsync_cli.durations import read_duration
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.operated import Operated
from crdtsync_cli.words import ago, columns

__all__ = [
    "relay_invites_command",
    "relay_sessions_command",
    "relay_token_command",
    "relay_tokens_command",
]

Elsewhere: TypeAlias = Annotated[
    str,
    typer.Option(
        "--relay", metavar="URL#TOKEN", help="A relay elsewhere, and an owner's token."
    ),
]


OfSession: TypeAlias = Annotated[
    str, typer.Argument(metavar="[SESSION]", help="Its id, or name here.")
]


class Role(StrEnum):
    """What the holder of a token may do."""

    owner = "owner"
    editor = "editor"
    viewer = "viewer"


def relay_token_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    session: Annotated[
        str, typer.Option(metavar="SESSION", help="The session's id, or name here.")
    ],
    participant: Annotated[
        str, typer.Option(metavar="NAME", help="Whom it stands for.")
    ],
    role: Annotated[
        Role, typer.Option(metavar="ROLE", help="owner, editor or viewer.")
    ],
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is good, such as 30d.")
    ] = "",
    relay: Elsewhere = "",
    *,
    can_approve: Annotated[
        bool, typer.Option("--can-approve", help="An editor may answer the agent, too.")
    ] = False,
) -> None:
    """Make a token of a session for somebody, and print it.

    It is shown this once, and good for ever unless --ttl says otherwise. The link that
    holds it is RELAY/s/SESSION#TOKEN.
    """
    call = ctx.ensure_object(Call)
    life_s = read_duration(ttl, "--ttl") if ttl else None
    place = Operated(call, relay, session)
    call.out(anyio.run(place.make_token, participant, role.value, life_s, can_approve))


def relay_tokens_command(
    ctx: typer.Context,
    session: OfSession = "",
    revoke: Annotated[
        str, typer.Option(metavar="ID", help="Make this one good for nothing.")
    ] = "",
    relay: Elsewhere = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List who has a token, or revoke one; its windows are sent away within seconds."""
    call = ctx.ensure_object(Call)
    place = Operated(call, relay, session)
    if revoke:
        anyio.run(place.close, "tokens", revoke)
        call.say(f"revoked: {revoke}")
        return
    found = anyio.run(place.listed, "tokens")
    head = ("ID", "SESSION", "ROLE", "PARTICIPANT", "NAME", "UNTIL")
    _print(call, head, found, _token_row, as_json=as_json)


def relay_invites_command(
    ctx: typer.Context,
    session: OfSession = "",
    withdraw: Annotated[
        str, typer.Option(metavar="ID", help="Close this invite.")
    ] = "",
    relay: Elsewhere = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List the open invites, or withdraw one.

    Who came in by an invite stays when it is withdrawn.
    """
    call = ctx.ensure_object(Call)
    place = Operated(call, relay, session)
    if withdraw:
        anyio.run(place.close, "invites", withdraw)
        call.say(f"withdrawn: {withdraw}")
        return
    found = anyio.run(place.listed, "invites")
    head = ("ID", "SESSION", "ROLE", "USES", "UNTIL")
    _print(call, head, found, _invite_row, as_json=as_json)


def relay_sessions_command(
    ctx: typer.Context, relay: Elsewhere = "", *, as_json: AsJson = False
) -> None:
    """List what the relay keeps, the last changed first; elsewhere, the ids alone."""
    call = ctx.ensure_object(Call)
    found = anyio.run(Operated(call, relay, "").sessions)
    if relay:
        _print(call, ("ID",), found, lambda s: (_id(s),), as_json=as_json)
        return
    head = ("ID", "KIND", "CHANGED", "UPDATES", "BYTES", "TOKENS")
    _print(call, head, found, _session_row, as_json=as_json)


def _print(
    call: Call,
    head: Sequence[str],
    found: Sequence[JsonObject],
    row: Callable[[JsonObject], Sequence[str]],
    *,
    as_json: bool,
) -> None:
    if as_json:
        for each in found:
            call.out(json_line(each))
    elif not found:
        call.say("there are none")
    else:
        for line in columns([head, *map(row, found)]):
            call.out(line)


def _token_row(said: JsonObject) -> tuple[str, ...]:
    keys = ("participant", "name")
    named = (clean_line(as_text(said.get(key))) for key in keys)
    return (*_beginning(said), *named, _until(said))


def _invite_row(said: JsonObject) -> tuple[str, ...]:
    return (*_beginning(said), str(said.get("uses_left")), _until(said))


def _session_row(said: JsonObject) -> tuple[str, ...]:
    changed = ago(as_text(said.get("changed_at")), datetime.now(UTC))
    counts = (str(said.get(key)) for key in ("updates", "bytes", "tokens"))
    return (_id(said), as_text(said.get("kind")), changed, *counts)


def _id(said: JsonObject) -> str:
    return clean_line(as_text(said.get("id")))


def _beginning(said: JsonObject) -> tuple[str, str, str]:
    """What rows of tokens and invites begin with."""
    role = clean_line(as_text(said.get("role")))
    approves = said.get("can_approve") is True and role != "owner"
    session = clean_line(as_text(said.get("session"))) or "all"
    shown = f"{role}, approves" if approves else role
    return _id(said), session, shown


def _until(said: JsonObject) -> str:
    until = said.get("expires_at")
    if not isinstance(until, int):
        return "for ever"
    at = datetime.fromtimestamp(until / 1000, UTC).astimezone()
    return f"{at:%Y-%m-%d %H:%M}"
