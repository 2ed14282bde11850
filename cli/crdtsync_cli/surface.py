"""The app's surface as data: its help pages, its completions, its reference page.

Nothing here is needed to run a command; `docs/pages.py` writes what it returns to files
and the tests compare them, so that the stored pages are the app's own.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from importlib.metadata import version
from inspect import getdoc

import typer
from typer.core import TyperArgument, TyperOption

from crdtsync_cli.app import GROUPS, build, run
from crdtsync_cli.completing import Surface
from crdtsync_cli.routing import COMMANDS, SUBCOMMANDS
from crdtsync_cli.settings import KEYS

__all__ = ["COLUMNS", "help_pages", "reference", "surfaces"]

COLUMNS = 80
"""The pages are as on a terminal of this width, and on every wider one."""

_CHOICES = {
    "--agent": ("demo", "none"),
    "--permissions": ("ask", "allow-reads", "deny-all", "yolo"),
    "--color": ("auto", "always", "never"),
    "--log-level": ("debug", "info", "warning", "error"),
    "--until": ("idle", "turn"),
    "--format": ("md", "json", "jsonl", "html", "ydoc"),
}


def help_pages() -> dict[str, str]:
    """Every help page by command; "crdtsync" is the first, "version" the version."""
    pages = {"crdtsync": _printed(["--help"])}
    pages |= {name: _printed([name, "--help"]) for name in COMMANDS}
    return {**pages, "version": f"crdtsync {version('crdtsync')}\n"}


def surfaces() -> dict[str, Surface]:
    """What completion knows; "" holds the global options."""
    group = typer.main.get_command(build())
    found = {"": _surface(group.params, "")}
    commands = getattr(group, "commands", {})
    for name in COMMANDS:
        command = commands[name]
        found[name] = _surface(command.params, _sentence(command))
        for sub, below in getattr(command, "commands", {}).items():
            found[f"{name} {sub}"] = _surface(below.params, _sentence(below))
    return found


def _sentence(command: typer.core.TyperCommand) -> str:
    return (getdoc(command.callback) or "").splitlines()[0]


def reference() -> str:
    """The page docs/reference/cli.md."""
    pages = help_pages()
    return "\n".join(_reference(pages)) + "\n"


def _reference(pages: dict[str, str]) -> Iterator[str]:
    yield from (
        "# Command line",
        "",
        "Written by `docs/pages.py` from the program; a test keeps it true.",
        "",
        "Results go to stdout; what is said to people goes to stderr. Global options",
        "may stand before or after the command. What can be typed into a window is on",
        "a page of its own: [keys and commands](keys.md).",
        "",
    )
    yield from ("```text", pages["crdtsync"].rstrip(), "```", "")
    yield from ("## Exit codes", "", *_EXIT_CODES, "")
    yield from ("## Settings", "", *_settings(), "")
    for title, names in GROUPS.items():
        yield from (f"## {title}", "")
        for name in names:
            shown = pages[name].rstrip()
            yield from (f"### crdtsync {name}", "", "```text", shown, "```", "")
            for sub in SUBCOMMANDS.get(name, ()):
                shown = _printed([name, sub, "--help"]).rstrip()
                heading = f"#### crdtsync {name} {sub}"
                yield from (heading, "", "```text", shown, "```", "")


_EXIT_CODES = (
    "| code | meaning |",
    "|---|---|",
    "| 0 | done |",
    "| 1 | the turn, or the operation, failed |",
    "| 2 | the command makes no sense as it is: a wrong option, an unknown session |",
    "| 3 | no connection |",
    "| 4 | the role does not allow it |",
    "| 5 | a file is damaged, foreign, too new or cannot be written |",
    "| 130 | interrupted |",
)


def _settings() -> Iterator[str]:
    yield "An option wins over the environment, that over `config.toml`, that over"
    yield "the default. `crdtsync config` shows each value and where it comes from, and"
    yield "where the file is; `CRDTSYNC_CONFIG` names another one."
    yield ""
    yield "| in the file | environment | meaning |"
    yield "|---|---|---|"
    for key in KEYS:
        choices = f" One of {', '.join(key.choices)}." if key.choices else ""
        yield f"| `{key.name}` | `{key.variable}` | {key.help}{choices} |"
    yield "| `redact` | | Texts that `export --redact` takes out, besides keys. |"
    yield "| `[agents.NAME]` | | An agent of your own. |"


def _printed(arguments: list[str]) -> str:
    """What the app prints for these arguments on a terminal of 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(COLUMNS)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            run(arguments)
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return output.getvalue()


def _surface(params: object, sentence: str) -> Surface:
    assert isinstance(params, list)  # noqa: S101 - as the parser has it
    options: dict[str, str] = {"--help": "Show this message and exit."}
    values: dict[str, list[str]] = {}
    session = False
    for param in params:
        if isinstance(param, TyperArgument):
            session = session or str(param.metavar or "").startswith("SESSION")
        elif isinstance(param, TyperOption):
            for option in param.opts:
                options[option] = param.help or ""
                if not param.is_flag:
                    values[option] = list(_CHOICES.get(option, ()))
    return Surface(help=sentence, options=options, values=values, session=session)
