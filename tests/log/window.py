"""A window in a process of its own, driven over stdin; run with `python window.py`.

Commands, one per line: `append N` writes N updates one by one, `flood` writes until it
is killed, `acquire`, `hold` (append as holder). Every acknowledged update is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from crdtsync.clock import SystemClock
from crdtsync.log import Holding, LeaseRefused, Log
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.turns.arbiter import Granted

ENDLESS = 1_000_000


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def append(log: Log, name: str, count: int) -> None:
    head = (await log.load("doc")).head
    for index in range(count):
        update = f"{name}-{index}".encode()
        answer = await log.append("doc", [update], origin=name, after=head)
        head = answer.last
        say(f"{answer.first} {update.decode()}")


async def hold(log: Log, name: str, holding: Holding) -> None:
    head = (await log.load("doc")).head
    try:
        update = f"{name} holds".encode()
        await log.append("doc", [update], origin=name, after=head, holding=holding)
        say("written")
    except LeaseRefused:
        say("refused")


async def main() -> None:
    path, name, ttl_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    async with open_sqlite_log(path, clock=SystemClock(), ttl_s=ttl_s) as log:
        await log.create("doc")
        say("open")
        holding = Holding(0, 0)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            match line.split():
                case ["append", count]:
                    await append(log, name, int(count))
                    say("done")
                case ["flood"]:
                    await append(log, name, ENDLESS)
                case ["acquire"]:
                    got = await log.acquire("doc", name, 1, 0, alone=True)
                    if isinstance(got, Granted):
                        holding = Holding(got.epoch, 1)
                        say(f"granted {got.epoch}")
                    else:
                        say(f"denied by {got.holder}")
                case ["hold"]:
                    await hold(log, name, holding)


if __name__ == "__main__":
    anyio.run(main)
