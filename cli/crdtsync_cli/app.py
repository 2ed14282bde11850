"""The command line as a typer app and its outermost boundary.

Only the module of the command that runs is imported: commands are functions named
`NAME_command` in `crdtsync_cli.commands`. An error becomes a line, a hint and an exit
code here, never a traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from inspect import getdoc
from types import FunctionType
from typing import Annotated

import typer

from crdtsync.errors import UsageError
from crdtsync_cli.calling import Call
from crdtsync_cli.failures import end
from crdtsync_cli.routing import COMMANDS, SUBCOMMANDS, Routed, nearest, route

__all__ = ["GROUPS", "build", "run"]

GROUPS = {
    "Sessions": ("open", "list", "show", "search", "watch", "who", "status"),
    "Turns": ("send", "queue", "approve", "deny", "cancel", "host"),
    "Files": ("export", "import", "merge", "fork"),
    "Other machines": ("share", "join", "leave", "relay"),
    "This program": ("agents", "doctor", "config", "demo", "completion"),
}
"""How the help page groups the commands."""

_MODULES = {
    "open": "opening",
    "host": "hosting",
    "list": "listing",
    "show": "reading",
    "search": "reading",
    "who": "looking",
    "status": "looking",
    "queue": "looking",
    "watch": "watching",
    "send": "sending",
    "approve": "answering",
    "deny": "answering",
    "cancel": "answering",
    "export": "transfer",
    "import": "transfer",
    "merge": "transfer",
    "fork": "forking",
    "share": "sharing",
    "join": "sharing",
    "leave": "sharing",
    "relay": "relaying",
    "relay_token": "operating",
    "relay_tokens": "operating",
    "relay_invites": "operating",
    "relay_sessions": "operating",
    "agents": "about",
    "config": "about",
    "doctor": "doctoring",
    "demo": "demo",
    "completion": "completion",
}

_INTRO = """Share one AI-agent session across terminals, and never lose a line.

With a session's name, or with nothing, opens that session, the last one used, or a
new one: the same as `crdtsync open`."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; never raises."""
    call = Call()
    try:
        routed = route(arguments)
        _check(routed, call)
        words = [*routed.before, *filter(None, [routed.command]), *routed.after]
        group = typer.main.get_command(build(routed.command))
        found = group.main(words, "crdtsync", standalone_mode=False, obj=call)
    except BaseException as error:
        return end(error, call)
    finally:
        call.end_log()
    return found if isinstance(found, int) else 0


def build(command: str = "") -> typer.Typer:
    """Make the app with one command, or with all of them and a page that lists them."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help"]},
    )
    functions = {name: _function(name) for name in COMMANDS if command in {"", name}}
    for name, function in functions.items():
        if name in SUBCOMMANDS:
            app.add_typer(_group(name, function), name=name, hidden=True)
        else:
            app.command(name, hidden=True)(function)
    app.callback(
        help=_INTRO if command else f"{_INTRO}\n\n{_list(functions)}",
        subcommand_metavar="[SESSION | COMMAND ...]",
        invoke_without_command=True,
    )(_global_options)
    return app


def _group(name: str, function: FunctionType) -> typer.Typer:
    """A command that has commands of its own, and does something without them."""
    group = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
    group.callback()(function)
    for sub in SUBCOMMANDS[name]:
        group.command(sub)(_function(f"{name}_{sub}"))
    return group


def _function(name: str) -> FunctionType:
    module = import_module(f"crdtsync_cli.commands.{_MODULES[name]}")
    function = getattr(module, f"{name}_command")
    assert isinstance(function, FunctionType)  # noqa: S101 - by construction
    return function


def _list(functions: dict[str, FunctionType]) -> str:
    """The commands with the first sentence of each, by group, not to be re-wrapped."""
    width = max(map(len, functions))
    blocks = []
    for title, names in GROUPS.items():
        lines = [
            f"  {name:{width}}  {(getdoc(functions[name]) or '').splitlines()[0]}"
            for name in names
        ]
        blocks.append("\n".join(["\b", f"{title}:", *lines]))
    return "\n\n".join(blocks)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"crdtsync {version('crdtsync')}")
        raise typer.Exit


def _global_options(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The folder that holds your sessions."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Your name, as the others see it."),
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Colours: auto, always or never."),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="What goes to the log: debug, info, warning or error.",
        ),
    ] = None,
    log_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where the log goes.")
    ] = None,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    call = ctx.ensure_object(Call)
    call.flags = {
        "data": data,
        "name": name,
        "color": color,
        "log_level": log_level,
        "log_file": log_file,
    }
    call.start_log()


def _check(routed: Routed, call: Call) -> None:
    """Refuse words that are mistyped commands.

    Raises:
        UsageError: It is one of these.
    """
    # Names like fix-lst or demo2 are nobody's mistyped command.
    near = nearest(routed.bare, COMMANDS) if routed.bare.isalpha() else ""
    if near and not call.knows(routed):
        raise UsageError(
            f"there is neither a command nor a session {routed.bare!r}",
            hint=f"Did you mean `crdtsync {near}`? "
            f"To make a session of that name: crdtsync open {routed.bare}",
        )
