"""Fuzzes one target with atheris: `python -m tests.fuzz codec -runs=100000`.

What follows the name are options of libFuzzer, such as `-max_total_time=600`, or a
folder that keeps a corpus. It ends with status 0 if nothing was found.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

# It has no types.
atheris = import_module("atheris")

with atheris.instrument_imports(include=["crdtsync", "crdtsync_relay"]):
    from tests.fuzz.targets import SEEDS, TARGETS


def main(name: str, *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        words = [sys.argv[0], *options, folder]
        atheris.Setup(words, TARGETS[name], enable_python_coverage=True)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
