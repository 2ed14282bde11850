"""The command relay and its own: keeping sessions, and operating what keeps them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict
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
from crdtsync_cli.durations import read_duration
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.words import ago, columns

if TYPE_CHECKING:
    from crdtsync_relay.operating import Kept, Operator

__all__ = [
    "relay_command",
    "relay_invites_command",
    "relay_sessions_command",
    "relay_token_command",
]

Elsewhere: TypeAlias = Annotated[
    str,
    typer.Option(
        "--relay", metavar="URL#TOKEN", help="A relay elsewhere, and an owner's token."
    ),
]


class Role(StrEnum):
    """What the holder of a token may do."""

    owner = "owner"
    editor = "editor"
    viewer = "viewer"


def relay_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen: 127.0.0.1:8787.")
    ] = "",
    certfile: Annotated[
        str, typer.Option(metavar="FILE", help="A certificate chain in PEM, for TLS.")
    ] = "",
    keyfile: Annotated[
        str, typer.Option(metavar="FILE", help="The certificate's private key.")
    ] = "",
    url: Annotated[
        str, typer.Option(metavar="URL", help="How people reach it, for links.")
    ] = "",
    *,
    insecure_http: Annotated[
        bool,
        typer.Option("--insecure-http", help="A proxy in front of it speaks TLS."),
    ] = False,
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Ask for tokens also on this machine."),
    ] = False,
) -> None:
    """Keep sessions for windows of several machines, until it is stopped.

    Without options it listens on this machine only and asks nobody for a token.
    Elsewhere it speaks TLS, or stands behind a proxy that does, and everybody needs a
    token; the owner's is made on the first start. SIGTERM sends everybody away in
    peace. Its sessions are in the folder `relay` of the data folder; the commands
    below look there too, unless --relay names a relay elsewhere.
    """
    if ctx.invoked_subcommand is not None:
        return
    from crdtsync_relay.server import Listening, serve  # noqa: PLC0415 - slow
    from crdtsync_relay.settings import resolve  # noqa: PLC0415 - slow

    call = ctx.ensure_object(Call)
    flags = {
        "data": _data(call),
        "bind": bind,
        "certfile": certfile,
        "keyfile": keyfile,
        "url": url,
        "insecure_http": "true" if insecure_http else "",
        "tokens": "true" if tokens else "",
    }

    def tell(listening: Listening) -> None:
        call.out(listening.url)
        if not listening.asks_for_tokens:
            call.say("everybody on this machine may join; nobody else can")
        if listening.owner_token:
            call.say(f"the owner's link: {listening.url}/#{listening.owner_token}")
            call.say("it is shown this once, and kept in the file owner-token")
        call.say("Ctrl-C stops it")

    serve(resolve(flags, os.environ), tell)


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


def relay_invites_command(
    ctx: typer.Context,
    session: Annotated[
        str, typer.Argument(metavar="[SESSION]", help="Its id, or name here.")
    ] = "",
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
    name = _session_id(call, session) if session else ""
    if relay and not name:
        raise UsageError(
            "at a relay elsewhere, invites are listed by session",
            hint="Name the session: crdtsync relay invites SESSION --relay URL",
        )
    if withdraw:
        anyio.run(_withdraw, call, relay, name, withdraw)
        call.say(f"withdrawn: {withdraw}")
        return
    found = anyio.run(_invites, call, relay, name)
    if as_json:
        for each in found:
            call.out(json_line(each))
    else:
        _print(call, ("ID", "SESSION", "ROLE", "USES", "UNTIL"), map(_invite, found))


async def _withdraw(call: Call, relay: str, session: str, invite: str) -> None:
    if relay:
        path = f"/api/v1/sessions/{session}/invites/{quote(invite, safe='')}"
        await _ask(relay, "DELETE", path)
        return
    async with _operator(call) as operator:
        await operator.withdraw(invite)


async def _invites(call: Call, relay: str, session: str) -> list[JsonObject]:
    if relay:
        said = await _ask(relay, "GET", f"/api/v1/sessions/{session}/invites")
        listed = said.get("invites")
        return [as_object(o) for o in listed] if isinstance(listed, list) else []
    async with _operator(call) as operator:
        return [asdict(invite) for invite in operator.invites(session)]


def relay_sessions_command(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List what the relay of this data folder keeps, the last changed first."""
    call = ctx.ensure_object(Call)

    async def main() -> list[Kept]:
        async with _operator(call) as operator:
            return operator.sessions()

    found = anyio.run(main)
    if as_json:
        for each in found:
            call.out(json_line(asdict(each)))
        return
    now = datetime.now(UTC)
    head = ("ID", "KIND", "CHANGED", "UPDATES", "BYTES", "TOKENS")
    rows = (
        (
            k.id,
            k.kind,
            ago(k.changed_at, now),
            *map(str, (k.updates, k.bytes, k.tokens)),
        )
        for k in found
    )
    _print(call, head, rows)


def _print(call: Call, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    listed = list(rows)
    if not listed:
        call.say("there are none")
        return
    for line in columns([head, *listed]):
        call.out(line)


def _invite(said: JsonObject) -> tuple[str, ...]:
    until = said.get("expires_at")
    at = datetime.fromtimestamp(until / 1000, UTC) if isinstance(until, int) else None
    role = clean_line(as_text(said.get("role")))
    return (
        clean_line(as_text(said.get("id"))),
        clean_line(as_text(said.get("session"))),
        f"{role}, approves" if said.get("can_approve") else role,
        str(said.get("uses_left")),
        f"{at.astimezone():%Y-%m-%d %H:%M}" if at else "",
    )


def _data(call: Call) -> str:
    """The relay's folder; empty if the environment names it."""
    if call.flags.get("data") or not os.environ.get("CRDTSYNC_RELAY_DATA"):
        return str(call.settings.data / "relay")
    return ""


def _operator(call: Call) -> AbstractAsyncContextManager[Operator]:
    from crdtsync_relay.operating import open_operator  # noqa: PLC0415 - slow
    from crdtsync_relay.settings import resolve  # noqa: PLC0415 - slow

    return open_operator(resolve({"data": _data(call)}, os.environ).data)


async def _ask(
    relay: str, method: str, path: str, body: JsonObject | None = None
) -> JsonObject:
    from crdtsync.links.asking import ask_relay  # noqa: PLC0415 - slow

    link = parse_link(relay)
    return await ask_relay(link, method, path, body, token=link.secret)


def _session_id(call: Call, session: str) -> str:
    """The id of a session that is here, or what may be the id of one that is not."""
    with suppress(SessionNotFound):
        return call.find(session).id
    if not ID.fullmatch(session):
        raise UsageError(f"{clean_line(session)!r} is no session's id")
    return session
