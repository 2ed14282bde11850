"""Prints the table of all measurements: `python -m tests.bench [module ...]`."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from typing import TextIO

from rich.console import Console
from rich.table import Table

from tests import bench
from tests.bench.rows import Row

HEADINGS = ("measured", "value", "floor", "ratio", "limit", "")


def modules() -> list[str]:
    """Every module of this package that measures something, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__))
    return [name for name in names if name != "__main__" and _measures(name)]


def _measures(name: str) -> bool:
    return hasattr(import_module(f"{bench.__name__}.{name}"), "run")


def measure(name: str) -> list[Row]:
    """Run one module; whoever asks decides in which order."""
    rows: list[Row] = import_module(f"{bench.__name__}.{name}").run()
    return rows


def show(rows: list[Row], out: TextIO) -> None:
    """Print rows as a table, numbers to the right."""
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        right = heading in {"value", "floor", "ratio"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row))
    console = Console(file=out, width=120, highlight=False)
    console.print(table)


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table as text."""
    floor = "" if row.floor is None else _figure(row.floor, row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    kept = "ok" if row.ok else "MISSED"
    return row.name, _figure(row.value, row.unit), floor, ratio, row.limit, kept


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def main(names: list[str]) -> int:
    """Measure the modules named, or all; returns the exit status, 1 for a miss."""
    known = modules()
    if unknown := [name for name in names if name not in known]:
        sys.stderr.write(f"no measurement {unknown[0]}; there are {', '.join(known)}\n")
        return 2
    rows: list[Row] = []
    for name in names or known:
        sys.stderr.write(f"measuring {name} ...\n")
        rows += measure(name)
    show(rows, sys.stdout)
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
