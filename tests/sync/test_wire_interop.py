"""Layer 1 against y-protocols of npm, in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from crdtsync.sync.wire import (
    AuthDenied,
    Awareness,
    ClientState,
    Message,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    encode,
)
from tests.npm import node_folder

SOURCE = Path(__file__).parent / "yprotocols"


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest) -> Path:
    """A folder with y-protocols, kept from one run to the next."""
    return node_folder(request, SOURCE)


def run(folder: Path, *frames: bytes) -> Any:
    command = ["node", "messages.mjs", *(frame.hex() for frame in frames)]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, timeout=30
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def theirs(node: Path) -> dict[str, bytes]:
    return {name: bytes.fromhex(text) for name, text in run(node).items()}


def test_we_write_what_y_protocols_writes(theirs: dict[str, bytes]) -> None:
    update, vector = theirs["update"], theirs["vector"]
    zoe = ClientState(4294967295, 1, '{"user":{"name":"Zoë 😀"}}')
    same: dict[str, Message] = {
        "step1": SyncStep1(vector),
        "step2": SyncStep2(update),
        "live": Update(update),
        "awareness": Awareness((zoe,)),
        "nobody": Awareness(()),
        "denied": AuthDenied("nur für Gäste"),
        "query": QueryAwareness(),
    }
    for name, message in same.items():
        if name != "awareness":
            assert encode(message) == theirs[name], name
        assert encode(*decode(theirs[name])) == theirs[name], name
    # Its clock depends on how often the state was set.
    (said,) = decode(theirs["awareness"])
    assert isinstance(said, Awareness)
    assert said.states[0].state == zoe.state


def test_y_protocols_reads_what_we_write(node: Path, theirs: dict[str, bytes]) -> None:
    told = run(
        node,
        encode(SyncStep2(theirs["update"])),
        encode(SyncStep1(b"\0")),
        encode(Awareness((ClientState(9, 4, '{"name":"Zoë 😀"}'),))),
        encode(AuthDenied("nur für Gäste")),
    )
    assert told["text"] == "naïve 😀"
    assert told["states"] == {"9": {"name": "Zoë 😀"}}
    assert told["denied"] == ["nur für Gäste"]
    (reply,) = told["replies"]
    assert decode(bytes.fromhex(reply)) == [SyncStep2(theirs["update"])]
