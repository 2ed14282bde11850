"""Replicas that let in what admission admits; for corpora of legitimate updates."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex
from tests.sync.corpus import Delivery, roots_of


def false_refusals(stream: Iterable[Delivery]) -> tuple[int, list[str]]:
    """Return how many updates there were, and what was wrongly kept out.

    A replica that follows a document live never has to wait for anything. One that
    is new may: it gets merges of parts.
    """
    replicas: dict[int | None, DocIndex] = {}
    current = None
    count = 0
    wrong: list[str] = []
    for delivery in stream:
        count += 1
        if delivery.document != current:
            current = delivery.document
            replicas = {}
        index = replicas.get(delivery.replica)
        if index is None or delivery.replica is None:
            index = DocIndex(roots_of(current), session=bool(current % 2))
            replicas[delivery.replica] = index
        try:
            admission = index.check(index.scan(delivery.update))
        except UpdateRefused as refused:
            wrong.append(f"{delivery}: {refused.rule} {refused}")
            continue
        if isinstance(admission, Admitted):
            index.commit(admission)
        elif delivery.replica is not None:
            wrong.append(f"{delivery}: waits for {admission.missing}")
    return count, wrong
