"""Mutated updates that admission lets in must harm nobody who applies or reads them.

Run as `python -m tests.sync.fuzz --updates 50000 --seed 1`.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex
from tests.sync.corpus import Delivery, deliveries, roots_of

TRIES_PER_UPDATE = 40
DOCUMENTS_PER_PROCESS = 25
PROCESS_DEADLINE_S = 60.0
BYTES = (0, 1, 2, 3, 4, 7, 8, 9, 10, 0x7F, 0x80, 0x81, 0x84, 0xA1, 0xC4, 0xFF)


@dataclass(slots=True)
class Found:
    """What a run came to.

    Attributes:
        mutants: How many mutated updates were admitted, applied and read.
        differing: Documents that read differently after a reload.
        refused: How often each rule refused a mutant.
        faults: Crashes, hangs and exceptions, with the document.
    """

    mutants: int = 0
    documents: int = 0
    differing: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def fuzz(mutants: int, seed: int, stream: Iterable[Delivery] | None = None) -> Found:
    found = Found()
    mutator = Mutator(random.Random(seed), found)  # noqa: S311 - repeatable
    batch: list[str] = []
    stream = stream or deliveries(seed, sys.maxsize)
    for document, group in groupby(stream, key=lambda delivery: delivery.document):
        updates = [d.update for d in group if d.replica is not None]
        batch.append(request(document, mutator.mutate(document, updates)))
        enough = found.mutants >= mutants
        if enough or len(batch) == DOCUMENTS_PER_PROCESS:
            follow(batch, found)
            batch = []
        if enough:
            break
    return found


class Mutator:
    def __init__(self, source: random.Random, found: Found) -> None:
        self.random = source
        self.found = found

    def mutate(self, document: int, updates: list[bytes]) -> list[bytes]:
        """Return updates to apply in order, many of them mutated and all admitted."""
        index = DocIndex(roots_of(document), session=bool(document % 2))
        admitted: list[bytes] = []
        for update in updates:
            mutants = (self.mutant(update, updates) for _ in range(TRIES_PER_UPDATE))
            for candidate in mutants if self.random.random() < 0.6 else ():
                if candidate != update and self.admit(index, candidate):
                    self.found.mutants += 1
                    admitted.append(candidate)
                    break
            if self.admit(index, update):
                admitted.append(update)
        return admitted

    def admit(self, index: DocIndex, update: bytes) -> bool:
        try:
            admission = index.check(index.scan(update))
        except UpdateRefused as refused:
            self.found.refused[refused.rule] += 1
            return False
        if not isinstance(admission, Admitted):
            self.found.refused["pending"] += 1
            return False
        index.commit(admission)
        return True

    def mutant(self, update: bytes, others: list[bytes]) -> bytes:
        data = bytearray(update)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            at = self.random.randrange(len(data) or 1)
            match self.random.randrange(7):
                case 0:
                    data[at : at + 1] = bytes([self.random.randrange(256)])
                case 1:
                    data[at : at + 1] = bytes([self.random.choice(BYTES)])
                case 2 if data:
                    data[at] = (data[at] + self.random.choice((-1, 1))) % 256
                case 3 if data:
                    data[at] ^= 1 << self.random.randrange(8)
                case 4:
                    data[at:at] = self.piece(data)
                case 5:
                    data[at : at + self.random.randint(1, 8)] = self.piece(data)
                case _:
                    other = self.random.choice(others)
                    data[at : at + self.random.randint(0, 8)] = self.piece(other)
        return bytes(data)

    def piece(self, source: bytes | bytearray) -> bytes:
        at = self.random.randrange(len(source) or 1)
        return bytes(source[at : at + self.random.randint(0, 12)])


def request(document: int, updates: list[bytes]) -> str:
    encoded = [base64.b64encode(update).decode() for update in updates]
    return json.dumps({"document": document, "updates": encoded})


def follow(batch: list[str], found: Found) -> None:
    """Have documents followed in processes of their own, and note what happens."""
    while batch:
        answers = ask(batch)
        for asked, answer in zip(batch, answers, strict=False):
            found.documents += 1
            found.differing += answer == "differs"
            if answer not in ("same", "differs"):
                found.faults.append(f"{answer}: {asked}")
        batch = batch[len(answers) :]


def ask(batch: list[str]) -> list[str]:
    """Return the answers up to the first document that ends the process."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.sync.reader"],
            input="\n".join(batch).encode(),
            capture_output=True,
            timeout=PROCESS_DEADLINE_S,
            check=False,
        )
        output, end = done.stdout, f"ends with status {done.returncode}"
    except subprocess.TimeoutExpired as expired:
        output, end = expired.stdout or b"", "hangs"
    answers = output.decode().splitlines()
    return answers if len(answers) == len(batch) else [*answers, end]


def main() -> Iterator[str]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found = fuzz(asked.updates, asked.seed)
    yield f"mutants admitted, applied and read: {found.mutants}"
    yield f"documents: {found.documents}, other after a reload: {found.differing}"
    yield f"refused: {dict(found.refused.most_common())}"
    yield f"crashes, hangs, exceptions: {len(found.faults)}"
    yield from found.faults


if __name__ == "__main__":
    for line in main():
        print(line)  # noqa: T201
