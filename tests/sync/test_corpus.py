"""No legitimate update is refused; CRDTSYNC_CORPUS_UPDATES makes the corpus larger."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sync.corpus import Delivery, deliveries
from tests.sync.replicas import false_refusals

UPDATES = int(os.environ.get("CRDTSYNC_CORPUS_UPDATES", "2000")) // 2
NPM_DEADLINE_S = 50.0
YJS = Path(__file__).parent / "yjs"


def test_nothing_that_pycrdt_writes_is_refused() -> None:
    count, wrong = false_refusals(deliveries(seed=1, count=UPDATES))
    assert (count, wrong) == (UPDATES, [])


@pytest.fixture
def yjs(request: pytest.FixtureRequest) -> Path:
    """A folder with the generator and yjs, kept from one run to the next."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    cached: Path = request.config.cache.mkdir("yjs-corpus")
    for name in ("package.json", "package-lock.json"):
        source, copy = YJS / name, cached / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copy(source, copy)
            shutil.rmtree(cached / "node_modules", ignore_errors=True)
    shutil.copy(YJS / "corpus.mjs", cached)
    if not (cached / "node_modules").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=cached, check=True, timeout=NPM_DEADLINE_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            shutil.rmtree(cached / "node_modules", ignore_errors=True)
            pytest.skip("yjs cannot be installed here")
    return cached


def yjs_deliveries(folder: Path, seed: int, count: int) -> Iterator[Delivery]:
    command = ["node", "corpus.mjs", str(seed), str(count)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            document, replica, update = line.decode().split()
            yield Delivery(
                int(document),
                None if replica == "-" else int(replica),
                base64.b64decode(update),
            )
    assert process.returncode == 0


def test_nothing_that_yjs_writes_is_refused(yjs: Path) -> None:
    count, wrong = false_refusals(yjs_deliveries(yjs, seed=1, count=UPDATES))
    assert (count, wrong) == (UPDATES, [])
