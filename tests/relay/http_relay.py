"""A relay in a process of its own, for tests that ask it over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from crdtsync.document import Document
from crdtsync.sync.messages import Ack, Update
from tests.relay.wire_client import LAYER_2, connect


@dataclass(frozen=True)
class Served:
    """A relay that runs.

    Attributes:
        owner: The operator's token; empty where nobody needs one.
    """

    port: int
    owner: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(data: Path, *flags: str) -> Iterator[Served]:
    """Run `crdtsync relay` on a free port."""
    program = Path(sys.executable).parent / "crdtsync"
    command = [str(program), "--data", str(data), "relay", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            token = data / "relay" / "owner-token"
            owner = token.read_text().strip() if token.exists() else ""
            yield Served(int(url.rpartition(":")[2]), owner)
        finally:
            process.terminate()
            process.wait(timeout=40)


async def bring(port: int, session: str, document: Document, token: str = "") -> None:
    """Put a session on a relay, as a window would."""
    offer = (*LAYER_2, f"token.{token}") if token else LAYER_2
    async with connect(port, session, subprotocols=offer) as window:
        await window.join(layer_2=True)
        await window.send(Update(document.state()))
        with anyio.fail_after(40):
            await window.until(lambda: Ack(2) in window.messages)
