"""The commands below relay: its tokens, invites and sessions, here or elsewhere.

Here they work on the relay's own folder, whether it runs or not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import quote

import anyio
import typer

from crdtsync.errors import SessionNotFound, UsageError
from crdtsync.identity import ID
from crdtsync.links.addresses import parse_link
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, as_object, as_text
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson
from crdtsync_cli.commands.relaying import relay_data
from crdtsync_cli.durations import read_duration
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.words import ago, columns

if TYPE_CHECKING:
    from crdtsync_relay.operating import Kept, Operator

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
    name = _session_id(call, session)

    async def main() -> str:
        if relay:
            body: JsonObject = {
                "participant": participant,
                "role": role.value,
                "can_approve": can_approve,
            }
            if life_s is not None:
                body["life_s"] = life_s
            made = await _ask(relay, "POST", f"/api/v1/sessions/{name}/tokens", body)
            return as_text(made.get("token"))
        async with _operator(call) as operator:
            return await operator.make_token(
                name, participant, role, life_s=life_s, can_approve=can_approve
            )

    call.out(anyio.run(main))


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
    place = _Place(call, relay, _session_id(call, session))
    if revoke:
        anyio.run(_close, place, "tokens", revoke)
        call.say(f"revoked: {revoke}")
        return
    found = anyio.run(_listed, place, "tokens")
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
    place = _Place(call, relay, _session_id(call, session))
    if withdraw:
        anyio.run(_close, place, "invites", withdraw)
        call.say(f"withdrawn: {withdraw}")
        return
    found = anyio.run(_listed, place, "invites")
    head = ("ID", "SESSION", "ROLE", "USES", "UNTIL")
    _print(call, head, found, _invite_row, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which relay is operated on, and which session is meant; empty for all."""

    call: Call
    relay: str
    session: str

    @property
    def path(self) -> str:
        """The session's HTTP route.

        Raises:
            UsageError: No session is meant, and elsewhere one has to be.
        """
        if not self.session:
            raise UsageError(
                "a relay elsewhere lists these by session",
                hint="Name the session before --relay.",
            )
        return f"/api/v1/sessions/{self.session}"


async def _close(place: _Place, what: str, identity: str) -> None:
    if place.relay:
        path = f"{place.path}/{what}/{quote(identity, safe='')}"
        await _ask(place.relay, "DELETE", path)
        return
    async with _operator(place.call) as operator:
        if what == "tokens":
            await operator.revoke(identity)
        else:
            await operator.withdraw(identity)


async def _listed(place: _Place, what: str) -> list[JsonObject]:
    if place.relay:
        said = await _ask(place.relay, "GET", f"{place.path}/{what}")
        listed = said.get(what)
        return [as_object(o) for o in listed] if isinstance(listed, list) else []
    async with _operator(place.call) as operator:
        if what == "tokens":
            return [asdict(token) for token in operator.tokens(place.session or None)]
        return [asdict(invite) for invite in operator.invites(place.session)]


def relay_sessions_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List what the relay of this data folder keeps, the last changed first."""
    call = ctx.ensure_object(Call)

    async def main() -> list[Kept]:
        async with _operator(call) as operator:
            return operator.sessions()

    found = [asdict(kept) for kept in anyio.run(main)]
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
    return (as_text(said.get("id")), as_text(said.get("kind")), changed, *counts)


def _beginning(said: JsonObject) -> tuple[str, str, str]:
    """What rows of tokens and invites begin with."""
    role = clean_line(as_text(said.get("role")))
    approves = said.get("can_approve") is True and role != "owner"
    session = clean_line(as_text(said.get("session"))) or "all"
    shown = f"{role}, approves" if approves else role
    return clean_line(as_text(said.get("id"))), session, shown


def _until(said: JsonObject) -> str:
    until = said.get("expires_at")
    if not isinstance(until, int):
        return "for ever"
    at = datetime.fromtimestamp(until / 1000, UTC).astimezone()
    return f"{at:%Y-%m-%d %H:%M}"


def _operator(call: Call) -> AbstractAsyncContextManager[Operator]:
    from crdtsync_relay.operating import open_operator  # noqa: PLC0415 - slow
    from crdtsync_relay.settings import resolve  # noqa: PLC0415 - slow

    return open_operator(resolve({"data": relay_data(call)}, os.environ).data)


async def _ask(
    relay: str, method: str, path: str, body: JsonObject | None = None
) -> JsonObject:
    from crdtsync.links.asking import ask_relay  # noqa: PLC0415 - slow

    link = parse_link(relay)
    return await ask_relay(link, method, path, body, token=link.secret)


def _session_id(call: Call, session: str) -> str:
    """The id of a session that is here, or what may be the id of one that is not."""
    if not session:
        return ""
    with suppress(SessionNotFound):
        return call.find(session).id
    if not ID.fullmatch(session):
        raise UsageError(f"{clean_line(session)!r} is no session's id")
    return session
