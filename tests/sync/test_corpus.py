"""No legitimate update is refused; CRDTSYNC_CORPUS_UPDATES makes the corpus larger."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.npm import node_folder
from tests.sync.corpus import Delivery, deliveries
from tests.sync.replicas import false_refusals

UPDATES = int(os.environ.get("CRDTSYNC_CORPUS_UPDATES", "2000")) // 2
YJS = Path(__file__).parent / "yjs"


def test_nothing_that_pycrdt_writes_is_refused() -> None:
    count, wrong = false_refusals(deliveries(seed=1, count=UPDATES))
    assert (count, wrong) == (UPDATES, [])


@pytest.fixture
def yjs(request: pytest.FixtureRequest) -> Path:
    """A folder with the generator and yjs, kept from one run to the next."""
    return node_folder(request, YJS)


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
