"""A short run of each fuzz target; `python -m tests.fuzz` runs longer ones."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.fuzz.targets import SEEDS, TARGETS

RUNS = {"codec": 20_000, "admission": 20_000, "room": 200}


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_taken(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", name]
    # Its measure of memory counts the process that started it.
    options = [f"-runs={RUNS[name]}", "-seed=7", "-rss_limit_mb=0"]
    done = subprocess.run(
        [*command, *options], capture_output=True, timeout=50, check=False
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said[-4000:]
    assert f"Done {RUNS[name]} runs" in said, said[-2000:]
