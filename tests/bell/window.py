"""A window in a process of its own: `window.py FOLDER NAME` echoes what it hears.

Prints "open", then answers each payload b"ping N" with the payload b"pong N T" where T
is the perf_counter_ns at which its wait returned; it is no test itself.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio

from crdtsync.bell.unix import open_unix_bell


async def main(folder: Path, name: str) -> None:
    async with open_unix_bell(folder, name) as bell:
        sys.stdout.write("open\n")
        sys.stdout.flush()
        while True:
            for payload in await bell.wait():
                heard_ns = time.perf_counter_ns()
                if payload.startswith(b"ping"):
                    bell.ring(b"pong%s %d" % (payload[4:], heard_ns))


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
