"""Arguments and options that several commands share; it runs nothing."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["AsJson", "SessionName"]

SessionName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", help="Its name here, its id, or 8 letters of it."
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object per line.")
]
