"""Arguments and options that several commands share; it runs nothing."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = [
    "AsJson",
    "Offline",
    "OfflineTurns",
    "Peers",
    "Relays",
    "SessionName",
]

SessionName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="SESSION", help="Its name here, its id, or its link."),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object per line.")
]

Relays: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--relay", metavar="URL", help="Link it to this relay, now and from now on."
    ),
]
Peers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--peer", metavar="URL", help="Link it to a window that listens, likewise."
    ),
]
Offline: TypeAlias = Annotated[
    bool, typer.Option("--offline", help="No links this time; all is kept here.")
]
OfflineTurns: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="WAY",
        help="While the relay that grants turns is away: deny, ask or allow.",
    ),
]
