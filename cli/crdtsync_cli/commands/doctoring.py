"""The command doctor: checks this machine and its sessions; changes none of them."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.bell.folder import runtime_folder
from crdtsync.catalog import Entry
from crdtsync.errors import CrdtSyncError, DataError, UsageError
from crdtsync.log.salvage import Report, check, salvage
from crdtsync.sanitize import clean_line
from crdtsync_cli.calling import Call

__all__ = ["doctor_command"]


def doctor_command(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="SESSION|FILE", help="Check only this session or file."),
    ] = "",
    output: Annotated[
        str,
        typer.Option(
            "--salvage", metavar="FILE", help="Copy what is readable into a new file."
        ),
    ] = "",
) -> None:
    """Check this machine and every session; rescue what is readable.

    Nothing that is checked is changed. The exit code is 5 if a session is damaged.
    """
    call = ctx.ensure_object(Call)
    if output and not target:
        raise UsageError("--salvage needs a session or a file to take it from")
    if output:
        _salvage(call, _path(call, target), Path(output).expanduser())
        return
    if target:
        found = _check(call, target, _path(call, target))
    else:
        for line in _machine(call):
            call.out(line)
        entries = call.catalog.entries()
        checked = [_check_entry(call, entry) for entry in entries]
        found = all(checked)
        call.out(f"{'ok  ' if found else 'BAD '} {len(entries)} sessions checked")
    if not found:
        raise DataError(
            "not everything is whole",
            hint="Rescue a session with: crdtsync doctor NAME --salvage FILE",
        )


def _path(call: Call, target: str) -> Path:
    path = Path(target).expanduser()
    return path if path.is_file() else call.find(target).path


def _check_entry(call: Call, entry: Entry) -> bool:
    if entry.missing:
        call.out(f"BAD  {entry.name}: its file {entry.path} is gone")
        return False
    return _check(call, entry.name, entry.path)


def _check(call: Call, name: str, path: Path) -> bool:
    try:
        report = check(path)
    except CrdtSyncError as error:
        call.out(f"BAD  {clean_line(name)}: {clean_line(str(error))}")
        return False
    for line in _findings(report):
        call.out(f"BAD  {clean_line(name)}: {clean_line(line)}")
    bad = any(True for _ in _findings(report))
    if not bad:
        updates = sum(document.updates for document in report.documents)
        call.out(f"ok   {clean_line(name)}: {updates} updates")
    return not bad


def _findings(report: Report) -> Iterator[str]:
    yield from report.problems
    for document in report.documents:
        for first, last in document.missing:
            yield f"updates {first} to {last} of {document.doc} are lost"


def _salvage(call: Call, path: Path, output: Path) -> None:
    report = salvage(path, output)
    for line in _findings(report):
        call.say(f"lost: {clean_line(line)}")
    for document in report.documents:
        call.say(f"rescued {document.updates} updates of {clean_line(document.doc)}")
    call.say(
        f"hint: put {output} into {call.settings.data / 'sessions'} "
        "in place of the damaged file, under the same name"
    )
    call.out(str(output))


def _machine(call: Call) -> Iterator[str]:
    yield f"ok   crdtsync {version('crdtsync')}, Python {platform.python_version()}"
    yield f"ok   {platform.system()} {platform.machine()}"
    data = call.settings.data
    if data.exists():
        good = os.access(data, os.R_OK | os.W_OK | os.X_OK)
        yield f"{'ok  ' if good else 'BAD '} data folder {data}" + (
            "" if good else ": it cannot be written"
        )
    else:
        yield f"ok   data folder {data}: not there yet"
    if hasattr(socket, "AF_UNIX"):
        yield f"ok   bell: sockets in {runtime_folder(data, 'x').parent}"
    else:
        yield "ok   bell: by looking at the files, which takes a moment longer"
    screen = sys.stdin.isatty() and sys.stdout.isatty()
    yield f"ok   terminal: {os.environ.get('TERM', 'none') if screen else 'none here'}"
