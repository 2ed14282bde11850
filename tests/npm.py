"""Other people's programs in Node, installed once and kept for the next run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NPM_DEADLINE_S = 50.0


def node_folder(request: pytest.FixtureRequest, source: Path) -> Path:
    """A copy of a folder with what its package-lock.json names installed.

    Args:
        request: Of the fixture; for pytest's cache.
        source: Has package.json, package-lock.json and scripts.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        _do_without("node and npm are not installed")
    kept: Path = request.config.cache.mkdir(f"npm-{source.name}")
    for name in ("package.json", "package-lock.json"):
        new, old = source / name, kept / name
        if not old.exists() or old.read_bytes() != new.read_bytes():
            shutil.copy(new, old)
            shutil.rmtree(kept / "node_modules", ignore_errors=True)
    for script in source.glob("*.mjs"):
        shutil.copy(script, kept)
    if not (kept / "node_modules").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=kept, check=True, timeout=NPM_DEADLINE_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            shutil.rmtree(kept / "node_modules", ignore_errors=True)
            _do_without("its packages cannot be installed here")
    return kept


def _do_without(reason: str) -> None:
    """Skip the test on a machine of somebody, fail it where everything must run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
