"""The command relay: keeps sessions for windows of several machines."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from crdtsync_cli.calling import Call

__all__ = ["relay_command", "relay_data"]


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
    participants_max: Annotated[
        str,
        typer.Option(metavar="N", help="People who may have a token of a session."),
    ] = "",
    viewers_note: Annotated[
        bool,
        typer.Option("--viewers-note", help="Let viewers write notes."),
    ] = False,
    idle_token_days: Annotated[
        str,
        typer.Option(metavar="DAYS", help="Revoke tokens unused for so long."),
    ] = "",
    keep_days: Annotated[
        str,
        typer.Option(metavar="DAYS", help="Remove sessions unused for so long."),
    ] = "",
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
        "data": relay_data(call),
        "bind": bind,
        "certfile": certfile,
        "keyfile": keyfile,
        "url": url,
        "insecure_http": "true" if insecure_http else "",
        "tokens": "true" if tokens else "",
        "participants_max": participants_max,
        "viewers_note": "true" if viewers_note else "",
        "idle_token_days": idle_token_days,
        "keep_days": keep_days,
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


def relay_data(call: Call) -> str:
    """The relay's folder; empty if the environment names it."""
    if call.flags.get("data") or not os.environ.get("CRDTSYNC_RELAY_DATA"):
        return str(call.settings.data / "relay")
    return ""
