"""A relay in a process of its own, on a free port of this machine; it judges nothing.

Run as `python -m tests.relay.process DATA [LIMIT=VALUE ...]` it is that process. Limits
are those of `Limits`; `file_bytes` is the largest file that it may write.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
from anyio.abc import Process
from crdtsync_relay.limits import Limits
from crdtsync_relay.server import serve
from crdtsync_relay.settings import Settings

START_S = 40.0


@asynccontextmanager
async def relay_process(
    data: Path, *words: str, stderr: int | None = None
) -> AsyncGenerator[tuple[int, Process]]:
    """Start one; killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.relay.process", str(data), *words]
    async with await anyio.open_process(command, stderr=stderr) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(START_S):
                url = (await process.stdout.receive()).decode().strip()
            yield int(url.rpartition(":")[2]), process
        finally:
            if process.returncode is None:
                process.kill()


def main(data: str, *words: str) -> None:
    chosen = {
        name: float(value) for name, _, value in (w.partition("=") for w in words)
    }
    if size := int(chosen.pop("file_bytes", 0)):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    limits = Limits()
    kinds = {name: type(getattr(limits, name)) for name in chosen}
    limits = replace(limits, **{n: kinds[n](value) for n, value in chosen.items()})
    with contextlib.suppress(BrokenPipeError):
        serve(
            Settings(Path(data), port=0, limits=limits),
            lambda told: print(told.url, flush=True),  # noqa: T201 - whoever started it
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
